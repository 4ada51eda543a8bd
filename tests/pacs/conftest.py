"""Servers that the tests of pull and push talk to; where a server is not installed, its tests are skipped."""

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from examples.pacs.servers import HAS_DCMQRSCP, HAS_ORTHANC, Orthanc, Server, running_dcmqrscp, running_orthanc
from tests.helpers.relays import make_certificate, relay


@pytest.fixture(scope="module")
def shared_orthanc() -> Iterator[Orthanc]:
    """One server for the tests of a module."""
    if not HAS_ORTHANC:
        pytest.skip("needs Debian's orthanc and orthanc-dicomweb")
    with running_orthanc() as server:
        yield server


@pytest.fixture
def orthanc(shared_orthanc: Orthanc) -> Orthanc:
    """An Orthanc that runs and holds nothing."""
    if not shared_orthanc.answers():
        shared_orthanc.restart()
    shared_orthanc.delete_all()
    return shared_orthanc


@dataclass(frozen=True)
class Https:
    """DICOMweb behind TLS."""

    orthanc: Orthanc
    url: str
    certificate: str
    """File of the certificate that a client must trust."""


@pytest.fixture
def https(orthanc: Orthanc, tmp_path: Path) -> Iterator[Https]:
    """An empty Orthanc behind HTTPS with a certificate that nobody has signed."""
    if shutil.which("openssl") is None:
        pytest.skip("needs openssl")
    ours, theirs = make_certificate(tmp_path / "certificate")
    with relay(orthanc.http_port, certificate=ours) as front:
        yield Https(orthanc, f"https://127.0.0.1:{front.port}/dicom-web", str(theirs))


@pytest.fixture(scope="module")
def shared_dcmqrscp() -> Iterator[Server]:
    """One server for the tests of a module; what one test stores, the next one finds."""
    if not HAS_DCMQRSCP:
        pytest.skip("needs dcmtk's dcmqrscp")
    with running_dcmqrscp() as server:
        yield server


@pytest.fixture
def dcmqrscp() -> Iterator[Server]:
    """An empty dcmqrscp."""
    if not HAS_DCMQRSCP:
        pytest.skip("needs dcmtk's dcmqrscp")
    with running_dcmqrscp() as server:
        yield server
