"""What a reader of an export should know: counts, as sentences that name no subject."""

from collections.abc import Iterator
from dataclasses import dataclass

from cmr_planes.exports.series import ImageSeries
from cmr_planes.exports.volumes import volumes_of
from cmr_planes.views import CardiacPhase


@dataclass(slots=True)
class Tally:
    """Counts of an export."""

    n_subjects: int = 0
    """Subjects that have files."""
    n_files: int = 0
    """Files, sidecars among them."""
    n_renamed: int = 0
    """Subjects whose key is not the name of their files."""
    n_cases: int = 0
    """Cases of nnU-Net."""
    n_annotated_in_part: int = 0
    """Cases of which some pixels have the class ``ignore``."""
    n_divided: int = 0
    """Views whose slices have a file each."""
    n_without_es: int = 0
    """Views with an end-diastole alone."""

    def add(self, series: ImageSeries) -> None:
        """Count a view."""
        self.n_divided += len(series.affines_lps_mm) > 1 and len(volumes_of(series)) > 1
        self.n_without_es += CardiacPhase.ED in series.phases and CardiacPhase.ES not in series.phases

    def notes(self) -> Iterator[str]:
        """Say what was counted."""
        if self.n_renamed:
            yield (
                "characters of keys other than letters, digits, '.', '_' and '-' became '-' in the names of files (subjects: "
                f"{self.n_renamed:,})"
            )
        if self.n_annotated_in_part:
            yield (
                "cases with pixels of the class 'ignore', because a slice was not annotated or a class of dataset.json was not "
                f"drawn on it: {self.n_annotated_in_part:,} of {self.n_cases:,}"
            )
        if self.n_divided:
            yield (
                "slices that are no regular stack, because one is missing or lies more than 0.1 mm off, have a file each, "
                f"…_slice00 and so on (views: {self.n_divided:,})"
            )
        if self.n_without_es:
            yield f"views without an end-systole in the catalogue: {self.n_without_es:,}; 'cmr-planes inspect' says why"
