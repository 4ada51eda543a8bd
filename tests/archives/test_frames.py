"""Cines as archives have them: truncated, delayed, interrupted, of two beats; and images whose values need care."""

from collections.abc import Callable
from dataclasses import replace
from io import BytesIO
from pathlib import Path

import numpy as np
import pydicom
import pytest

from cmr_planes.phantom.dicom_model import CineSeries
from cmr_planes.phantom.dicom_writer import write_files
from cmr_planes.phantom.enhanced_writer import write_enhanced
from cmr_planes.phantom.small_study import ES_FRACTION, write_study
from cmr_planes.shards.catalogue import Catalogue
from cmr_planes.views import CardiacView
from tests.helpers.cohorts import extract, small_study

N_FRAMES = 20
RR_MS = 1000.0
WHOLE = range(N_FRAMES)
Change = Callable[[str, CineSeries], CineSeries]


def taken(series: CineSeries, frames: range, *, nominal_ms: float | None = RR_MS) -> CineSeries:
    """Keep some frames of a cine, counted from the R wave; those past the cycle are of the next beat."""
    numbers = np.array(frames)
    overrides = {} if nominal_ms is not None else {"NominalInterval": None}
    return replace(
        series,
        frames=series.frames[numbers % N_FRAMES],
        trigger_times_ms=numbers * RR_MS / N_FRAMES,
        nominal_interval_ms=nominal_ms or RR_MS,
        overrides=overrides,
    )


def extracted(tmp_path: Path, change: Change) -> tuple[dict[str, np.ndarray], set[str]]:
    """Extract a study with changed series; return the times of the stored frames in the cycle, by view, and the notes' codes."""
    study = small_study(n_frames=N_FRAMES, views=("sax", "2ch", "4ch"))
    series = {key: change(key, one) for key, one in study.series.items()}
    write_study(tmp_path / "dicom" / "SYN-0001", replace(study, series=series))
    result = extract(tmp_path / "dicom", tmp_path / "out.h5")
    assert result.exit_code == 0, result.output
    with Catalogue(tmp_path / "out.h5") as catalogue:
        times = {
            view: catalogue.view_attributes("SYN-0001", CardiacView(view)).trigger_time_ms / RR_MS
            for view in catalogue.views().view
        }
        return times, {note.code.value for note in catalogue.notes()}


def assert_phases(times: dict[str, np.ndarray]) -> None:
    """Compare the times of the stored frames with the true end-diastole and end-systole."""
    for of_view in times.values():
        ed, es = of_view % 1.0
        assert np.minimum(ed, 1 - ed).max() <= 0.051
        assert np.abs(es - ES_FRACTION).max() <= 0.051


SPANS: dict[str, Change] = {
    "short axis truncated": lambda key, one: taken(one, range(14) if key.startswith("sax") else WHOLE),
    "long axis truncated": lambda key, one: taken(one, WHOLE if key.startswith("sax") else range(14)),
    "one stack of two spans": lambda key, one: taken(one, range(13) if key == "sax3" else WHOLE),
    "4Ch interrupted": lambda key, one: taken(one, range(11) if key == "4ch" else WHOLE),
    "one level interrupted": lambda key, one: taken(one, range(9) if key == "sax2" else WHOLE),
    "cycle starts late": lambda _, one: taken(one, range(5, 25)),
    "cycle starts at half": lambda _, one: taken(one, range(10, 30)),
    "no NominalInterval": lambda key, one: taken(one, range(13) if key.startswith("sax") else WHOLE, nominal_ms=None),
    "two beats beside one": lambda key, one: taken(one, range(0, 40, 2) if key.startswith("sax") else range(0, 20, 2)),
    "half of the cycle": lambda _, one: taken(one, range(11)),
    "all truncated alike": lambda _, one: taken(one, range(14)),
}


@pytest.mark.parametrize("case", SPANS)
def test_phases_are_the_same_moments_whatever_the_frames_span(tmp_path: Path, case: str) -> None:
    times, _ = extracted(tmp_path, SPANS[case])
    assert set(times) == {"sax", "2ch", "4ch"}
    assert_phases(times)


VALUES: dict[str, tuple[str, Callable[[int], object]]] = {
    "slope of each frame": ("RescaleSlope", lambda frame: 1 + 0.25 * frame),
    "negative slope": ("RescaleSlope", lambda _: -1.0),
    "MONOCHROME1": ("PhotometricInterpretation", lambda _: "MONOCHROME1"),
}


