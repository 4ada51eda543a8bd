"""What is said of frames that are part of no cine slice."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence

from cmr_planes.cine.grouping import group_by_plane
from cmr_planes.cine.takes import MIN_TAKE_FRAMES
from cmr_planes.dicom.frames import FrameHeader
from cmr_planes.errors import Finding, NoteCode, RejectionCode
from cmr_planes.fates import Fate, PlaneFate
from cmr_planes.system.text import counted, either, part


def copy_notes(n_copies: int, n_unique: int) -> list[Finding]:
    """Note images that are there more than once."""
    if not n_copies:
        return []
    share = (
        "every image is there twice"
        if n_copies == n_unique
        else f"{part(n_copies, n_copies + n_unique, 'image')} {either(n_copies, 'is a copy of another', 'are copies of others')}"
    )
    sentence = f"{share} (equal SOPInstanceUID (0008,0018), place and time); each was used once"
    return [Finding("", NoteCode.DUPLICATE_INSTANCES, sentence)]


def place_rejections(frames: Sequence[FrameHeader], *, are_all: bool) -> list[Finding]:
    """Return distinct reasons why cines have no place; single pictures are none, unless ``are_all`` the study has."""
    by_series = Counter(frame.series_number for frame in frames)
    cines = [frame for frame in frames if are_all or (by_series[frame.series_number] >= MIN_TAKE_FRAMES and _is_image(frame))]
    return list(dict.fromkeys(frame.defect for frame in cines if frame.defect is not None))


def place_notes(frames: Sequence[FrameHeader]) -> list[Finding]:
    """Note series of which frames have no place in the patient; pictures of reports (secondary captures) never have one."""
    missing = Counter((frame.series_number, frame.defect) for frame in frames if _is_image(frame))
    return [
        Finding("", NoteCode.NO_PLACE, f"{counted(count, 'frame')} of {series_label(number)} left out: {defect.sentence}")
        for (number, defect), count in missing.items()
        if defect is not None
    ]


def _is_image(frame: FrameHeader) -> bool:
    """Tell pictures of reports from images of the patient."""
    return frame.modality in ("", "MR") and frame.image_type[:2] != ("DERIVED", "SECONDARY")


def order_rejections(takes: Sequence[Sequence[FrameHeader]]) -> list[Finding]:
    """Reject frames that nothing orders; two or three at a plane are single shots, which need no order."""
    frames = [frame for take in takes if len(take) >= MIN_TAKE_FRAMES for frame in take]
    if not frames:
        return []
    sentence = (
        f"nothing orders the {counted(len(frames), 'frame')} of {_series_labels(frames)} in the cardiac cycle: "
        "TriggerTime (0018,1060) and "
        "all other times and numbers are missing or equal; export the series with these attributes"
    )
    return [Finding("", RejectionCode.NO_FRAME_ORDER, sentence)]


def order_notes(takes: Sequence[Sequence[FrameHeader]]) -> list[Finding]:
    """Note frames that were left out because nothing orders them."""
    return [Finding("", NoteCode.NO_FRAME_ORDER, f"{finding.sentence}; they were left out") for finding in order_rejections(takes)]


def fates(frames: Sequence[FrameHeader], fate: Fate, sentence: str) -> list[PlaneFate]:
    """Return what became of the planes of some frames, one row per series; frames without a plane count as one plane."""
    by_series: defaultdict[int | None, list[FrameHeader]] = defaultdict(list)
    for frame in frames:
        by_series[frame.series_number].append(frame)
    rows = []
    for number, members in by_series.items():
        n_planes = len(group_by_plane(members)) or 1
        n_frames = max(1, len(members) // n_planes)
        rows.append(PlaneFate(series_number=number, view="", n_frames=n_frames, n_planes=n_planes, fate=fate, sentence=sentence))
    return rows


def placeless_fates(frames: Sequence[FrameHeader]) -> list[PlaneFate]:
    """Return what became of frames that have no place in the patient, one row per series and reason."""
    by_defect: defaultdict[str, list[FrameHeader]] = defaultdict(list)
    for frame in frames:
        by_defect["" if frame.defect is None else frame.defect.sentence].append(frame)
    return [row for reason, members in by_defect.items() for row in fates(members, Fate.NO_PLACE, reason)]


def series_label(number: int | None) -> str:
    """Return how messages name a series: by its number, since descriptions are free text and may identify a person."""
    return "a series without number" if number is None else f"series {number}"


def _series_labels(frames: Iterable[FrameHeader]) -> str:
    """Name the series of frames."""
    numbers = {frame.series_number for frame in frames}
    known = sorted(number for number in numbers if number is not None)
    parts = [f"series {', '.join(map(str, known))}"] if known else []
    return " and ".join([*parts, *([series_label(None)] if None in numbers else [])])
