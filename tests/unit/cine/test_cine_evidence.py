"""Which acquisitions are cines: by headers and names."""

from cmr_planes.fates import Fate
from cmr_planes.geometry import ImagePlane
from tests.helpers.headers import as_study, cine_frames

PLANE = ImagePlane.from_attributes([0, 0, 0], [1, 0, 0, 0, 1, 0], [2.0, 2.0], rows=40, columns=40)


def test_a_phase_image_under_one_series_with_its_magnitude_is_told_by_the_complex_component():
    phase = cine_frames(PLANE, complex_component="PHASE")
    study = as_study(cine_frames(PLANE, complex_component="MAGNITUDE"), phase)
    assert [len(cine.frames) for cine in study.slices] == [10, 10]


def test_what_is_no_cine_has_a_row_with_its_reason():
    study = as_study(cine_frames(PLANE, image_type=("ORIGINAL", "PRIMARY", "P")), cine_frames(PLANE, number=4, modality="CT"))
    assert study.slices == ()
    assert [(row.series_number, row.fate, row.n_frames) for row in study.passed_over] == [
        (1, Fate.NOT_CINE, 10),
        (4, Fate.NOT_CINE, 10),
    ]
