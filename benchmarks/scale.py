"""What planning, resuming, cataloguing and loading cost with 1,000, 10,000 and 100,000 subjects.

    python benchmarks/scale.py [--subjects 1000 10000 100000] [--folder /tmp]

The subjects are hard links of a few small zips under UK Biobank's names. Of each 22 images are kept (--views sax: 11 levels, two
phases), as of a real one; only the matrix is small (24 × 24), so that 100,000 subjects fit on a disk. One of them is extracted, and
its record written under all other names with the writer that extraction uses, into all shards but 1 %: this stands for a run that
was stopped late. The run that goes on is a real one; one of its shards is compared with what the copies would have given. Every
figure is taken in a process of its own; seconds are its CPU time, all files being in memory. Needs 3 GB for 100,000 subjects, and
removes them.
"""

import argparse
import dataclasses
import itertools
import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

from cmr_planes import BoxLayout, CardiacView, Catalogue, ExtractOptions
from cmr_planes.discovery.subjects import SubjectSource, find_subjects
from cmr_planes.extraction.job import finish
from cmr_planes.extraction.plan import ExtractionPlan, make_plan, prepare, shard_path
from cmr_planes.extraction.run import run_here
from cmr_planes.extraction.subject import extract_subject
from cmr_planes.phantom.small_study import encode_study, simple_study
from cmr_planes.shards.records import SubjectRecord
from cmr_planes.shards.shard_writer import ShardWriter
from cmr_planes.shards.summary import summarise
from cmr_planes.system.whole_file import checksum_path, read_checksum

FIRST_EID = 9_000_001
MAX_LINKS = 30_000
"""Links to one zip: file systems allow some 65,000."""
LEFT_OUT = 100
"""One shard in so many is left to do."""
PIXELS, FIELD_OF_VIEW_MM = 24, 336.0
OPTIONS = ExtractOptions(views=(CardiacView.SAX,), layout=BoxLayout(size=1.0, gap=4.0))
ROWS = {
    "list and plan, s": "plan",
    "its peak memory, MB": "plan_mb",
    "resume at 99 %: plan again, s": "again",
    "resume: write the catalogue, s": "finish",
    "resume: count what it holds, s": "count",
    "peak memory of the coordinator, MB": "resume_mb",
    "(subjects in the 1 %)": "n_rest",
    "(extracting them, s of the clock, two workers)": "rest",
    "catalogue, MB": "catalogue_mb",
    "open the catalogue, ms": "open_ms",
    "read its index of SAX, s": "index",
    "first batch of 20, from opening on, s": "batch",
    "the trainer's check of subjects, s": "check",
    "peak memory of the loader, MB": "batch_mb",
}


def main() -> None:
    """Run all sizes and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--subjects", type=int, nargs="+", default=[1000, 10_000, 100_000])
    parser.add_argument("--folder", type=Path, default=None, help="where to work; the system's folder for temporary files")
    parser.add_argument("--stage", choices=list(STAGES), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.stage:
        print(json.dumps(STAGES[arguments.stage](arguments.folder)))
        return
    columns = [measure(n_subjects, arguments.folder) for n_subjects in arguments.subjects]
    print("| subjects |" + "".join(f" {n_subjects:,} |" for n_subjects in arguments.subjects))
    print("|---|" + "---:|" * len(columns))
    for title, name in ROWS.items():
        print(f"| {title} |" + "".join(f" {column[name]:,.{0 if column[name] >= 10 else 2}f} |" for column in columns))


def measure(n_subjects: int, folder: Path | None) -> dict[str, float]:
    """Return all figures of one size."""
    with tempfile.TemporaryDirectory(prefix="cmr-planes-scale-", dir=folder) as name:
        work = Path(name)
        link_cohort(work / "zips", n_subjects)
        figures: dict[str, float] = {}
        for stage in STAGES:
            command = [sys.executable, __file__, "--stage", stage, "--folder", str(work)]
            done = subprocess.run(command, check=True, capture_output=True, text=True)
            figures |= json.loads(done.stdout)
            print(f"{n_subjects:,} subjects, {stage} done", file=sys.stderr)
        shutil.rmtree(work / "zips")
        return figures


def link_cohort(folder: Path, n_subjects: int) -> None:
    """Write a subject's two zips as often as links need it, and link them under the names of the others."""
    study = simple_study(
        name=str(FIRST_EID),
        n_slices=11,
        n_frames=8,
        rows=PIXELS,
        columns=PIXELS,
        spacing_mm=(FIELD_OF_VIEW_MM / PIXELS, FIELD_OF_VIEW_MM / PIXELS),
        slice_distance_mm=8.0,
    )
    folder.mkdir()
    for field, views in (("20208", ("2ch", "3ch", "4ch")), ("20209", "sax")):
        part = dataclasses.replace(study, series={key: series for key, series in study.series.items() if key.startswith(views)})
        files = encode_study(part)
        for number in range(n_subjects):
            path = folder / f"{FIRST_EID + number}_{field}_2_0.zip"
            if number % MAX_LINKS == 0:
                with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
                    for file in files:
                        archive.writestr(f"{file.sop_instance_uid}.dcm", file.data)
                first = path
            else:
                os.link(first, path)


