"""A relay between a client and a server on the loopback: with TLS in front, or losing the connection after this many bytes."""

import contextlib
import socket
import ssl
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

HOST = "127.0.0.1"


def make_certificate(folder: Path) -> tuple[Path, Path]:
    """Make a self-signed certificate for the loopback with openssl; return it with its key (for a server), and without (for a client)."""
    folder.mkdir(parents=True, exist_ok=True)
    key, certificate, both = (folder / name for name in ("key.pem", "certificate.pem", "server.pem"))
    names = f"subjectAltName=DNS:localhost,IP:{HOST}"
    request = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost", "-addext", names]
    subprocess.run([*request, "-keyout", key, "-out", certificate], check=True, capture_output=True)
    both.write_bytes(certificate.read_bytes() + key.read_bytes())
    return both, certificate


@dataclass(eq=False)
class Relay:
    """What a relay does, and what went through it; the fields may be changed while it runs."""

    port: int
    """Where it listens."""
    cut_upload_after: int | None = None
    """Bytes from the client after which a connection is cut; None for never."""
    cut_answer_after: int | None = None
    """Bytes from the server after which a connection is cut."""
    uploaded: int = 0
    answered: int = 0
    open: list[socket.socket] = field(default_factory=list)


@contextmanager
def relay(target_port: int, *, certificate: Path | None = None) -> Iterator[Relay]:
    """Relay connections to a port of the loopback until the block ends.

    Parameters
    ----------
    target_port
        Where the server listens.
    certificate
        Certificate and key with which the relay speaks TLS to clients; the server never does.
    """
    context = None
    if certificate is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
    listener = socket.create_server((HOST, 0))
    state = Relay(listener.getsockname()[1])
    threads: list[threading.Thread] = []

    def accept() -> None:
        while True:
            try:
                client, _ = listener.accept()
            except OSError:
                return
            state.open.append(client)
            threads.append(threading.Thread(target=serve, args=(client,), daemon=True))
            threads[-1].start()

    def serve(client: socket.socket) -> None:
        with contextlib.suppress(OSError), client, socket.create_connection((HOST, target_port)) as server:
            state.open.append(server)
            # A socket that speaks TLS is not read and written by two threads at once; both ends of a pair are plain.
            outside = context.wrap_socket(client, server_side=True) if context else client
            with outside:
                state.open.append(outside)
                _pump(outside, server, state)

    acceptor = threading.Thread(target=accept, daemon=True)
    acceptor.start()
    try:
        yield state
    finally:
        with contextlib.suppress(OSError):
            listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        for each in state.open:
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
        for thread in [acceptor, *threads]:
            thread.join(5)


def _pump(client: socket.socket, server: socket.socket, state: Relay) -> None:
    """Move bytes both ways until one side ends or a limit is reached."""
    up = down = 0
    client.settimeout(0.02)
    server.settimeout(0.02)
    while True:
        for source, sink in ((client, server), (server, client)):
            try:
                data = source.recv(65536)
            except TimeoutError:
                continue
            if not data:
                return
            if source is client:
                state.uploaded += len(data)
                up += len(data)
            else:
                state.answered += len(data)
                down += len(data)
            sink.settimeout(30)
            sink.sendall(data)
            sink.settimeout(0.02)
            if (state.cut_upload_after is not None and up >= state.cut_upload_after) or (
                state.cut_answer_after is not None and down >= state.cut_answer_after
            ):
                return
