"""The servers of the tests themselves: they keep what they are given, serve this machine only, and end."""

import shutil
import socket
import ssl
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

import pydicom
import pytest

from cmr_planes.phantom.small_study import simple_study
from examples.pacs.servers import HAS_ORTHANC, Server
from tests.helpers.dicom_objects import write_stack

ROOT = Path(__file__).parents[2]
ECHOSCU = shutil.which("echoscu")


def echo(server: Server, called: str, calling: str, address: str = "127.0.0.1") -> bool:
    """Whether a server answers a C-ECHO."""
    command = [ECHOSCU, "-aet", calling, "-aec", called, address, str(server.port)]
    return subprocess.run(command, capture_output=True, timeout=30, check=False).returncode == 0


def connects(port: int) -> bool:
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port)) == 0


def outer_address() -> str:
    """Another address of this machine, or skip."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))  # sends nothing
        except OSError:
            pytest.skip("no address but the loopback")
        return probe.getsockname()[0]


def test_orthanc_keeps_what_it_is_given_through_a_kill(orthanc, tmp_path):
    files = write_stack(tmp_path / "files", simple_study(n_slices=1, n_frames=2), "series")
    orthanc.store(*files)
    orthanc.restart()
    uids = sorted(str(pydicom.dcmread(file, stop_before_pixels=True).SOPInstanceUID) for file in files)
    assert sorted(orthanc.instances()) == uids
    assert orthanc.fetch(uids[0]) in {file.read_bytes() for file in files}


def test_dicomweb_wants_the_password_and_answers_this_machine_only(orthanc):
    request = urllib.request.Request(f"{orthanc.url}/studies", headers={"Authorization": orthanc.authorization})
    with urllib.request.urlopen(request) as answer:
        assert answer.read().strip() == b"[]"
    elsewhere = orthanc.url.replace("127.0.0.1", outer_address())
    for address, headers in ((f"{orthanc.url}/studies", {}), (f"{elsewhere}/studies", dict(request.header_items()))):
        with pytest.raises(urllib.error.HTTPError) as caught:
            urllib.request.urlopen(urllib.request.Request(address, headers=headers))
        assert caught.value.code in {401, 403}
        caught.value.close()


@pytest.mark.skipif(ECHOSCU is None, reason="needs dcmtk")
@pytest.mark.parametrize("name", ["orthanc", "shared_dcmqrscp"])
def test_dimse_knows_its_title_its_clients_and_their_address(name, request):
    server = request.getfixturevalue(name)
    assert echo(server, server.ae_title, "CMRPLANES")
    assert not echo(server, "WRONG", "CMRPLANES")
    assert not echo(server, server.ae_title, "STRANGER")
    assert not echo(server, server.ae_title, "CMRPLANES", outer_address())


def test_https_is_trusted_with_its_certificate_only(https):
    request = urllib.request.Request(f"{https.url}/studies", headers={"Authorization": https.orthanc.authorization})
    with urllib.request.urlopen(request, context=ssl.create_default_context(cafile=https.certificate)) as answer:
        assert answer.read().strip() == b"[]"
    with pytest.raises(urllib.error.URLError, match="CERTIFICATE_VERIFY_FAILED"):
        urllib.request.urlopen(request)


@pytest.mark.skipif(not HAS_ORTHANC, reason="needs Debian's orthanc and orthanc-dicomweb")
def test_a_server_ends_with_the_process_that_started_it():
    code = (
        "import time; from examples.pacs.servers import running_orthanc\n"
        "with running_orthanc() as server: print(server.http_port, server.folder, flush=True); time.sleep(60)"
    )
    with subprocess.Popen([sys.executable, "-c", code], cwd=ROOT, stdout=subprocess.PIPE, text=True) as starter:
        port, folder = starter.stdout.readline().split()
        starter.kill()
    until = time.monotonic() + 10
    while connects(int(port)) and time.monotonic() < until:
        time.sleep(0.05)
    assert not connects(int(port))
    shutil.rmtree(folder)
