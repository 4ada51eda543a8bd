"""What an archive says of an instance that it was to store, whichever the protocol.

References
----------
DICOM PS3.4, table B.2-1 (status codes of C-STORE); PS3.18, table I.2-2 (failure reasons of STOW-RS).
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from cmr_planes.pacs.results import Result


class StoreCode(StrEnum):
    """Why an instance was not stored. The values are stable: scripts may rely on them."""

    NO_SPACE = "no_space"
    """The archive is out of space or of other resources."""
    NOT_ALLOWED = "not_allowed"
    """The archive does not let this side store the instance."""
    CLASS_NOT_SUPPORTED = "class_not_supported"
    """The archive takes no instances of this kind, or not in this transfer syntax."""
    NOT_UNDERSTOOD = "not_understood"
    """The archive finds a fault in the instance."""
    FAILED = "failed"
    """The archive failed, or gives another reason."""
    NOT_CONFIRMED = "not_confirmed"
    """The archive's answer does not name the instance, and it has none of this kind."""
    CHANGED = "changed"
    """The file changed or vanished while others were sent."""


_SENTENCES = {
    StoreCode.NO_SPACE: "the archive has no space for it; ask its administrator, and push again",
    StoreCode.NOT_ALLOWED: "the archive does not allow this side to store it; ask its administrator",
    StoreCode.CLASS_NOT_SUPPORTED: "the archive takes no objects of this kind ({modality}); ask its administrator",
    StoreCode.NOT_UNDERSTOOD: "the archive finds a fault in it; compare patient and study with what the archive has",
    StoreCode.FAILED: "the archive failed to store it; push again, or ask its administrator",
    StoreCode.NOT_CONFIRMED: "the archive did not confirm it and does not list it; look there before you push again",
}

DUPLICATE = 0x0111
"""The archive has the instance already: UIDs are functions of the content, so it is the same one."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """That an instance was not stored, and why."""

    code: StoreCode
    sentence: str


Outcome = tuple[Result, Refusal | None]
"""What became of an instance: no refusal where it is stored."""


class Archive(Protocol):
    """Where results go."""

    def present(self, study_uid: str) -> set[str]:
        """Return the SOPInstanceUIDs of segmentations and reports of a study that the archive is known to have."""

    def store(self, batch: Sequence[Result]) -> Iterator[Outcome]:
        """Store results, and yield what became of each as soon as it is known.

        Raises
        ------
        PacsError
            The archive cannot be reached, or takes nothing.
        """


def judge(result: Result, status: int) -> Refusal | None:
    """Return what a status means, None if the instance is stored.

    Parameters
    ----------
    result
        The instance.
    status
        Status of C-STORE, or (0008,1197) Failure Reason of STOW-RS.

    Examples
    --------
    >>> from pathlib import Path
    >>> judge(Result(3, Path("a.dcm"), 1, "SEG", "", ""), 0xA700).code
    <StoreCode.NO_SPACE: 'no_space'>
    """
    if status in (0x0000, DUPLICATE) or status & 0xF000 == 0xB000:  # success; stored already; stored with a warning
        return None
    return refusal(result, _code(status), f"status {status:04X}")


def _code(status: int) -> StoreCode:
    if status & 0xFF00 == 0xA700:
        return StoreCode.NO_SPACE
    if status == 0x0124:
        return StoreCode.NOT_ALLOWED
    if status in (0x0122, 0xC122):
        return StoreCode.CLASS_NOT_SUPPORTED
    if status & 0xFF00 == 0xA900 or status & 0xF000 == 0xC000 or status == 0x0117:
        return StoreCode.NOT_UNDERSTOOD
    return StoreCode.FAILED


def refusal(result: Result, code: StoreCode, detail: str) -> Refusal:
    """Return a refusal with its sentence; ``detail`` is what the archive said, in a word or two."""
    return Refusal(code, f"file {result.number} was not stored ({detail}): " + _SENTENCES[code].format(modality=result.modality))
