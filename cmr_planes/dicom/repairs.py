"""The note about header values that break the standard and were read all the same."""

from collections import Counter
from collections.abc import Iterable

from cmr_planes.dicom.frames import FrameHeader, Repair
from cmr_planes.errors import Finding, NoteCode
from cmr_planes.system.text import either, part


def repair_notes(frames: Iterable[FrameHeader]) -> list[Finding]:
    """Return one note for each kind of repair."""
    frames = list(frames)
    counts = Counter(repair for frame in frames for repair in frame.repairs)
    return [
        Finding(
            "",
            NoteCode.REPAIRED_HEADER,
            f"{part(counts[repair], len(frames), 'image')} {either(counts[repair], 'has', 'have')} {repair}",
        )
        for repair in Repair
        if counts[repair]
    ]
