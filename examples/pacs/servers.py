"""PACS servers for the demo and for tests, run without privileges.

They are Debian's Orthanc (DICOMweb and DIMSE) and dcmtk's dcmqrscp (DIMSE). Both listen on every address of the machine, and
neither can be told to listen on the loopback alone. So they serve only this machine: Orthanc by its setting for remote access
and, for DIMSE, by the list of known modalities with their address; dcmqrscp by its table of hosts. Passwords are drawn for each
start, ports are free ones, folders are temporary, and the servers end with the process that started them, however that ends.
"""

import base64
import http.client
import json
import os
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

ORTHANC = shutil.which("Orthanc", path=os.pathsep.join([os.environ.get("PATH", os.defpath), "/usr/sbin"]))
DICOMWEB = next(
    (
        path
        for folder in ("/usr/share/orthanc/plugins", "/usr/lib/orthanc")
        if (path := Path(folder) / "libOrthancDicomWeb.so").exists()
    ),
    None,
)
DCMQRSCP = shutil.which("dcmqrscp")
HAS_ORTHANC = ORTHANC is not None and DICOMWEB is not None
HAS_DCMQRSCP = DCMQRSCP is not None

CLIENT_TITLES = ("CMRPLANES", "PYNETDICOM", "STORESCU", "ECHOSCU")
"""Application entity titles that the servers know, all at the loopback."""
LOOPBACK = "127.0.0.1"
NOBODY = 65534
READY_WITHIN_S = 30.0
N_STARTS = 3


class ServerError(Exception):
    """A server that did not start."""


def free_ports(n: int) -> list[int]:
    """Return TCP ports that nothing listens on at the moment."""
    sockets = [socket.create_server((LOOPBACK, 0)) for _ in range(n)]
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports


@dataclass(eq=False)
class Server:
    """A server program and the folder that holds all it has."""

    command: Sequence[str]
    folder: Path
    """Belongs to the server's user."""
    port: int
    """Of DIMSE."""
    ae_title: str
    process: subprocess.Popen[bytes] | None = field(default=None, init=False)

    @property
    def log(self) -> Path:
        """What the program prints."""
        return self.folder / "log.txt"

    @property
    def aet_url(self) -> str:
        """The address of DIMSE, as the commands take it."""
        return f"aet://{self.ae_title}@{LOOPBACK}:{self.port}"

    def start(self) -> None:
        """Start the program on its folder, which may hold what an earlier start of it has stored; return when it answers.

        It ends with the thread that starts it.

        Raises
        ------
        ServerError
            It ended, or did not answer in time.
        """
        # C-GET is many times faster where small packets are not held back.
        environment = {**os.environ, "TCP_NODELAY": "1"}
        user = ["--reuid", str(NOBODY), "--regid", str(NOBODY), "--clear-groups"] if os.getuid() == 0 else []
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                ["setpriv", *user, "--pdeathsig", "KILL", *self.command],  # noqa: S607
                cwd=self.folder,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        until = time.monotonic() + READY_WITHIN_S
        while not self.answers():
            if self.process.poll() is not None or time.monotonic() > until:
                self.kill()
                raise ServerError(f"{Path(self.command[0]).name} did not start:\n{self.log.read_text(errors='replace')[-2000:]}")
            time.sleep(0.05)

    def answers(self) -> bool:
        """Return whether the server takes connections."""
        with socket.socket() as client:
            client.settimeout(1)
            return client.connect_ex((LOOPBACK, self.port)) == 0

    def kill(self) -> None:
        """End the program and its children at once, with SIGKILL; what it has stored stays."""
        if self.process is not None:
            with suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
            self.process = None

    def restart(self) -> None:
        """Kill the program where it runs, and start it again at the same ports with what it has stored."""
        self.kill()
        self.start()


@dataclass(eq=False)
class Orthanc(Server):
    """An Orthanc with DICOMweb."""

    http_port: int
    user: str
    password: str

    @property
    def url(self) -> str:
        """The address of DICOMweb."""
        return f"http://{LOOPBACK}:{self.http_port}/dicom-web"

    @property
    def authorization(self) -> str:
        """The value of the header by which the server knows its user."""
        return "Basic " + base64.b64encode(f"{self.user}:{self.password}".encode()).decode()

    def ask(self, path: str, data: bytes | None = None, method: str | None = None) -> bytes:
        """Send a request to Orthanc's own interface, such as ``/instances``; return the body of the answer."""
        address = f"http://{LOOPBACK}:{self.http_port}{path}"
        request = urllib.request.Request(address, data, {"Authorization": self.authorization}, method=method)
        with urllib.request.urlopen(request, timeout=60) as answer:
            return answer.read()

    def answers(self) -> bool:
        """Return whether both interfaces take requests."""
        try:
            self.ask("/system")
        except (OSError, http.client.HTTPException):
            return False
        return super().answers()

    def store(self, *files: Path | bytes) -> None:
        """Store DICOM files, given by path or as their bytes."""
        for file in files:
            self.ask("/instances", file if isinstance(file, bytes) else file.read_bytes())

    def store_folder(self, folder: Path) -> int:
        """Store every file in a folder and in those in it; return how many."""
        files = sorted(path for path in folder.rglob("*") if path.is_file())
        self.store(*files)
        return len(files)

    def instances(self) -> dict[str, str]:
        """Return Orthanc's own name of each stored instance, by SOPInstanceUID."""
        found = json.loads(self.ask("/instances?expand"))
        return {each["MainDicomTags"]["SOPInstanceUID"]: each["ID"] for each in found}

    def fetch(self, sop_instance_uid: str) -> bytes:
        """Return the file of a stored instance."""
        return self.ask(f"/instances/{self.instances()[sop_instance_uid]}/file")

    def delete_all(self) -> None:
        """Delete everything that is stored."""
        for patient in json.loads(self.ask("/patients")):
            self.ask(f"/patients/{patient}", method="DELETE")


