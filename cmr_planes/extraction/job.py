"""The main job: from sources to sealed shards and a catalogue, resumable at any moment.

The plan, which subject goes into which shard, is written first; later runs add shards for new subjects, and for those that were
left out and are tried again. A shard holds the same bytes whichever worker makes it and however often the run is killed, so
finished shards are never rebuilt.
"""

import os
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from pathlib import Path

from cmr_planes.extraction.left_out_subjects import subjects_without_images, write_states
from cmr_planes.extraction.options import ExtractOptions
from cmr_planes.extraction.plan import ExtractionPlan, make_plan, prepare, shard_path
from cmr_planes.extraction.run import run_here
from cmr_planes.extraction.run_log import RunLog
from cmr_planes.shards.catalogue import Catalogue
from cmr_planes.shards.catalogue_writer import write_catalogue
from cmr_planes.shards.hdf5_writing import software_versions
from cmr_planes.shards.label_summary import LabelSummary, summarise_labels
from cmr_planes.shards.records import ShardSummary, SubjectOutcome
from cmr_planes.shards.summary import CatalogueSummary, summarise
from cmr_planes.system.cores import n_cores
from cmr_planes.system.json_text import JSON
from cmr_planes.system.names import PathLike
from cmr_planes.system.progress import OnMessage, OnProgress, ignore_message, ignore_progress
from cmr_planes.system.run_lock import only_run
from cmr_planes.system.text import counted

