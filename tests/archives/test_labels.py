"""Annotations as archives have them: another patient's contours, exchanged names and values, two readers, wrong places."""

from pathlib import Path

import numpy as np
import pytest

from cmr_planes.shards.catalogue import Catalogue
from cmr_planes.views import CardiacView
from tests.helpers.archive_labels import ENDO, ENDO_PX, EPI, EPI_PX, circle, workspace, write_circled_study
from tests.helpers.cohorts import run
from tests.helpers.labels import LV, MYO

SAX = CardiacView.SAX


@pytest.fixture(scope="module")
def dicom(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_circled_study(tmp_path_factory.mktemp("dicom"))


class Extracted:
    """What extraction with some annotation files gave."""

    def __init__(self, dicom: Path, folder: Path, files: dict[str, bytes], *options: object) -> None:
        labels = folder / "labels"
        for name, data in files.items():
            (labels / name).parent.mkdir(parents=True, exist_ok=True)
            (labels / name).write_bytes(data)
        self.out = folder / "out.h5"
        result = run("extract", dicom, self.out, "--workers", 1, "--annotations", labels, *options)
        assert result.exit_code == 0, result.output
        with Catalogue(self.out) as catalogue:
            self.remarks = [note.sentence for note in catalogue.notes() if note.code.value == "labels"]
            rows = catalogue.annotations()
            self.is_labelled = len(rows) > 0
            if self.is_labelled:
                self.structures = catalogue.labelled_structures("SYN-0001", SAX)
                self.labels = np.stack(
                    [[catalogue.labels("SYN-0001", SAX, phase, level) for level in range(3)] for phase in (0, 1)]
                )

    def said(self, text: str) -> bool:
        """Whether a note has a text."""
        return any(text in remark for remark in self.remarks)


def test_contours_on_the_heart_are_stored_without_a_word(dicom: Path, tmp_path: Path) -> None:
    found = Extracted(dicom, tmp_path, {"SYN-0001.cvi42wsx": workspace({ENDO: circle(ENDO_PX), EPI: circle(EPI_PX)})})
    assert found.remarks == []
    assert found.structures[..., [LV, MYO]].all()


def test_contours_beside_the_heart_are_stored_and_named(dicom: Path, tmp_path: Path) -> None:
    contours = {ENDO: circle(ENDO_PX, moved=(25, 20)), EPI: circle(EPI_PX, moved=(25, 20))}
    found = Extracted(dicom, tmp_path, {"SYN-0001.cvi42wsx": workspace(contours)})
    assert found.structures[..., [LV, MYO]].all()
    assert [remark.split(" of LV ")[0] for remark in found.remarks] == [
        f"SAX {phase} labels may not lie on the image: on 3 of 3 labelled images the blood" for phase in ("ED", "ES")
    ]
    again = run("annotate", found.out, tmp_path / "labels", "-v")
    assert " ".join(again.output.split()).count("labels may not lie on the image") == 2
