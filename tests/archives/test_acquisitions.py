"""Series as archives have them: in pieces, twice, with shifted planes, and with missing times, numbers and places."""

import random
from collections.abc import Callable
from pathlib import Path

import pytest

from cmr_planes.fates import Fate
from tests.helpers.archive_acquisitions import N_FRAMES, RIGHT, File, Files, Outcome, extracted, outcome, study_files


@pytest.fixture(scope="module")
def control(tmp_path_factory: pytest.TempPathFactory) -> Outcome:
    found = outcome(study_files(), tmp_path_factory.mktemp("control"))
    assert found.notes == found.rejections == []
    assert found.frames["sax"][0] == [1, 1, 1]
    assert found.frames["sax"][1][0] in (5, 6)
    return found


@pytest.fixture
def files() -> Files:
    return study_files()


def shuffled(place: int) -> int:
    """An order that is not that of time."""
    return (5 * place) % N_FRAMES


def clock(place: int) -> str:
    return f"1000{place:02d}.00"


def is_control(found: Outcome, control: Outcome) -> bool:
    """Whether the right images are stored: those of the first acquisition, at the true end-diastole and end-systole."""
    return found.frames == control.frames and all(marks == {RIGHT} for marks in found.acquisitions.values())


@pytest.mark.parametrize(
    "uid",
    [
        lambda file: f"2.25.{file.header.SeriesNumber}.{file.place + 1}",
        lambda file: f"2.25.{file.place + 1}",
        lambda file: f"2.25.{file.header.SeriesNumber}.{file.place % 2 + 1}",
        lambda file: f"2.25.{file.header.SeriesNumber}.{1 + (file.place > 6)}",
        lambda _: None,
    ],
    ids=["one per file", "one per phase, shared by all planes", "odd and even frames", "interrupted transfer", "none"],
)
def test_a_series_under_several_uids_is_one(files: Files, control: Outcome, tmp_path: Path, uid: Callable[[File], str]) -> None:
    for file in files.of():
        file.set(SeriesInstanceUID=uid(file))
    found = outcome(files, tmp_path)
    assert is_control(found, control)
    assert found.notes == []


@pytest.mark.parametrize(
    "changes",
    [
        lambda place: {"SeriesDescription": f"cine phase {place + 1}"},
        lambda place: {"SequenceName": f"*tfi2d1_{13 + place % 2}"},
        lambda place: {"ImageType": ["ORIGINAL", "PRIMARY", "M", *["NORM"] * (place < 6)]},
    ],
    ids=["a name for every phase", "two sequence names", "two image types"],
)
def test_frames_of_one_series_that_differ_in_names_are_one_cycle(
    files: Files, control: Outcome, tmp_path: Path, changes: Callable[[int], dict[str, object]]
) -> None:
    for file in files.of():
        file.set(**changes(file.place))
    found = outcome(files, tmp_path)
    assert is_control(found, control)
    assert found.notes == []


def test_a_series_under_two_numbers_is_one(files: Files, control: Outcome, tmp_path: Path) -> None:
    for file in files.of():
        file.set(SeriesInstanceUID=None, SeriesNumber=str(int(file.header.SeriesNumber) + 100 * (file.place > 6)))
    found = outcome(files, tmp_path)
    assert is_control(found, control)
    assert found.notes == []


def test_planes_that_jitter_along_the_normal_are_one(files: Files, control: Outcome, tmp_path: Path) -> None:
    rng = random.Random(5)
    for file in files.of():
        row, column = [[float(value) for value in file.header.ImageOrientationPatient[k : k + 3]] for k in (0, 3)]
        normal = [row[k - 2] * column[k - 1] - row[k - 1] * column[k - 2] for k in range(3)]
        shift_mm = rng.uniform(-0.3, 0.3)
        position = [float(p) + shift_mm * n for p, n in zip(file.header.ImagePositionPatient, normal, strict=True)]
        file.set(ImagePositionPatient=[f"{value:.5f}" for value in position])
    found = outcome(files, tmp_path)
    assert is_control(found, control)
    assert found.notes == []


@pytest.mark.parametrize(
    ("places", "words"),
    [(range(N_FRAMES), "every image is there twice"), (range(5), "30 of 102 images are copies of others")],
    ids=["all", "the first five frames"],
)
def test_files_that_are_there_twice_count_once(files: Files, control: Outcome, tmp_path: Path, places: range, words: str) -> None:
    files.files += [File(file.series, file.place, file.header, "copy") for file in files.of() if file.place in places]
    found = outcome(files, tmp_path)
    assert is_control(found, control)
    assert [code for code, _ in found.notes] == ["duplicate_instances"]
    assert words in found.note("duplicate_instances")


