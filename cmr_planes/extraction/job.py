"""The main job: from sources to sealed shards and a catalogue, resumable at any moment.

The plan, which subject goes into which shard, is written first and never changes; later runs add shards for new subjects. A
shard holds the same bytes whichever worker makes it and however often the run is killed, so what is there need not be made again.
"""

import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path

from cmr_planes.discovery.pseudonyms import mapping_path, write_mapping
from cmr_planes.errors import ShardError
from cmr_planes.extraction.nifti_subject import extract_nifti
from cmr_planes.extraction.options import ExtractOptions
from cmr_planes.extraction.plan import PLAN_NAME, BuildPlan, ShardPlan, identity, shard_path
from cmr_planes.extraction.subject import extract_subject
from cmr_planes.shards.catalogue_writer import write_catalogue
from cmr_planes.shards.label_files import label_folder, write_label_file
from cmr_planes.shards.records import ShardSummary, SubjectOutcome, SubjectRecord, ViewLabels
from cmr_planes.shards.sealing import remove_sealed
from cmr_planes.shards.shard_writer import software_versions, write_shard
from cmr_planes.system.json_text import canonical_json
from cmr_planes.system.whole_file import sealed
from cmr_planes.views import CardiacView

OnSubject = Callable[[], None]
"""Called whenever a subject is done."""


def prepare(plan: BuildPlan, *, overwrite: bool = False) -> None:
    """Make the shards' folder and write the plan down; with ``overwrite`` remove what an earlier run made, and no other file.

    Raises
    ------
    ShardError
        The output cannot be written.
    """
    folder = plan.shard_folder
    try:
        if overwrite:
            plan.out.unlink(missing_ok=True)
            if (folder / PLAN_NAME).exists():
                remove_sealed(folder)
                remove_sealed(label_folder(plan.out))  # they belong to images that are gone
                (folder / PLAN_NAME).unlink()
        folder.mkdir(parents=True, exist_ok=True)
        if plan.options.labels is not None or plan.options.nifti:
            label_folder(plan.out).mkdir(exist_ok=True)
        remove_leftovers(folder)
    except OSError as error:
        raise ShardError(
            f"{folder} cannot be written ({error.strerror}); check the path, its permissions and the free space"
        ) from error
    if plan.options.pseudonyms is not None:
        write_mapping(mapping_path(plan.out), plan.mapping, plan.options.pseudonyms)
    text = canonical_json({**identity(plan.options), "batches": [list(keys) for keys in plan.batches]})
    with sealed(folder / PLAN_NAME) as stream:
        stream.write(text.encode())


def remove_leftovers(folder: Path) -> None:
    """Remove what interrupted runs left among the shards: half-written files, and the folders of a cluster's workers."""
    for leftover in folder.glob("*.part"):
        if leftover.is_dir():
            shutil.rmtree(leftover, ignore_errors=True)
        else:
            leftover.unlink(missing_ok=True)


def build_batch(batch: ShardPlan, out: Path, options: ExtractOptions, on_subject: OnSubject | None = None) -> ShardSummary:
    """Make one shard, and its labels where there are annotations; runs in any process that sees the sources and the output folder.

    Parameters
    ----------
    batch
        The subjects.
    out
        The catalogue to which the shard belongs.
    options
        What to make.
    on_subject
        Called after each subject.

    Returns
    -------
        What is in the shard.
    """
    path = shard_path(out, batch.number)
    labels: dict[str, Mapping[CardiacView, ViewLabels]] = {}
    outcomes: list[SubjectOutcome] = []

    def records() -> Iterator[SubjectRecord]:
        for subject in batch.subjects:
            start = time.perf_counter()
            if options.nifti:
                extracted = extract_nifti(subject, options)
            else:
                extracted = extract_subject(subject, options, batch.label_files.get(subject.key, ()))
            if extracted.labels:
                labels[subject.key] = extracted.labels
            yield extracted.record
            outcomes.append(_outcome(extracted.record, time.perf_counter() - start))
            if on_subject is not None:
                on_subject()
        if labels:  # before the shard is sealed: what is sealed is not made again
            write_label_file(label_folder(out) / path.name, labels, codec=options.codec)

    salt = "" if options.pseudonyms is None else options.pseudonyms.instance_salt
    summary = write_shard(path, records(), codec=options.codec, configuration=options.to_json(), salt=salt)
    return replace(summary, outcomes=tuple(outcomes))


def _outcome(record: SubjectRecord, seconds: float) -> SubjectOutcome:
    """Return what became of a subject, now that it is done."""
    n_images = sum(view.image.shape[0] * view.image.shape[1] for view in record.views)
    return SubjectOutcome(record.key, n_images, record.rejections, record.notes, time.time(), seconds)


def finish(plan: BuildPlan) -> None:
    """Write the catalogue over all shards of the plan."""
    shards = [shard_path(plan.out, number) for number in range(len(plan.batches))]
    write_catalogue(plan.out, shards, configuration=plan.options.to_json(), versions=software_versions())
