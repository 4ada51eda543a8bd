"""Pulling from real servers: the catalogue is that of the files, whatever way they came and whoever is killed on the way."""

import io
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pydicom
import pytest
from pynetdicom import build_context

from cmr_planes.discovery.naming import short_digest
from cmr_planes.errors import PacsError
from cmr_planes.pacs.access import Access, Login
from cmr_planes.pacs.addresses import parse_address
from cmr_planes.pacs.dimse import associate
from cmr_planes.pacs.pull import PullOptions, PullSummary, pull
from cmr_planes.pacs.server import WantedStudy
from cmr_planes.pacs.transfer import Patience
from examples.pacs.servers import Orthanc, Server
from tests.helpers.cohorts import digests, extract
from tests.helpers.pacs_studies import CLASSIC, ENHANCED, FULL, pacs_studies, study_uid, write_beside
from tests.helpers.relays import make_certificate, relay


@dataclass(frozen=True)
class Filled:
    """A server that has three patients' studies."""

    server: Orthanc
    studies: dict[str, list[bytes]]

    @property
    def access(self) -> Access:
        return Access(credentials=Login(self.server.user, self.server.password))

    def pull(self, folder: Path, **options) -> PullSummary:
        return pull(parse_address(self.server.url), folder, access=self.access, **options)


@pytest.fixture(scope="module")
def filled(shared_orthanc) -> Iterator[Filled]:
    studies = pacs_studies()
    shared_orthanc.store(*(data for files in studies.values() for data in files))
    yield Filled(shared_orthanc, studies)
    shared_orthanc.delete_all()


def catalogue(source: Path, out: Path) -> dict[str, object]:
    """The bytes of a catalogue and its shards; the plan beside them has a hash of the first file's UID, which names decide."""
    out.parent.mkdir()
    result = extract(source, out)
    assert result.exit_code == 0, result.output
    return {"out": out.read_bytes(), **{n: d for n, d in digests(out.with_suffix(".shards")).items() if n != "plan.json"}}


@pytest.fixture(scope="module")
def from_files(filled, tmp_path_factory) -> dict[str, object]:
    """The catalogue of the files that the server was given, in folders called by the running numbers of a pull."""
    folder = tmp_path_factory.mktemp("reference")
    uids = sorted(study_uid(files[0]) for files in filled.studies.values())
    named = {uid: f"{number:05}" for number, uid in enumerate(uids, start=1)}
    return catalogue(write_beside(folder / "files", filled.studies, named), folder / "a" / "out.h5")


def test_pulled_by_dicomweb_the_catalogue_is_that_of_the_files(filled, from_files, tmp_path):
    summary = filled.pull(tmp_path / "pulled")
    assert (summary.n_pulled, summary.n_there, summary.left_out) == (3, 0, ())
    assert catalogue(tmp_path / "pulled", tmp_path / "a" / "out.h5") == from_files
    again = filled.pull(tmp_path / "pulled")
    assert (again.n_pulled, again.n_there) == (0, 3)
    assert again.n_bytes < 10_000


def test_of_a_full_protocol_less_than_half_is_moved(filled, tmp_path):
    size = sum(map(len, filled.studies[FULL]))
    uid = study_uid(filled.studies[FULL][0])
    summary = filled.pull(tmp_path / "pulled", options=PullOptions(studies=(WantedStudy(line=1, study_uid=uid),)))
    (outcome,) = summary.outcomes
    assert summary.n_bytes < size / 2
    assert outcome.n_pixel_bytes < outcome.n_spared_bytes
    assert len([*(tmp_path / "pulled" / outcome.name).iterdir()]) == len(filled.studies[FULL])


def test_pulled_from_orthanc_by_dimse_the_catalogue_is_that_of_the_files(filled, from_files, tmp_path):
    summary = pull(parse_address(filled.server.aet_url), tmp_path / "pulled")
    assert (summary.n_pulled, summary.left_out) == (3, ())
    assert catalogue(tmp_path / "pulled", tmp_path / "a" / "out.h5") == from_files


def send(server: Server, files: list[bytes], folder: Path) -> None:
    """Store files by C-STORE."""
    folder.mkdir()
    paths = [folder / f"{number}.dcm" for number in range(len(files))]
    for path, data in zip(paths, files, strict=True):
        path.write_bytes(data)
    classes = {str(pydicom.dcmread(path, stop_before_pixels=True).SOPClassUID) for path in paths}
    contexts = [build_context(each, pydicom.uid.ExplicitVRLittleEndian) for each in classes]
    with associate(parse_address(server.aet_url), Access(), contexts) as association:
        for path in paths:
            assert association.send_c_store(path).Status == 0