OnOutcome = Callable[[SubjectOutcome], None]
"""Called with what became of each subject, shard by shard."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ExtractSummary:
    """What an extraction did, and what its catalogue now holds."""

    out: Path
    """The catalogue."""
    contents: CatalogueSummary
    """What the catalogue holds: subjects, images, and what was left out and why."""
    labels: tuple[LabelSummary, ...]
    """What is annotated, one summary for each view that has labels."""
    n_shards: int
    """Shards of the catalogue."""
    n_bytes: int
    """Size of the shards."""
    n_new_subjects: int
    """Subjects that this run processed, those left out among them."""
    n_retried_subjects: int
    """Those of them that an earlier run had left out."""
    n_new_images: int
    """2D images that this run stored."""
    seconds: float
    """How long the run took."""

    def open(self) -> Catalogue:
        """Open the catalogue; the caller closes it."""
        return Catalogue(self.out)


def extract(
    sources: PathLike | Sequence[PathLike],
    out: PathLike,
    options: ExtractOptions | None = None,
    *,
    workers: int | None = None,
    scheduler: str | Path | None = None,
    overwrite: bool = False,
    retry_left_out: bool = False,
    log: PathLike | None = None,
    log_keys: bool = False,
    on_progress: OnProgress = ignore_progress,
    on_outcome: OnOutcome = lambda _: None,
    on_message: OnMessage = ignore_message,
) -> ExtractSummary:
    """Make position masks from DICOM or NIfTI files and store them in a catalogue.

    An interrupted run resumes where it stopped when it is called again; new subjects are appended. Bad data never raises: it ends
    as a finding in the catalogue.

    Parameters
    ----------
    sources
        Folders of subjects, zips, studies or files, or one of these.
    out
        The catalogue, a path that ends in ``.h5``; its shards go into a folder of the same name that ends in ``.shards``.
    options
        What to make; None for :class:`ExtractOptions` with its defaults. Must equal those of an existing ``out``.
    workers
        Processes on this machine; None for one per core.
    scheduler
        The address of a Dask scheduler (``tcp://host:8786``) or the path of its file, to run on a cluster instead.
    overwrite
        Whether to replace an existing ``out`` and its shards.
    retry_left_out
        Whether to process all subjects again that were left out; else only those whose files changed.
    log
        A file to which one JSON object per event is appended; None for none.
    log_keys
        Whether the log names subjects by their keys.
    on_progress
        Called with the number of subjects done in this run, and their total.
    on_outcome
        Called with what became of each subject.
    on_message
        Called with what the user should know, in a sentence.

    Returns
    -------
        What was made, and what the catalogue holds.

    Raises
    ------
    SourceError
        A source does not exist or holds no subject.
    ShardError
        ``out`` is not a catalogue, was made with other options or another version, or cannot be written.
    InUseError
        Another run works on ``out``.
    ClusterError
        The cluster cannot be reached, or its workers cannot do the work.
    """
    options = options or ExtractOptions()
    found = [Path(sources)] if isinstance(sources, str | os.PathLike) else [Path(source) for source in sources]
    out = Path(out)
    if scheduler is not None:  # its workers have working folders of their own
        found, out, options = [source.absolute() for source in found], out.absolute(), _with_absolute_labels(options)
    options = _with_renamed_planes(options)
    start = time.perf_counter()
    with (
        only_run(out, on_message=on_message),
        nullcontext() if log is None else RunLog(Path(log), with_keys=log_keys) as run_log,
    ):
        plan = make_plan(found, out, options, overwrite=overwrite, retry_left_out=retry_left_out)
        _say_unknown_planes(plan, on_message)
        events = _Events(plan.first_numbers(), run_log, on_outcome)
        events.write("plan", _counts(plan))
        prepare(plan, overwrite=overwrite)
        if scheduler is None:
            shards = run_here(plan, n_workers=workers or n_cores(), on_progress=on_progress, on_shard=events.on_shard)
        else:
            from cmr_planes.extraction.cluster import run_on_cluster

            shards = run_on_cluster(plan, scheduler, on_progress=on_progress, on_message=on_message, on_shard=events.on_shard)
        finish(plan)
        events.write("catalogue", {"n_shards": len(plan.batches)})
        contents, labels = _summarise(out)
    return ExtractSummary(
        out=out,
        contents=contents,
        labels=labels,
        n_shards=len(plan.batches),
        n_bytes=sum(path.stat().st_size for path in plan.shard_folder.glob("*.h5")),
        n_new_subjects=plan.n_pending_subjects,
        n_retried_subjects=len(plan.retried),
        n_new_images=sum(shard.n_images for shard in shards),
        seconds=time.perf_counter() - start,
    )


@dataclass(frozen=True, slots=True)
class _Events:
    """Passes on and writes down what happens."""

    first_numbers: Sequence[int]
    """The place in the catalogue, from 1, of each shard's first subject."""
    run_log: RunLog | None
    on_outcome: OnOutcome

    def write(self, stage: str, values: Mapping[str, JSON]) -> None:
        """Add a line about a finished stage to the log, if there is one."""
        if self.run_log is not None:
            self.run_log.write(stage, "done", values)

    def on_shard(self, summary: ShardSummary) -> None:
        """Pass on and write down what became of a shard's subjects."""
        for outcome in summary.outcomes:
            self.on_outcome(outcome)
        if self.run_log is not None:
            self.run_log.shard(summary, self.first_numbers[int(Path(summary.name).stem)])


def _counts(plan: ExtractionPlan) -> dict[str, JSON]:
    return {"n_subjects": plan.n_subjects, "n_pending_subjects": plan.n_pending_subjects, "n_shards": len(plan.batches)}


def _with_absolute_labels(options: ExtractOptions) -> ExtractOptions:
    labels = options.labels
    return options if labels is None else replace(options, labels=replace(labels, path=labels.path.absolute()))


def _with_renamed_planes(options: ExtractOptions) -> ExtractOptions:
    """Return options whose table of planes has the subjects' pseudonyms, where they have some."""
    if options.planes is None or options.pseudonyms is None:
        return options
    return replace(options, planes=options.planes.renamed(options.pseudonyms.spellings))


def _say_unknown_planes(plan: ExtractionPlan, on_message: OnMessage) -> None:
    """Say how many subjects of a table of planes are not among those of the plan."""
    table = plan.options.planes
    if table is None:
        return
    known = {key for keys in plan.batches for key in keys}
    n_known = len(known & table.subjects.keys())
    n_unknown = 0 if plan.options.pseudonyms is not None else len(table.subjects) - n_known
    if n_unknown:
        on_message(
            f"the table of planes has rows of {counted(n_unknown, 'subject')} not in the sources, and of {n_known:,} in them"
        )


def finish(plan: ExtractionPlan) -> None:
    """Write the catalogue over all shards of the plan."""
    shards = [shard_path(plan.out, number) for number in range(len(plan.batches))]
    write_catalogue(plan.out, shards, configuration=plan.options.to_json(), versions=software_versions())
    processed = {subject.key for batch in plan.pending for subject in batch.subjects}
    write_states(plan.shard_folder, subjects_without_images(plan.out), processed, plan.sources, plan.options.instance_salt)


def _summarise(out: Path) -> tuple[CatalogueSummary, tuple[LabelSummary, ...]]:
    with Catalogue(out) as catalogue:
        views = catalogue.views()
        contents = summarise(catalogue.subjects(), views, catalogue.rejections(), catalogue.notes())
        return contents, summarise_labels(catalogue.annotations(), views)
