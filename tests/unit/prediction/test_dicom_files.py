"""What a report says of the measures of a prediction, and why some are missing."""

import math

import pytest

from cmr_planes.dicom_output.codes import Quantity
from cmr_planes.views import Structure
from cmr_train.evaluation.volumes import Doubt, Ventricle, VentricularFunction
from cmr_train.prediction.dicom_files import DOUBT_SENTENCES, measures_of, network_of

FULL = Ventricle(end_diastolic_ml=120.0, end_systolic_ml=60.0)
ED_ONLY = Ventricle(end_diastolic_ml=120.0, end_systolic_ml=math.nan)


def function(lv: Ventricle = FULL, rv: Ventricle = FULL, phases: tuple[str, str] = ("ed", "es"), doubts: tuple[Doubt, ...] = ()):
    return VentricularFunction(lv=lv, rv=rv, lv_mass_g=100.0, ed_phase=phases[0], es_phase=phases[1], doubts=doubts)


def test_every_doubt_has_a_sentence() -> None:
    assert DOUBT_SENTENCES.keys() == set(Doubt)


def test_values_are_those_of_the_function() -> None:
    lv, rv = measures_of(function())
    volumes = {
        Quantity.END_DIASTOLIC_VOLUME: 120.0,
        Quantity.END_SYSTOLIC_VOLUME: 60.0,
        Quantity.STROKE_VOLUME: 60.0,
        Quantity.EJECTION_FRACTION: 50.0,
    }
    assert (lv.structure, lv.values, lv.remarks) == (Structure.LV, {**volumes, Quantity.MASS: 100.0}, ())
    assert (rv.structure, rv.values, rv.remarks) == (Structure.RV, volumes, ())


@pytest.mark.parametrize(
    ("given", "of_lv", "of_rv"),
    [
        (
            {"lv": ED_ONLY, "doubts": (Doubt.LV_MISSING_ES,)},
            (
                "without end-systolic volume, stroke volume, ejection fraction",
                "no left ventricle was found at end-systole",
            ),
            (),
        ),
        (
            {"lv": ED_ONLY, "rv": ED_ONLY, "phases": ("ed", "")},
            ("without end-systolic volume, stroke volume, ejection fraction", "there is no image at end-systole"),
            ("without end-systolic volume, stroke volume, ejection fraction", "there is no image at end-systole"),
        ),
        (
            {"phases": ("003", "011"), "doubts": (Doubt.STACK_GAP,)},
            (DOUBT_SENTENCES[Doubt.STACK_GAP][1], "end-diastole is phase 003, end-systole phase 011"),
            (DOUBT_SENTENCES[Doubt.STACK_GAP][1], "end-diastole is phase 003, end-systole phase 011"),
        ),
        (
            {"phases": ("", ""), "doubts": (Doubt.NO_PHASES,)},
            (DOUBT_SENTENCES[Doubt.NO_PHASES][1],),
            (DOUBT_SENTENCES[Doubt.NO_PHASES][1],),
        ),
    ],
)
def test_remarks_say_what_is_missing_and_why(given, of_lv: tuple[str, ...], of_rv: tuple[str, ...]) -> None:
    lv, rv = measures_of(function(**given))
    assert (lv.remarks, rv.remarks) == (of_lv, of_rv)


def test_several_networks_have_one_serial_number() -> None:
    one, two = network_of(["a" * 64], {}), network_of(["a" * 64, "b" * 64], {"rotate_deg": 10.0})
    assert one.serial_number == "a" * 64
    assert len(two.serial_number) == 64
    assert two.parameters == {"weights_sha256": f"{'a' * 64} {'b' * 64}", "rotate_deg": "10.0"}
