"""Names and tables like those of BIDS."""

import dataclasses
import json
import re
from pathlib import Path

import nibabel
import numpy as np
import pytest

from cmr_planes.errors import ExportError
from cmr_planes.exports.bids import bids_names
from cmr_planes.exports.job import export
from cmr_planes.exports.options import ExportOptions
from cmr_planes.shards.catalogue import Catalogue
from cmr_planes.views import CardiacView
from tests.helpers.catalogues import write_batches
from tests.helpers.records import make_subject
from tests.helpers.training import annotate

NAME = re.compile(r"(sub-[A-Za-z0-9]+)(_ses-[A-Za-z0-9]+)?((_[a-z]+-[A-Za-z0-9]+)*)_(cine|dseg)\.(nii\.gz|json)")
"""BIDS's grammar of a file's name: entities with labels of letters and digits, a suffix, an extension."""


@pytest.fixture(scope="module")
def catalogue(tmp_path_factory) -> Path:
    """Two visits of one participant and one of another, annotated on SAX."""
    people = {1: ("P01_V1", "P01"), 2: ("P01_V2", "P01"), 3: ("SYN-0003", "SYN-0003")}
    records = [
        dataclasses.replace(
            make_subject(
                n, views=(CardiacView.SAX, CardiacView.FOUR_CHAMBER), matrix=(48, 48), spacing_mm=7.0, with_positions=False
            ),
            key=key,
            participant=person,
        )
        for n, (key, person) in people.items()
    ]
    return annotate(write_batches(tmp_path_factory.mktemp("data"), [records]))


def test_names_follow_the_grammar_and_lie_where_their_entities_say(catalogue, tmp_path):
    export(catalogue, tmp_path / "bids", ExportOptions(form="bids"))
    files = [path.relative_to(tmp_path / "bids") for path in (tmp_path / "bids").rglob("*") if path.is_file()]
    images = [
        path
        for path in files
        if path.suffix != ".tsv" and path.parts[-1] not in ("README", ".bidsignore", "dataset_description.json")
    ]
    for path in images:
        match = NAME.fullmatch(path.name)
        assert match, path.name
        place = [part for part in (match[1], (match[2] or "")[1:], "cmr") if part]
        assert list(path.parts[-1 - len(place) : -1]) == place
        assert (path.parts[:2] == ("derivatives", "manual")) == (match[5] == "dseg")
    assert len(images) == 3 * 2 * (2 * 2 + 2)  # subjects, phases; image and label map of SAX, image of 4Ch, each with JSON
    assert {path.as_posix() for path in files if "SYN0003_view-sax_phase-ED" in path.name and path.name.endswith(".gz")} == {
        "sub-SYN0003/cmr/sub-SYN0003_view-sax_phase-ED_cine.nii.gz",
        "derivatives/manual/sub-SYN0003/cmr/sub-SYN0003_view-sax_phase-ED_desc-manual_dseg.nii.gz",
    }
    assert (tmp_path / "bids" / "sub-P01" / "ses-V2" / "cmr").is_dir()


def test_tables_describe_the_data_set(catalogue, tmp_path):
    export(catalogue, tmp_path, ExportOptions(form="bids"))
    assert (tmp_path / "participants.tsv").read_text() == "participant_id\nsub-P01\nsub-SYN0003\n"
    for folder, kind in ((tmp_path, "raw"), (tmp_path / "derivatives" / "manual", "derivative")):
        description = json.loads((folder / "dataset_description.json").read_text())
        assert description["DatasetType"] == kind
        assert {"Name", "BIDSVersion", "GeneratedBy"} <= description.keys()
    classes = (tmp_path / "derivatives" / "manual" / "desc-manual_dseg.tsv").read_text().splitlines()
    assert classes == ["index\tname", "1\tLV", "2\tMyo", "3\tRV", "4\tLA", "5\tRA"]


def test_images_and_labels_are_those_of_the_catalogue(catalogue, tmp_path):
    export(catalogue, tmp_path, ExportOptions(form="bids", subjects=("P01_V2",)))
    stem = "sub-P01/ses-V2/cmr/sub-P01_ses-V2_view-sax_phase-ES"
    image = nibabel.load(tmp_path / f"{stem}_cine.nii.gz")
    labels = nibabel.load(tmp_path / "derivatives" / "manual" / f"{stem}_desc-manual_dseg.nii.gz")
    np.testing.assert_array_equal(image.affine, labels.affine)
    with Catalogue(catalogue) as opened:
        for level in range(3):
            np.testing.assert_array_equal(np.asarray(image.dataobj)[:, :, level].T, opened.image("P01_V2", "sax", "es", level))
            np.testing.assert_array_equal(np.asarray(labels.dataobj)[:, :, level].T, opened.labels("P01_V2", "sax", "es", level))


def test_a_folder_that_lists_others_is_refused(catalogue, tmp_path):
    export(catalogue, tmp_path, ExportOptions(form="bids"))
    with pytest.raises(ExportError, match="already holds 6 of the names"):
        export(catalogue, tmp_path, ExportOptions(form="bids", subjects=("SYN-0003",)))
    with pytest.raises(ExportError, match=r"holds subjects or label maps that are not of this export \(1\)"):
        export(catalogue, tmp_path, ExportOptions(form="bids", subjects=("SYN-0003",)), overwrite=True)
    (tmp_path / "derivatives" / "mine").mkdir()
    export(catalogue, tmp_path, ExportOptions(form="bids"), overwrite=True)
    assert sorted(path.name for path in (tmp_path / "derivatives").iterdir()) == ["manual", "mine"]


def test_visits_become_sessions_and_names_that_meet_are_refused():
    assert bids_names({"A": "A", "A_2": "A"}) == {"A": "sub-A/ses-A", "A_2": "sub-A/ses-A2"}
    assert bids_names({"scan7": "P1", "P1-b": "P1"}) == {"scan7": "sub-P1/ses-scan7", "P1-b": "sub-P1/ses-b"}
    with pytest.raises(ExportError, match="subjects 1 and 2 of the export would have the same BIDS name"):
        bids_names({"A-1": "A-1", "A1": "A1"})