@pytest.mark.parametrize("case", VALUES)
def test_images_times_slope_plus_intercept_are_the_scanners_values(tmp_path: Path, case: str) -> None:
    keyword, value = VALUES[case]
    study = small_study(n_frames=8)
    changed = {
        key: replace(one, overrides={keyword: value, "RescaleIntercept": 5.0 + one.number}) for key, one in study.series.items()
    }
    write_study(tmp_path / "dicom" / "SYN-0001", replace(study, series=changed))
    assert extract(tmp_path / "dicom", tmp_path / "out.h5").exit_code == 0
    with Catalogue(tmp_path / "out.h5") as catalogue:
        stored = catalogue.view_attributes("SYN-0001", CardiacView.SAX)
        for level in range(3):
            series = study.series[f"sax{level + 1}"]
            for phase in range(len(stored.phases)):
                frame = int(stored.frame_numbers[phase, level]) - 1
                slope = float(value(frame)) if keyword == "RescaleSlope" else 1.0  # type: ignore[arg-type]
                image = catalogue.image("SYN-0001", CardiacView.SAX, phase, level).astype(float)
                found = image * stored.rescale[phase, level, 0] + stored.rescale[phase, level, 1]
                np.testing.assert_allclose(found, series.frames[frame] * slope + 5.0 + series.number)


def test_black_images_are_left_out_and_name_no_phase(tmp_path: Path) -> None:
    def blackened(key: str, one: CineSeries) -> CineSeries:
        frames = one.frames.copy()
        frames[: N_FRAMES if key == "sax1" else 0] = 0
        return replace(one, frames=frames)

    times, codes = extracted(tmp_path, blackened)
    assert times["sax"].shape == (2, 2)
    assert np.abs(times["sax"][1] - ES_FRACTION).max() <= 0.051
    assert "slice_left_out" in codes


def test_a_subject_of_black_images_is_rejected(tmp_path: Path) -> None:
    study = small_study(n_frames=8)
    black = {key: replace(one, frames=np.zeros_like(one.frames)) for key, one in study.series.items()}
    write_study(tmp_path / "dicom" / "SYN-0001", replace(study, series=black))
    assert extract(tmp_path / "dicom", tmp_path / "out.h5").exit_code == 3
    with Catalogue(tmp_path / "out.h5") as catalogue:
        assert {finding.code.value for finding in catalogue.rejections()} == {"unreadable_pixels"}


def test_each_slice_keeps_its_slope(tmp_path: Path) -> None:
    study = small_study(n_frames=8)
    slopes = {"sax1": 1.0, "sax2": 1.5, "sax3": 0.5}
    changed = {key: replace(one, overrides={"RescaleSlope": slopes.get(key, 1.0)}) for key, one in study.series.items()}
    write_study(tmp_path / "dicom" / "SYN-0001", replace(study, series=changed))
    assert extract(tmp_path / "dicom", tmp_path / "out.h5").exit_code == 0
    with Catalogue(tmp_path / "out.h5") as catalogue:
        rescale = catalogue.view_attributes("SYN-0001", CardiacView.SAX).rescale
    np.testing.assert_array_equal(rescale[..., 0], np.tile([1.0, 1.5, 0.5], (2, 1)))


def test_each_frame_of_an_enhanced_instance_keeps_its_slope(tmp_path: Path) -> None:
    study = small_study(n_frames=8)
    (tmp_path / "dicom" / "SYN-0001").mkdir(parents=True)
    for key, one in study.series.items():
        instance = pydicom.dcmread(BytesIO(write_enhanced(study.study, [one]).data))
        for frame, groups in enumerate(instance.PerFrameFunctionalGroupsSequence):
            rescale = pydicom.Dataset()
            rescale.RescaleSlope, rescale.RescaleIntercept, rescale.RescaleType = str(1 + 0.25 * frame), "3", "US"
            groups.PixelValueTransformationSequence = [rescale]
        pixels = instance.pixel_array[:, :, :] / (1 + 0.25 * np.arange(8))[:, None, None]
        instance.PixelData = np.rint(pixels).astype("<u2").tobytes()
        instance.save_as(tmp_path / "dicom" / "SYN-0001" / f"{key}.dcm", enforce_file_format=True)
    assert extract(tmp_path / "dicom", tmp_path / "out.h5").exit_code == 0
    with Catalogue(tmp_path / "out.h5") as catalogue:
        stored = catalogue.view_attributes("SYN-0001", CardiacView.SAX)
        for phase in range(2):
            image = catalogue.image("SYN-0001", CardiacView.SAX, phase, 1).astype(float)
            truth = study.series["sax2"].frames[int(stored.frame_numbers[phase, 1]) - 1]
            slope, intercept = stored.rescale[phase, 1]
            np.testing.assert_allclose(image * slope + intercept - 3, truth, atol=slope / 2)


