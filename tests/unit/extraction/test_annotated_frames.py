"""Label maps are laid on a subject's planes once, whatever extraction asks of them."""

from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from cmr_planes.annotations.classes import PRESETS
from cmr_planes.annotations.files import find_label_files
from cmr_planes.annotations.model import LabelVolume
from cmr_planes.annotations.placing import SlicePlacement, place_on_plane
from cmr_planes.annotations.reading import LabelSource
from cmr_planes.discovery.subjects import find_subjects
from cmr_planes.extraction import annotated_frames
from cmr_planes.extraction.options import ExtractOptions
from cmr_planes.extraction.subject import extract_subject
from cmr_planes.geometry import BoxLayout, ImagePlane
from cmr_planes.phantom.small_study import write_study
from cmr_planes.views import CardiacView
from tests.helpers.cohorts import small_study
from tests.helpers.labels import MNMS, heart_labels, recode, save_nifti

SAX = CardiacView.SAX


@pytest.mark.parametrize("words", [("ED", "ES"), ("frame10", "frame05")], ids=["phases", "frames"])
def test_each_label_map_is_laid_on_each_plane_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: tuple[str, str]) -> None:
    simple = small_study("SYN-0001", rows=64, columns=64, spacing_mm=(3.5, 3.5), n_slices=3, n_frames=10)
    write_study(tmp_path / "dicom" / "SYN-0001", simple)
    planes = [simple.series[f"sax{number}"].plane for number in (1, 2, 3)]
    truth = np.stack([heart_labels(plane, simple.centre_mm) for plane in planes])
    for word in words:
        save_nifti(tmp_path / "labels" / f"label_sa_{word}.nii.gz", recode(truth, MNMS), planes)
    seen: list[tuple[LabelVolume, ImagePlane]] = []  # holds what was laid, so that identities stay unique

    def counted(volume: LabelVolume, plane: ImagePlane) -> SlicePlacement:
        seen.append((volume, plane))
        return place_on_plane(volume, plane)

    monkeypatch.setattr(annotated_frames, "place_on_plane", counted)
    (subject,) = find_subjects([tmp_path / "dicom" / "SYN-0001"])
    labels = LabelSource(path=tmp_path / "labels", classes=PRESETS["mnms"])
    options = ExtractOptions(layout=BoxLayout(size=5, gap=14), labels=labels)
    extracted = extract_subject(subject, options, find_label_files(labels.path))
    counts = Counter((id(volume), plane.patient_from_pixel.tobytes()) for volume, plane in seen)
    assert len(counts) == 2 * 3, "two label maps of SAX, and three SAX slices"
    assert set(counts.values()) == {1}
    assert extracted.labels[SAX].structures.any(axis=2).all()
    for slice_index in range(3):
        position_mm = next(view for view in extracted.record.views if view.view is SAX).planes[slice_index].position_mm
        nearest = int(np.argmin([np.abs(plane.position_mm - position_mm).max() for plane in planes]))
        np.testing.assert_array_equal(extracted.labels[SAX].labels[0, slice_index], truth[nearest])
