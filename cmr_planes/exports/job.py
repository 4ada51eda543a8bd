"""The export of a catalogue: all files under a temporary name, then in their place."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from cmr_planes.discovery.pseudonyms import Pseudonyms
from cmr_planes.errors import ExportError
from cmr_planes.exports.bids import bids_files, bids_names, check_alone, root_files
from cmr_planes.exports.folder import SHARED_FOLDER, check_free, staged
from cmr_planes.exports.names import safe_names
from cmr_planes.exports.nnunet import check_number, next_step, plan_dataset, write_dataset
from cmr_planes.exports.options import ExportForm, ExportOptions
from cmr_planes.exports.selection import annotated_views, choose_subjects
from cmr_planes.exports.series import read_series
from cmr_planes.exports.tally import Tally
from cmr_planes.exports.ukbb import ukbb_files
from cmr_planes.exports.whole_cines import CineSource
from cmr_planes.shards.catalogue import Catalogue
from cmr_planes.system.names import PathLike
from cmr_planes.system.progress import OnProgress, Progress, ignore_progress
from cmr_planes.views import CardiacView


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


def export(
    catalogue: PathLike,
    out: PathLike,
    options: ExportOptions,
    *,
    sources: PathLike | Sequence[PathLike] = (),
    pseudonyms: Pseudonyms | None = None,
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
        The folder; made if it does not exist. Exports of other subjects (ukbb), or other data sets (nnunet), may be in it.
    options
        The form, and what it leaves to choose.
    sources
        The DICOM or NIfTI files from which the catalogue was extracted: whole cines are read from them. None for what the catalogue
        holds.
    pseudonyms
        Those with which the catalogue was made; needed with ``sources``.
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
        The catalogue holds nothing to export, or ``sources`` holds none of its subjects.
    ShardError
        The catalogue cannot be read, or was made with other pseudonyms.
    """
    folder = Path(out)
    paths = [Path(sources)] if isinstance(sources, str | os.PathLike) else [Path(source) for source in sources]
    if paths and options.form is ExportForm.NNUNET:
        raise ExportError("whole cines are not for an nnU-Net data set, which has labelled phases; leave the sources out")
    with Catalogue(Path(catalogue)) as opened:
        subjects = choose_subjects(opened, options.subjects)
        if options.form is ExportForm.NNUNET:
            return _export_dataset(opened, folder, subjects, options, overwrite=overwrite, on_progress=on_progress)
        cines = CineSource(opened, paths, pseudonyms) if paths else None
        return _export_folders(opened, folder, subjects, options.form, cines, overwrite=overwrite, on_progress=on_progress)


def _export_folders(
    catalogue: Catalogue,
    out: Path,
    subjects: Mapping[str, tuple[CardiacView, ...]],
    form: ExportForm,
    cines: CineSource | None,
    *,
    overwrite: bool,
    on_progress: OnProgress,
) -> ExportSummary:
    """Write a folder for each subject."""
    annotated = annotated_views(catalogue)
    tally = Tally()
    described: dict[str, bytes] = {}
    if form is ExportForm.BIDS:
        table = catalogue.subjects()
        people = dict(zip(table.key, table.participant, strict=True))
        names = bids_names({key: people[key] for key in subjects})
        described = root_files(names, has_labels=not annotated.keys().isdisjoint(subjects))
        files_of = bids_files
    else:
        names = safe_names(list(subjects))
        tally.n_renamed = _n_renamed(names)
        files_of = ukbb_files
    entries = {path.partition("/")[0] for path in (*names.values(), *described)} - {SHARED_FOLDER}
    entries |= {path.rpartition("/")[0] for path in described if path.startswith(SHARED_FOLDER)}
    check_free(out, sorted(entries), overwrite=overwrite)
    if form is ExportForm.BIDS:
        check_alone(out, entries)
    with staged(out, overwrite=overwrite) as staging:
        for done, (key, views) in enumerate(subjects.items(), start=1):
            stored = [read_series(catalogue, key, view, with_labels=view in annotated.get(key, ())) for view in views]
            for series in stored:
                tally.add(series)
            for series in (*stored, *(() if cines is None else cines.read(key, stored))):
                for path, data in files_of(names[key], series):
                    staging.write(path, data)
                    tally.n_files += 1
            tally.n_subjects += 1
            on_progress(Progress(done, len(subjects)))
        for path, data in described.items():
            staging.write(path, data)
            tally.n_files += 1
    notes = (*(() if cines is None else cines.notes()), *tally.notes())
    return ExportSummary(out=out, n_subjects=tally.n_subjects, n_files=tally.n_files, notes=notes)


def _export_dataset(
    catalogue: Catalogue,
    out: Path,
    subjects: Mapping[str, tuple[CardiacView, ...]],
    options: ExportOptions,
    *,
    overwrite: bool,
    on_progress: OnProgress,
) -> ExportSummary:
    """Write a data set of nnU-Net."""
    check_free(out, [options.dataset], overwrite=overwrite)
    check_number(out, options.dataset)
    plan = plan_dataset(catalogue, subjects, options)
    names = safe_names(list(plan.participants))
    tally = Tally(n_renamed=_n_renamed(names))
    with staged(out, overwrite=overwrite) as staging:
        write_dataset(catalogue, staging, names, plan, options, tally, on_progress)
    return ExportSummary(
        out=out / options.dataset,
        n_subjects=tally.n_subjects,
        n_files=tally.n_files,
        notes=(*plan.notes, *tally.notes()),
        next_step=next_step(options, out.as_posix()),
    )


def _n_renamed(names: Mapping[str, str]) -> int:
    """Count the subjects whose key is not the name of their files."""
    return sum(key != name for key, name in names.items())
