"""One shard, from the files of its subjects; runs in any process that sees the sources and the output folder."""

import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from cmr_planes.extraction.options import ExtractOptions
from cmr_planes.extraction.plan import ShardPlan, shard_path
from cmr_planes.extraction.subject import extract_subject
from cmr_planes.shards.label_files import label_folder
from cmr_planes.shards.records import ShardSummary, SubjectOutcome, SubjectRecord
from cmr_planes.shards.shard_writer import ShardWriter

OnSubject = Callable[[], None]
"""Called whenever a subject is done."""


def build_shard(batch: ShardPlan, out: Path, options: ExtractOptions, on_subject: OnSubject = lambda: None) -> ShardSummary:
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
    outcomes: list[SubjectOutcome] = []
    with ShardWriter(
        path,
        codec=options.codec,
        configuration=options.to_json(),
        salt=options.instance_salt,
        label_path=label_folder(out) / path.name,
    ) as writer:
        for subject in batch.subjects:
            start = time.perf_counter()
            extracted = extract_subject(subject, options, batch.label_files.get(subject.key, ()))
            writer.add(extracted.record)
            if extracted.labels:
                writer.add_labels(subject.key, extracted.labels)
            outcomes.append(_outcome(extracted.record, time.perf_counter() - start))
            on_subject()
        summary = writer.seal()
    return replace(summary, outcomes=tuple(outcomes))


def _outcome(record: SubjectRecord, seconds: float) -> SubjectOutcome:
    """Return what became of a subject, now that it is done."""
    n_images = sum(view.image.shape[0] * view.image.shape[1] for view in record.views)
    return SubjectOutcome(record.key, n_images, record.findings, time.time(), seconds)