def test_a_black_first_frame_names_no_phase_and_is_noted(tmp_path: Path) -> None:
    def blackened(key: str, one: CineSeries) -> CineSeries:
        frames = one.frames.copy()
        frames[: key.startswith("sax")] = 0
        return replace(one, frames=frames)

    times, codes = extracted(tmp_path, blackened)
    assert "unreadable_frames" in codes
    assert set(times) == {"sax", "2ch", "4ch"}
    assert (times["sax"][0] > 0).all()
    assert_phases(times)


def test_mended_values_are_noted(tmp_path: Path) -> None:
    _, codes = extracted(tmp_path, lambda _, one: replace(one, overrides={"RescaleSlope": 0.0}))
    assert "pixel_values" in codes


def test_a_slice_of_another_part_of_the_cycle_is_noted(tmp_path: Path) -> None:
    times, codes = extracted(tmp_path, lambda key, one: taken(one, range(5) if key == "sax2" else WHOLE))
    assert "phase_not_covered" in codes
    assert np.abs(times["sax"][1, [0, 2]] - ES_FRACTION).max() <= 0.051


def test_a_view_whose_times_nothing_tells_has_no_end_systole(tmp_path: Path) -> None:
    def untimed(key: str, one: CineSeries) -> CineSeries:
        if key != "4ch":
            return one
        short = taken(one, range(14))
        return replace(short, overrides={"TriggerTime": None, "NominalInterval": None, "CardiacNumberOfImages": None})

    times, codes = extracted(tmp_path, untimed)
    assert "cycle_time_unknown" in codes
    assert times["sax"].shape == (2, 3)
    assert times["4ch"].shape == (1, 1)


POSITIONS: dict[str, tuple[dict[int, str], int]] = {
    "one end-systolic frame": ({0: "END_DIASTOLE", 3: "END_SYSTOLE"}, 4),
    "several end-systolic frames": ({0: "END_DIASTOLE", 1: "END_DIASTOLE", **dict.fromkeys((4, 5, 6, 7, 8), "END_SYSTOLE")}, 6),
    "all frames end-systolic": (dict.fromkeys(range(12), "END_SYSTOLE"), 6),
}


@pytest.mark.parametrize("case", POSITIONS)
def test_headers_name_phases_where_they_single_frames_out_and_else_the_images_do(tmp_path: Path, case: str) -> None:
    positions, es = POSITIONS[case]
    study = small_study(n_frames=12)
    files = [write_enhanced(study.study, [one], cycle_positions=positions) for one in study.series.values()]
    write_files(tmp_path / "dicom" / "SYN-0001", files)
    assert extract(tmp_path / "dicom", tmp_path / "out.h5").exit_code == 0
    with Catalogue(tmp_path / "out.h5") as catalogue:
        for view in catalogue.views().view:
            numbers = catalogue.view_attributes("SYN-0001", CardiacView(view)).frame_numbers
            np.testing.assert_array_equal(numbers, np.tile([[1], [es]], (1, numbers.shape[1])))


def test_frames_missing_around_end_systole_tell_none(tmp_path: Path) -> None:
    def without_systole(key: str, one: CineSeries) -> CineSeries:
        kept = [frame for frame in WHOLE if not (key.startswith("sax") and 0.3 <= frame / N_FRAMES <= 0.5)]
        return replace(one, frames=one.frames[kept], trigger_times_ms=one.times_ms[kept], nominal_interval_ms=RR_MS)

    times, codes = extracted(tmp_path, without_systole)
    assert "few_frames" in codes
    assert all(of_view.shape[0] == 1 for of_view in times.values())