@pytest.mark.parametrize(
    ("heart_rate", "numbers"),
    [(1.0, "AcquisitionNumber"), (0.87, "AcquisitionNumber"), (0.87, "AcquisitionTime"), (0.87, "")],
    ids=["equal heart rate", "by AcquisitionNumber", "by AcquisitionTime", "by times that run back"],
)
def test_of_two_takes_in_one_series_the_later_is_used(
    files: Files, tmp_path: Path, control: Outcome, heart_rate: float, numbers: str
) -> None:
    for file in files.again("sax", own_series=False):
        time_ms = float(file.header.TriggerTime) * heart_rate + (3 if heart_rate != 1 else 0)
        file.set(TriggerTime=f"{time_ms:.3f}", InstanceNumber=str(file.place + 1 + N_FRAMES))
        if numbers:
            file.set(**{numbers: {"AcquisitionNumber": "2", "AcquisitionTime": "110000"}[numbers]})
    found = outcome(files, tmp_path)
    assert found.frames["sax"] == control.frames["sax"]
    assert found.acquisitions == {"sax": {5}, "2ch": {1}, "3ch": {1}, "4ch": {1}}
    assert found.note("superseded").startswith("3 slices were left out of the stack")


def test_of_three_takes_of_each_level_all_levels_have_the_latest_whole_one(files: Files, control: Outcome, tmp_path: Path) -> None:
    originals = files.of("sax")
    for number, places in ((2, range(N_FRAMES)), (3, range(4))):
        for file in files.again("sax", places=places, own_series=False):
            time, first = f"23{number}000", N_FRAMES * (number - 1)
            file.set(AcquisitionNumber=str(number), AcquisitionTime=time, InstanceNumber=str(file.place + 1 + first))
    copies = {id(file): (file.series, file.place, str(file.header.get("AcquisitionNumber"))) for file in files.of()}
    files.files = [file for index, file in enumerate(files.of()) if copies[id(file)] not in list(copies.values())[:index]]
    assert all(any(file is kept for kept in files.files) for file in originals)
    found = outcome(files, tmp_path)
    assert found.frames == control.frames
    assert found.acquisitions["sax"] == {5}


def test_images_of_one_moment_in_the_series_of_a_cine_are_apart(files: Files, control: Outcome, tmp_path: Path) -> None:
    for file in files.again("sax2", places=range(8), own_series=False):
        file.set(TriggerTime="200", InstanceNumber=str(file.place + 1 + N_FRAMES), CardiacNumberOfImages=None)
    assert is_control(outcome(files, tmp_path), control)


def test_takes_that_nothing_dates_are_not_mixed_in_one_stack(files: Files, tmp_path: Path) -> None:
    for file in files.again("sax", own_series=False):
        file.set(TriggerTime=f"{float(file.header.TriggerTime) * 0.85:.3f}", NominalInterval="850")
    found = outcome(files, tmp_path)
    assert len(found.acquisitions["sax"]) == 1


def test_a_whole_later_stack_under_the_times_of_the_first_is_used_alone(files: Files, tmp_path: Path) -> None:
    for file in files.again("sax"):
        file.set(AcquisitionTime=files.of(file.series)[0].header.AcquisitionTime)
    found = outcome(files, tmp_path)
    assert found.acquisitions["sax"] == {5}
    assert found.note("superseded") == (
        "3 slices were left out of the stack (series 3; series 4; series 5): a later acquisition of this level was used"
    )


@pytest.mark.parametrize("time", [None, "0"])
def test_a_later_series_without_trigger_times_does_not_displace_a_cine(
    files: Files, control: Outcome, tmp_path: Path, time: str | None
) -> None:
    for file in files.of():
        file.set(SeriesDescription="", ProtocolName="")
    for file in files.again("sax", "4ch"):
        file.set(TriggerTime=time, NominalInterval=None, CardiacNumberOfImages=None)
    found = outcome(files, tmp_path)
    assert is_control(found, control)
    assert (103, Fate.NOT_CINE) in [(row.series_number, row.fate) for row in found.fates]


def test_one_slice_without_trigger_times_stays_in_its_stack(files: Files, tmp_path: Path) -> None:
    for file in files.of("sax3"):
        file.set(TriggerTime=None)
    assert outcome(files, tmp_path).frames["sax"][0] == [1, 1, 1]