def plan_stage(work: Path) -> dict[str, float]:
    """List the cohort and plan its extraction."""
    start = time.process_time()
    make_plan([work / "zips"], work / "none.h5", OPTIONS)
    return {"plan": time.process_time() - start, "plan_mb": peak_mb()}


def fill_stage(work: Path) -> dict[str, float]:
    """Write 99 % of the shards with copies of one record."""
    plan = make_plan([work / "zips"], work / "out.h5", OPTIONS)
    prepare(plan)
    record = first_record(work)
    batches = [(shard_path(plan.out, batch.number), batch.subjects) for batch in plan.pending if batch.number % LEFT_OUT]
    with ProcessPoolExecutor(2) as pool:
        for _ in pool.map(write_copies, *zip(*batches, strict=True), [record] * len(batches), chunksize=8):
            pass
    return {}


def resume_stage(work: Path) -> dict[str, float]:
    """Resume the run, as 'cmr-planes extract' does."""
    marks = [time.process_time()]
    plan = make_plan([work / "zips"], work / "out.h5", OPTIONS)
    prepare(plan)
    marks.append(time.process_time())
    start = time.perf_counter()
    run_here(plan, n_workers=2, on_progress=lambda _: None)
    rest = time.perf_counter() - start
    marks.append(time.process_time())
    finish(plan)
    marks.append(time.process_time())
    with Catalogue(plan.out) as catalogue:
        summarise(catalogue.subjects(), catalogue.views(), catalogue.rejections(), catalogue.notes())
    marks.append(time.process_time())
    again, _, end, count = (after - before for before, after in itertools.pairwise(marks))
    figures = {
        "again": again,
        "rest": rest,
        "n_rest": plan.n_pending_subjects,
        "finish": end,
        "count": count,
        "resume_mb": peak_mb(),
    }
    check_copies(plan, work)
    return figures | {"catalogue_mb": plan.out.stat().st_size / 1e6}


def open_stage(work: Path) -> dict[str, float]:
    """Open the catalogue and read which short-axis images there are."""
    start = time.process_time()
    with Catalogue(work / "out.h5") as catalogue:
        opened = time.process_time()
        catalogue.index(CardiacView.SAX)
    return {"open_ms": 1000 * (opened - start), "index": time.process_time() - opened}


def batch_stage(work: Path) -> dict[str, float]:
    """Read the loader's first batch."""
    from cmr_train.choices import Head
    from cmr_train.data.batches import Order
    from cmr_train.data.datasets import PlaneDataset, Target
    from cmr_train.data.images import Grid

    start = time.process_time()
    with Catalogue(work / "out.h5") as catalogue:
        index = catalogue.index(CardiacView.SAX)
        index = index.select(index.has_positions)
        target = Target(view=CardiacView.SAX, head=Head.POSITIONS, classes=tuple(range(10)), grid=Grid((PIXELS, PIXELS)))
        dataset = PlaneDataset(catalogue, index, target)
        order = Order(n_images=len(dataset), batch_size=20, seed=0, task=0)
        dataset.batch(order.rows(0).tolist())
        seconds = time.process_time() - start
        dataset.check()
    return {"batch": seconds, "check": time.process_time() - start - seconds, "batch_mb": peak_mb()}


STAGES: dict[str, Callable[[Path], dict[str, float]]] = {
    "plan": plan_stage,
    "fill": fill_stage,
    "resume": resume_stage,
    "open": open_stage,
    "batch": batch_stage,
}


def first_record(work: Path) -> SubjectRecord:
    """Extract the first subject."""
    paths = [work / "zips" / f"{FIRST_EID}_{field}_2_0.zip" for field in ("20208", "20209")]
    return extract_subject(find_subjects(paths)[0], OPTIONS, ()).record


def copies(record: SubjectRecord, subjects: tuple[SubjectSource, ...]) -> Iterator[SubjectRecord]:
    """Give a record the names of other subjects."""
    return (dataclasses.replace(record, key=subject.key, participant=subject.participant) for subject in subjects)


def write_copies(path: Path, subjects: tuple[SubjectSource, ...], record: SubjectRecord) -> None:
    """Write a shard of copies."""
    with ShardWriter(path, codec=OPTIONS.codec, configuration=OPTIONS.to_json()) as writer:
        for copy in copies(record, subjects):
            writer.add(copy)
        writer.seal()


def check_copies(plan: ExtractionPlan, work: Path) -> None:
    """Raise if a shard that was really extracted is not what the copies would have given."""
    batch = plan.pending[0]
    path = work / "copy.h5"
    write_copies(path, batch.subjects, first_record(work))
    if read_checksum(path) != read_checksum(shard_path(plan.out, batch.number)):
        raise SystemExit("a shard of copies differs from the extracted one: the figures would be of something else")
    path.unlink()
    checksum_path(path).unlink()


def peak_mb() -> float:
    """Return the largest resident set of this process so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


if __name__ == "__main__":
    main()
