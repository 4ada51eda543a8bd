"""What a user may choose for an export: one frozen value."""

import re
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from cmr_planes.views import TARGET_VIEWS, CardiacView


class ExportForm(StrEnum):
    """How exported files are named and arranged."""

    UKBB = "ukbb"
    """One folder per subject with the names of ukbb_cardiac: ``sa.nii.gz``, ``sa_ED.nii.gz``, ``la_4ch_ES.nii.gz``."""
    NNUNET = "nnunet"
    """A raw data set of nnU-Net version 2."""
    BIDS = "bids"
    """Folders and sidecars like those of BIDS, which has no text for cardiac MR yet."""


class ExportLabels(StrEnum):
    """The label maps of an nnU-Net data set."""

    MANUAL = "manual"
    """Manual annotations: LV 1, Myo 2, RV 3."""
    ACDC_ORDER = "acdc-order"
    """Manual annotations in the order of ACDC: RV 1, Myo 2, LV 3."""
    POSITIONS = "positions"
    """The nine positions: the pretext as an nnU-Net task."""


DATASET_NAME = re.compile(r"Dataset\d{3}_[A-Za-z0-9][A-Za-z0-9_-]*")
"""Names that nnU-Net finds by their number."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportOptions:
    """Everything that decides the content of an export."""

    form: ExportForm
    """How files are named and arranged."""
    subjects: tuple[str, ...] = ()
    """Keys of the subjects to export; none for all."""
    view: CardiacView = CardiacView.SAX
    """nnU-Net: the view of the images."""
    labels: ExportLabels = ExportLabels.MANUAL
    """nnU-Net: what the label maps hold."""
    dataset: str = "Dataset501_CMR"
    """nnU-Net: the name of the data set."""
    split: Path | None = None
    """nnU-Net: a table of the set of each participant, or the ``split.json`` of a run; None for a random split."""
    split_seed: int = 0
    """nnU-Net: the seed of the random split; equal to cmr-train's for the same seed."""

    def __post_init__(self) -> None:
        """Take text for enums, and refuse what cannot be carried out.

        Raises
        ------
        ValueError
            A value is none of those that are allowed.
        """
        object.__setattr__(self, "form", ExportForm(self.form))
        object.__setattr__(self, "labels", ExportLabels(self.labels))
        object.__setattr__(self, "view", CardiacView(self.view))
        if self.view not in TARGET_VIEWS:
            raise ValueError(f"view must be one of {', '.join(TARGET_VIEWS)}, got {self.view}")
        if not DATASET_NAME.fullmatch(self.dataset):
            raise ValueError(
                f"the data set's name is {self.dataset!r}, and 'Dataset', three digits, '_' and letters or digits are expected, "
                "for example Dataset501_CMR"
            )