@pytest.mark.parametrize("date", [None, "20200101"])
@pytest.mark.parametrize("keyword", ["ContentTime", "AcquisitionTime"])
def test_times_that_pass_midnight_go_on(files: Files, control: Outcome, tmp_path: Path, keyword: str, date: str | None) -> None:
    for file in files.of():
        hours, seconds = ("23", 54 + file.place) if file.place < 6 else ("00", file.place - 6)
        file.set(TriggerTime=None, InstanceNumber=None, ContentTime=None, AcquisitionTime=None, AcquisitionDateTime=None)
        file.set(ContentDate=date, AcquisitionDate=date, **{keyword: f"{hours}{'59' if hours == '23' else '00'}{seconds:02d}"})
    assert is_control(outcome(files, tmp_path), control)


def test_single_images_and_a_saved_picture_are_no_cine(files: Files, tmp_path: Path) -> None:
    files.files = [file for file in files.of() if file.place == 0]
    for file in files.again("4ch"):
        file.set(ImagePositionPatient=None, ImageOrientationPatient=None)
    found = outcome(files, tmp_path)
    assert [code for code, _ in found.rejections] == ["no_cine"]
    assert "planes with one frame: 6" in found.rejections[0][1]


def test_a_later_half_take_that_promises_no_more_loses_to_the_whole_one(files: Files, control: Outcome, tmp_path: Path) -> None:
    for file in files.again("sax", places=range(6)):
        file.set(CardiacNumberOfImages="6")
    assert is_control(outcome(files, tmp_path), control)


ORDERS: dict[str, Callable[[File], None]] = {
    "NominalPercentageOfCardiacPhase (0020,9241)": lambda file: file.set(NominalPercentageOfCardiacPhase=8.0 * file.place),
    "TemporalPositionIdentifier (0020,0100)": lambda file: file.set(TemporalPositionIdentifier=str(file.place + 1)),
    "ContentTime (0008,0033)": lambda file: file.set(ContentTime=clock(file.place)),
    "AcquisitionTime (0008,0032)": lambda file: file.set(AcquisitionTime=clock(file.place)),
}


@pytest.mark.parametrize(
    ("attribute", "number", "time"),
    [
        ("NominalPercentageOfCardiacPhase (0020,9241)", "shuffled", None),
        ("TemporalPositionIdentifier (0020,0100)", "shuffled", "0"),
        ("ContentTime (0008,0033)", "shuffled", None),
        ("ContentTime (0008,0033)", None, None),
        ("AcquisitionTime (0008,0032)", None, "0"),
    ],
)
def test_without_trigger_times_another_attribute_orders_the_frames_and_is_named(
    files: Files, control: Outcome, tmp_path: Path, attribute: str, number: str | None, time: str | None
) -> None:
    for file in files.of():
        file.set(TriggerTime=time, InstanceNumber=None if number is None else str(shuffled(file.place) + 1))
        ORDERS[attribute](file)
    found = outcome(files, tmp_path)
    assert is_control(found, control)
    assert {code for code, _ in found.notes} == {"no_trigger_time"}
    assert f"frames were ordered by {attribute}" in found.note("no_trigger_time")


def test_frames_that_nothing_orders_are_a_rejection(files: Files, tmp_path: Path) -> None:
    for file in files.of():
        file.set(TriggerTime=None, InstanceNumber=None)
    found = outcome(files, tmp_path)
    assert found.exit_code == 3
    assert {code for code, _ in found.rejections} == {"no_frame_order"}
    assert "the 72 frames of series 3, 4, 5, 6, 7, 8 in" in found.rejections[0][1]
    assert found.notes == []


def test_one_slice_that_nothing_orders_is_left_out_with_a_note(files: Files, tmp_path: Path) -> None:
    for file in files.of("sax3"):
        file.set(TriggerTime=None, InstanceNumber=None)
    found = outcome(files, tmp_path)
    assert len(found.frames["sax"][0]) == 2
    assert "12 frames of series 5" in found.note("no_frame_order")
    assert (5, Fate.NOT_USED) in [(row.series_number, row.fate) for row in found.fates]


def test_one_missing_time_spoils_nothing(files: Files, control: Outcome, tmp_path: Path) -> None:
    for file in files.of():
        file.set(InstanceNumber=str(shuffled(file.place) + 1), **({"TriggerTime": None} if file.place == 7 else {}))
    found = outcome(files, tmp_path)
    assert is_control(found, control)
    assert {code for code, _ in found.notes} == {"irregular_times"}
    assert "put where the others leave a gap" in found.note("irregular_times")