def test_from_dcmqrscp_every_instance_comes_as_it_was_sent(dcmqrscp, tmp_path):
    studies = pacs_studies()
    sent = [*studies[ENHANCED], *studies[CLASSIC][::4]]  # it takes some eleven files a second
    send(dcmqrscp, sent, tmp_path / "sent")
    summary = pull(parse_address(dcmqrscp.aet_url), tmp_path / "pulled")
    assert (summary.n_pulled, summary.left_out) == (2, ())
    came = [pydicom.dcmread(path) for path in (tmp_path / "pulled").rglob("*.dcm")]
    expected = {each.SOPInstanceUID: each for each in map(pydicom.dcmread, map(io.BytesIO, sent))}
    assert len(came) == len(expected)
    assert all(each == expected[each.SOPInstanceUID] for each in came)


def test_extract_takes_the_address_in_place_of_files(filled, tmp_path):
    login = tmp_path / "login"
    login.write_text(f"{filled.server.user}:{filled.server.password}")
    login.chmod(0o600)
    (tmp_path / "b").mkdir()
    out = tmp_path / "b" / "out.h5"
    result = extract(f"dicomweb+{filled.server.url}", out, "--login-file", login)
    assert result.exit_code == 0, result.output
    assert [path.name for path in sorted(out.parent.iterdir())] == ["out.h5", "out.shards"]
    named = {uid: short_digest(uid) for uid in (study_uid(files[0]) for files in filled.studies.values())}
    files = write_beside(tmp_path / "files", filled.studies, named)
    expected = catalogue(files, tmp_path / "a" / "out.h5")
    assert out.read_bytes() == expected.pop("out")
    assert expected.items() <= digests(out.with_suffix(".shards")).items()


@pytest.mark.parametrize(
    ("called", "calling", "sentence"),
    [("WRONG", "CMRPLANES", "is not called 'WRONG'"), ("ORTHANC", "STRANGER", "does not know the AE title 'STRANGER'")],
)
def test_ae_titles_that_are_refused(filled, tmp_path, called, calling, sentence):
    url = filled.server.aet_url.replace("ORTHANC", called)
    with pytest.raises(PacsError, match=sentence):
        pull(parse_address(url), tmp_path / "pulled", access=Access(calling_aet=calling))
    assert not (tmp_path / "pulled").exists()


def test_dimse_is_encrypted_where_the_address_says_so(filled, tmp_path):
    if shutil.which("openssl") is None:
        pytest.skip("needs openssl")
    ours, theirs = make_certificate(tmp_path / "certificate")
    with relay(filled.server.port, certificate=ours) as front:
        address = parse_address(f"aet+tls://ORTHANC@127.0.0.1:{front.port}")
        query = PullOptions(studies=(WantedStudy(line=1, study_uid=study_uid(filled.studies[ENHANCED][0])),))
        with pytest.raises(PacsError, match="its certificate is of an authority"):
            pull(address, tmp_path / "pulled", query, access=Access(timeout_seconds=5), patience=Patience(attempts=1))
        assert front.answered == 0
        assert pull(address, tmp_path / "pulled", query, access=Access(ca=theirs)).n_pulled == 1


def test_a_dry_run_chooses_the_same_and_writes_nothing(filled, tmp_path):
    dry = filled.pull(tmp_path / "pulled", dry_run=True)
    assert [*tmp_path.iterdir()] == []
    real = filled.pull(tmp_path / "pulled")
    assert sorted(one.n_series for one in dry.outcomes) == sorted(one.n_series for one in real.outcomes)
    assert dry.n_bytes < real.n_bytes
    again = filled.pull(tmp_path / "pulled", dry_run=True)
    assert (again.n_pulled, again.n_there) == (0, real.n_pulled)


def test_studies_are_chosen_by_a_list(filled, tmp_path):
    accession = WantedStudy(line=2, accession_number="none such")
    uid = WantedStudy(line=1, study_uid=study_uid(filled.studies[ENHANCED][0]))
    summary = filled.pull(tmp_path / "pulled", options=PullOptions(studies=(uid, accession)))
    assert summary.n_pulled == 1
    assert [(row.study, row.code) for row in summary.left_out] == [("", "not_on_server")]
    assert "line 2 of the list" in summary.left_out[0].sentence