AnyServer = TypeVar("AnyServer", bound=Server)


@contextmanager
def running_orthanc() -> Iterator[Orthanc]:
    """Run an Orthanc with an empty store until the block ends.

    Raises
    ------
    ServerError
        It does not start.
    """
    with _own_folder() as folder:
        yield from _started(lambda: _orthanc(folder))


@contextmanager
def running_dcmqrscp() -> Iterator[Server]:
    """Run a dcmqrscp with an empty store until the block ends.

    Raises
    ------
    ServerError
        It does not start.
    """
    with _own_folder() as folder:
        yield from _started(lambda: _dcmqrscp(folder))


def _started(make: Callable[[], AnyServer]) -> Iterator[AnyServer]:
    """Yield a started server; with other ports where those chosen were taken meanwhile."""
    for attempt in range(N_STARTS):
        server = make()
        try:
            server.start()
            break
        except ServerError:
            if attempt == N_STARTS - 1:
                raise
    try:
        yield server
    finally:
        server.kill()


@contextmanager
def _own_folder() -> Iterator[Path]:
    """Yield a temporary folder that the user of the servers may write."""
    with tempfile.TemporaryDirectory(prefix="cmr-pacs-", ignore_cleanup_errors=True) as name:
        _hand_over(Path(name))
        yield Path(name)


def _hand_over(path: Path) -> None:
    """Give a file or folder to the user of the servers."""
    if os.getuid() == 0:
        os.chown(path, NOBODY, NOBODY)


def _orthanc(folder: Path) -> Orthanc:
    http_port, dicom_port = free_ports(2)
    user, password = "demo", secrets.token_urlsafe(12)
    allowed = dict.fromkeys(("AllowEcho", "AllowFind", "AllowGet", "AllowStore"), True)
    settings = {
        "Name": "cmr-planes",
        "StorageDirectory": str(folder / "storage"),
        "IndexDirectory": str(folder / "storage"),
        "Plugins": [str(DICOMWEB)],
        "HttpPort": http_port,
        "RemoteAccessAllowed": False,
        "AuthenticationEnabled": True,
        "RegisteredUsers": {user: password},
        "DicomAet": "ORTHANC",
        "DicomPort": dicom_port,
        "DicomCheckCalledAet": True,
        "DicomCheckModalityHost": True,
        "DicomAlwaysAllowEcho": False,
        "DicomAlwaysAllowStore": False,
        "DicomModalities": {title: {"AET": title, "Host": LOOPBACK, "Port": 104, **allowed} for title in CLIENT_TITLES},
        "DicomWeb": {"Enable": True, "Root": "/dicom-web/", "StudiesMetadata": "Full", "SeriesMetadata": "Full"},
        "OverwriteInstances": False,
    }
    file = folder / "orthanc.json"
    file.write_text(json.dumps(settings))
    _hand_over(file)
    return Orthanc([str(ORTHANC), str(file)], folder, dicom_port, "ORTHANC", http_port, user, password)


def _dcmqrscp(folder: Path) -> Server:
    (port,) = free_ports(1)
    store = folder / "store"
    store.mkdir(exist_ok=True)
    _hand_over(store)
    hosts = [f"known{number} = ({title}, {LOOPBACK}, 104)" for number, title in enumerate(CLIENT_TITLES)]
    hosts += [f"local{number} = ({title}, localhost, 104)" for number, title in enumerate(CLIENT_TITLES)]
    names = [host.split()[0] for host in hosts]
    file = folder / "dcmqrscp.cfg"
    file.write_text(
        "\n".join(
            [
                f"NetworkTCPPort = {port}",
                "MaxPDUSize = 16384",
                "MaxAssociations = 16",
                "HostTable BEGIN",
                *hosts,
                f"all = {', '.join(names)}",
                "HostTable END",
                "VendorTable BEGIN",
                "VendorTable END",
                "AETable BEGIN",
                f"CMRQR {store} RW (200, 1024mb) all",
                "AETable END",
                "",
            ]
        )
    )
    _hand_over(file)
    return Server([str(DCMQRSCP), "-c", str(file)], folder, port, "CMRQR")