def test_one_doubled_time_spoils_nothing(files: Files, control: Outcome, tmp_path: Path) -> None:
    for file in files.of():
        file.set(InstanceNumber=str(shuffled(file.place) + 1))
        if file.place == 7:
            file.set(TriggerTime=files.of(file.series)[6].header.TriggerTime)
    found = outcome(files, tmp_path)
    assert is_control(found, control)
    assert {code for code, _ in found.notes} == {"irregular_times"}


def test_decimal_commas_are_read_and_noted(files: Files, control: Outcome, tmp_path: Path) -> None:
    files.write(tmp_path / "source")
    source = tmp_path / "commas"
    for path in (tmp_path / "source" / "p1").iterdir():
        data = path.read_bytes()
        for keyword in (b"\x20\x00\x32\x00DS", b"\x20\x00\x37\x00DS", b"\x28\x00\x30\x00DS"):
            start = data.index(keyword) + 8
            length = int.from_bytes(data[start - 2 : start], "little")
            data = data[:start] + data[start : start + length].replace(b".", b",") + data[start + length :]
        (source / "p1").mkdir(parents=True, exist_ok=True)
        (source / "p1" / path.name).write_bytes(data)
    found = extracted(source, tmp_path / "commas.h5")
    assert is_control(found, control)
    assert "72 of 72 images have decimal commas" in found.note("repaired_header")


def test_cosines_of_two_decimals_are_read_and_noted(files: Files, tmp_path: Path) -> None:
    for file in files.of():
        file.set(ImageOrientationPatient=[f"{float(value):.2f}" for value in file.header.ImageOrientationPatient])
    found = outcome(files, tmp_path)
    assert found.acquisitions == {"sax": {1}, "2ch": {1}, "3ch": {1}, "4ch": {1}}
    assert "half a degree" in found.note("repaired_header")


@pytest.mark.parametrize("private_bytes", [0, 2000], ids=["nothing between", "behind a private group"])
def test_a_position_behind_later_elements_is_read(files: Files, control: Outcome, tmp_path: Path, private_bytes: int) -> None:
    for file in files.of():
        if private_bytes:
            file.header.private_block(0x0029, "CMR PLANES TEST", create=True).add_new(0x10, "OB", b"\1" * private_bytes)
    files.write(tmp_path / "source")
    for path in (tmp_path / "source" / "p1").iterdir():
        data = path.read_bytes()
        start = data.index(b"\x20\x00\x32\x00DS")
        end = start + 8 + int.from_bytes(data[start + 6 : start + 8], "little")
        pixels = data.index(b"\xe0\x7f\x10\x00OW")
        path.write_bytes(data[:start] + data[end:pixels] + data[start:end] + data[pixels:])
    found = extracted(tmp_path / "source", tmp_path / "out.h5")
    assert is_control(found, control)
    assert ("not in the order of their tags" in found.note("repaired_header")) == bool(private_bytes)


def test_a_slice_without_a_position_is_noted_with_its_series(files: Files, tmp_path: Path) -> None:
    for file in files.of("sax2"):
        file.set(ImagePositionPatient=None)
    found = outcome(files, tmp_path)
    assert len(found.frames["sax"][0]) == 2
    assert "12 frames of series 4" in found.note("no_place")
    assert "ImagePositionPatient (0020,0032)" in found.note("no_place")
    assert (4, Fate.NO_PLACE) in [(row.series_number, row.fate) for row in found.fates]


def test_all_views_in_one_series_are_told_apart_by_their_planes(files: Files, control: Outcome, tmp_path: Path) -> None:
    for index, file in enumerate(files.of()):
        file.set(SeriesInstanceUID="2.25.7", SeriesNumber="7", SeriesDescription="cine", ProtocolName="cine")
        file.set(InstanceNumber=str(index + 1))
    found = outcome(files, tmp_path)
    assert is_control(found, control)
    assert found.notes == []


def test_a_slice_at_a_faster_heart_rate_lacks_no_frames(files: Files, control: Outcome, tmp_path: Path) -> None:
    for file in files.of("sax2"):
        file.set(TriggerTime=f"{0.6 * float(file.header.TriggerTime):.2f}", NominalInterval="600")
    found = outcome(files, tmp_path)
    assert is_control(found, control)
    assert found.notes == []
