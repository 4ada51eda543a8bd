"""What a user may choose for an export: one frozen value."""

from dataclasses import dataclass
from enum import StrEnum


class ExportForm(StrEnum):
    """How exported files are named and arranged."""

    UKBB = "ukbb"
    """One folder per subject with the names of ukbb_cardiac: ``sa.nii.gz``, ``sa_ED.nii.gz``, ``la_4ch_ES.nii.gz``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportOptions:
    """Everything that decides the content of an export."""

    form: ExportForm
    """How files are named and arranged."""
    subjects: tuple[str, ...] = ()
    """Keys of the subjects to export; none for all."""

    def __post_init__(self) -> None:
        """Take text for the form; raises ValueError for one that is none."""
        object.__setattr__(self, "form", ExportForm(self.form))
