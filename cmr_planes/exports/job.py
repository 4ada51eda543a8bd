"""The export of a catalogue: all files under a temporary name, then in their place."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from cmr_planes.errors import ExportError, SourceError
from cmr_planes.exports.folder import check_free, staged
from cmr_planes.exports.names import safe_names
from cmr_planes.exports.options import ExportOptions
from cmr_planes.exports.series import ImageSeries, read_series
from cmr_planes.exports.ukbb import ukbb_files
from cmr_planes.exports.volumes import volumes_of
from cmr_planes.shards.catalogue import Catalogue
from cmr_planes.system.names import PathLike
from cmr_planes.system.progress import OnProgress, Progress, ignore_progress
from cmr_planes.views import CardiacPhase, CardiacView


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportSummary:
    """What was exported."""

    out: Path
    """The folder."""
    n_subjects: int
    """Subjects that have files in it."""
    n_files: int
    """Files, sidecars among them."""
    notes: tuple[str, ...]
    """What is worth knowing, in sentences that name no subject."""
    next_step: str = ""
    """What to do with the folder, in a sentence; empty where there is nothing to say."""


@dataclass(slots=True)
class _Tally:
    """Counts what a reader of the export should know."""

    n_subjects: int = 0
    n_files: int = 0
    n_renamed: int = 0
    n_divided: int = 0
    n_without_es: int = 0

    def add(self, series: ImageSeries) -> None:
        """Count a view."""
        self.n_divided += len(series.affines_lps_mm) > 1 and len(volumes_of(series)) > 1
        self.n_without_es += CardiacPhase.ED in series.phases and CardiacPhase.ES not in series.phases

    def notes(self) -> Iterator[str]:
        """Say what was counted."""
        if self.n_renamed:
            yield (
                f"{self.n_renamed:,} subjects' keys hold characters other than letters, digits, '.', '_' and '-', which became '-' "
                "in the names of files"
            )
        if self.n_divided:
            yield (
                f"the slices of {self.n_divided:,} views are no regular stack (a slice is missing, or lies more than 0.1 mm off): "
                "each slice has a file of its own, …_slice00 and so on"
            )
        if self.n_without_es:
            yield f"{self.n_without_es:,} views have no end-systole in the catalogue; 'cmr-planes inspect' says why"


def export(
    catalogue: PathLike,
    out: PathLike,
    options: ExportOptions,
    *,
    overwrite: bool = False,
    on_progress: OnProgress = ignore_progress,
) -> ExportSummary:
    """Write the images and label maps of a catalogue as NIfTI files for other programs.

    Nothing is written unless all of it can be. The same catalogue and options give the same bytes.

    Parameters
    ----------
    catalogue
        The catalogue, ``out.h5``.
    out
        The folder; made if it does not exist. Exports of other subjects, or other data sets, may be in it.
    options
        The form, and what it leaves to choose.
    overwrite
        Whether to replace files and folders of the same names.
    on_progress
        Called with the number of subjects done, and their total.

    Returns
    -------
        What was written.

    Raises
    ------
    ExportError
        ``out`` holds files of the same names or cannot be written, or the form cannot hold the catalogue; the sentence says why.
    SourceError
        The catalogue holds nothing to export.
    ShardError
        The catalogue cannot be read.
    """
    folder = Path(out)
    with Catalogue(Path(catalogue)) as opened:
        subjects = choose_subjects(opened, options.subjects)
        names = safe_names(list(subjects))
        tally = _Tally(n_renamed=sum(key != name for key, name in names.items()))
        check_free(folder, list(names.values()), overwrite=overwrite)
        annotated = annotated_views(opened)
        with staged(folder, overwrite=overwrite) as staging:
            for done, (key, views) in enumerate(subjects.items(), start=1):
                for view in views:
                    series = read_series(opened, key, view, with_labels=view in annotated.get(key, ()))
                    tally.add(series)
                    for path, data in ukbb_files(names[key], series):
                        staging.write(path, data)
                        tally.n_files += 1
                tally.n_subjects += 1
                on_progress(Progress(done, len(subjects)))
    return ExportSummary(out=folder, n_subjects=tally.n_subjects, n_files=tally.n_files, notes=tuple(tally.notes()))


def choose_subjects(catalogue: Catalogue, keys: tuple[str, ...]) -> dict[str, tuple[CardiacView, ...]]:
    """Return the views of each subject with images, of those that are named, or of all.

    Raises
    ------
    ExportError
        A key names no subject with images.
    SourceError
        The catalogue has no images.
    """
    table = catalogue.views()
    views: dict[str, tuple[CardiacView, ...]] = {}
    for key, view in zip(table.subject, table.view, strict=True):
        views[key] = (*views.get(key, ()), CardiacView(view))
    if not views:
        raise SourceError(f"{str(catalogue.path)!r} holds no images; 'cmr-planes inspect' says what was left out and why")
    unknown = [key for key in keys if key not in views]
    if unknown:
        raise ExportError(
            f"{len(unknown)} of the subjects that were asked for have no images in {str(catalogue.path)!r}; 'cmr-planes inspect "
            "-v' lists what was left out"
        )
    return {key: views[key] for key in dict.fromkeys(keys)} if keys else views


def annotated_views(catalogue: Catalogue) -> Mapping[str, frozenset[CardiacView]]:
    """Return the annotated views of each subject."""
    table = catalogue.annotations()
    found: dict[str, frozenset[CardiacView]] = {}
    for key, view in zip(table.subject, table.view, strict=True):
        found[key] = found.get(key, frozenset()) | {CardiacView(view)}
    return found
