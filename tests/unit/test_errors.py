"""Errors and reasons: every one is reached, keeps its words across processes, and never changes its value."""

import inspect
import pickle

import numpy as np
import pytest

from cmr_planes import errors
from cmr_planes.errors import (
    CatalogueFinding,
    CmrPlanesError,
    ExitCode,
    GeometryError,
    IntersectionOutsideImageError,
    InvalidOrientationError,
    InvalidPlaneError,
    LinesTooCloseError,
    NoteCode,
    OverlappingBoxesError,
    ParallelPlanesError,
    RejectionCode,
    StudyError,
    TooFewBoxesError,
    WeakAlignmentError,
)
from cmr_planes.geometry import BoxLayout, DecidingAxis, ImagePlane, compute_positions, intersect_planes
from tests.helpers.strategies import cropped, image_around, rotation_matrix

ERROR_CLASSES = [kind for _, kind in inspect.getmembers(errors, inspect.isclass) if issubclass(kind, CmrPlanesError)]
CORONAL = image_around([0, 0, 0], [0, 1, 0], spacing_mm=(1, 1), rows=161, columns=161)


def cut(angle_deg, offset_mm=0.0):
    """A plane across the coronal image at an angle to the axial plane."""
    normal = rotation_matrix([0, 1, 0], angle_deg) @ [0, 0, 1]
    return image_around(offset_mm * normal, normal)


def place(first, second, *, target=CORONAL, axes=(DecidingAxis.LEFT, DecidingAxis.SUPERIOR), layout=None):
    return compute_positions(target, first, second, axes=axes, layout=layout or BoxLayout())


LEFT_TWICE = (DecidingAxis.LEFT, DecidingAxis.LEFT)
CAUSES = {
    InvalidPlaneError: lambda: ImagePlane.from_attributes([0, 0, 0], [1, 0, 0, 0, 1, 0], [0, 1], rows=1, columns=1),
    InvalidOrientationError: lambda: ImagePlane.from_attributes([0, 0, 0], [1, 0, 0, 1, 0, 0], [1, 1], rows=1, columns=1),
    ParallelPlanesError: lambda: intersect_planes(CORONAL, CORONAL),
    LinesTooCloseError: lambda: place(cut(0), cut(20), axes=LEFT_TWICE),
    WeakAlignmentError: lambda: place(cut(90), cut(0)),
    IntersectionOutsideImageError: lambda: place(cut(0, offset_mm=200), cut(90)),
    TooFewBoxesError: lambda: place(cut(0), cut(90), target=cropped(CORONAL, slice(60, 100), slice(60, 100))),
    OverlappingBoxesError: lambda: place(cut(0), cut(35), axes=LEFT_TWICE, layout=BoxLayout(size=21, gap=30)),
}
CODES = {
    InvalidPlaneError: RejectionCode.INVALID_PLANE,
    InvalidOrientationError: RejectionCode.INVALID_PLANE,
    ParallelPlanesError: RejectionCode.PARALLEL_PLANES,
    LinesTooCloseError: RejectionCode.LINES_TOO_CLOSE,
    WeakAlignmentError: RejectionCode.WEAK_ALIGNMENT,
    IntersectionOutsideImageError: RejectionCode.INTERSECTION_OUTSIDE,
    TooFewBoxesError: RejectionCode.TOO_FEW_BOXES,
    OverlappingBoxesError: RejectionCode.OVERLAPPING_BOXES,
}


def test_every_geometry_error_has_a_cause_here():
    assert set(CAUSES) == {kind for kind in ERROR_CLASSES if issubclass(kind, GeometryError)} - {GeometryError}


@pytest.mark.parametrize("kind", CAUSES, ids=lambda kind: kind.__name__)
def test_a_geometry_error_carries_its_code_and_survives_a_process_boundary(kind):
    with pytest.raises(kind, match=r"\d") as caught:  # the value that was found
        CAUSES[kind]()
    error = caught.value
    assert type(error) is kind
    assert error.code is CODES[kind]
    assert "\n" not in str(error)
    copy = pickle.loads(pickle.dumps(error))  # noqa: S301
    assert (type(copy), str(copy), copy.code) == (kind, str(error), error.code)


@pytest.mark.parametrize("kind", [kind for kind in ERROR_CLASSES if kind is not StudyError], ids=lambda kind: kind.__name__)
def test_every_error_keeps_its_sentence_and_notes_in_a_pickle(kind):
    error = kind("what was found, and what to do")
    error.add_note("in series 7")
    copy = pickle.loads(pickle.dumps(error))  # noqa: S301
    assert (type(copy), str(copy), copy.code, copy.__notes__) == (kind, str(error), error.code, ["in series 7"])


def test_a_study_error_keeps_its_own_code_in_a_pickle():
    error = StudyError(RejectionCode.NO_4CH, "no four-chamber view; see the list of series")
    error.add_note("in subject SYN-0001")
    copy = pickle.loads(pickle.dumps(error))  # noqa: S301
    assert isinstance(copy, StudyError)
    assert copy.code is RejectionCode.NO_4CH
    assert copy.sentence == str(copy) == "no four-chamber view; see the list of series"
    assert copy.__notes__ == ["in subject SYN-0001"]
    assert StudyError.code is RejectionCode.UNEXPECTED_ERROR


@pytest.mark.parametrize(
    "value",
    [
        CatalogueFinding("SYN-0001", "sax", RejectionCode.NO_2CH, "no two-chamber view"),
        CatalogueFinding("SYN-0001", "", NoteCode.FEW_FRAMES, "five frames"),
        BoxLayout(size=7, gap=20),
    ],
    ids=lambda value: type(value).__name__,
)
def test_values_survive_a_process_boundary(value):
    assert pickle.loads(pickle.dumps(value)) == value  # noqa: S301


def test_the_tree_in_the_docstring_names_every_error():
    tree = errors.__doc__
    assert [kind.__name__ for kind in ERROR_CLASSES if kind.__name__ not in tree] == []


def test_reasons_that_scripts_rely_on_keep_their_values():
    published = {
        "no_dicom", "unreadable_source", "source_changed", "unreadable_pixels", "missing_attribute", "invalid_attribute", "invalid_plane", "no_cine", "no_sax",
        "no_2ch", "no_4ch", "ambiguous_view", "parallel_planes", "lines_too_close", "weak_alignment", "intersection_outside",
        "too_few_boxes", "overlapping_boxes", "low_agreement", "unexpected_error",
    }  # fmt: skip
    assert published <= {code.value for code in RejectionCode}
    assert all(code.value == code.name.lower() for code in [*RejectionCode, *NoteCode])


def test_exit_codes_are_those_of_the_design():
    assert {code.name: code.value for code in ExitCode} == {
        "DONE": 0,
        "FAILED": 1,
        "BAD_ARGUMENTS": 2,
        "NOTHING_USABLE": 3,
        "INTERRUPTED": 130,
    }


def test_a_programming_mistake_is_not_one_of_ours():
    with pytest.raises(ValueError, match="must be positive") as caught:
        BoxLayout(size=np.nan)
    assert not isinstance(caught.value, CmrPlanesError)
