"""Time `cmr-planes extract` beside what people use now, on one core, in one run.

    python benchmarks/extract.py [--rounds 3] [--subjects 12]

A subject is like one of UK Biobank: 11 short-axis levels and 3 long-axis views of 50 frames, 208 × 180 pixels, headers as large as
a scanner's, in two zips. Every command is a process of its own, start-up included, with Python's bytecode cached; rounds alternate
between the commands, and the median counts. Seconds on one core are the processor's, of all processes of a command, so that other
work counts less; those of several workers are of the clock. Peers: `unzip` and `dcm2niix -z n` into NIfTI, and a pass of plain
pydicom over all headers and pixels.
"""

import argparse
import dataclasses
import io
import os
import platform
import resource
import shutil
import statistics
import subprocess
import sys
import sysconfig
import tempfile
import threading
import time
import zipfile
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import h5py
import hdf5plugin
import numpy as np
import psutil
import pydicom
from isal import isal_zlib
from rich.console import Console
from rich.table import Table

from cmr_planes import Catalogue
from cmr_planes.dicom import tags
from cmr_planes.dicom.archive import Archive
from cmr_planes.dicom.elements import read_elements
from cmr_planes.dicom.headers import HEADER_TAGS
from cmr_planes.phantom.small_study import encode_study, simple_study, write_study

FIRST_EID = 9_000_001
PRIVATE_BYTES = 90_000
PYDICOM_SCRIPT = """
import io, sys, zipfile, pydicom
for path in sys.argv[1:]:
    with zipfile.ZipFile(path) as archive:
        for name in archive.namelist():
            pydicom.dcmread(io.BytesIO(archive.read(name))).pixel_array
"""


def main() -> None:
    """Run all comparisons and print their tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--subjects", type=int, default=12, help="subjects in the cohort of the second and third table")
    arguments = parser.parse_args()
    console = Console(width=110)
    console.print(f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}")
    with tempfile.TemporaryDirectory(prefix="cmr-planes-bench-") as name:
        folder = Path(name)
        zips = make_subject(folder / "subject")
        size = sum(path.stat().st_size for path in zips)
        console.print(f"one subject: {len(zips)} zips, {size / 1e6:.0f} MB, 700 instances")
        console.print(headers(zips))
        console.print(start(folder, arguments.rounds))
        console.print(compare(folder, zips, arguments.rounds, arguments.subjects))
        console.print(scaling(folder, zips, arguments.rounds, arguments.subjects))
        console.print(codecs(folder, zips))


def make_subject(folder: Path) -> list[Path]:
    """Write one subject's long-axis and short-axis zips."""
    folder.mkdir(parents=True)
    study = simple_study(
        name=str(FIRST_EID),
        n_slices=11,
        n_frames=50,
        rows=208,
        columns=180,
        spacing_mm=(1.82, 1.82),
        slice_distance_mm=10.0,
        private_bytes=PRIVATE_BYTES,
    )
    paths = []
    for field, views in (("20208", ("2ch", "3ch", "4ch")), ("20209", "sax")):
        series = {key: series for key, series in study.series.items() if key.startswith(views)}
        part = dataclasses.replace(study, series=series)
        path = folder / f"{FIRST_EID}_{field}_2_0.zip"
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            for file in encode_study(part):
                archive.writestr(f"{file.sop_instance_uid}.dcm", file.data)
        paths.append(path)
    return paths


def cohort(folder: Path, zips: Sequence[Path], n_subjects: int) -> Path:
    """Link the zips under other names, one pair a subject."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for number in range(n_subjects):
        for path in zips:
            os.link(path, folder / path.name.replace(str(FIRST_EID), str(FIRST_EID + number)))
    return folder


def timed(command: Callable[[], None]) -> float:
    """Return the seconds that a command takes."""
    begin = time.perf_counter()
    command()
    return time.perf_counter() - begin


def processor_time(command: Callable[[], None]) -> float:
    """Return the processor's seconds, user and system, of the processes that a command starts."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    command()
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime


def medians(measure: Callable[[Callable[[], None]], float], commands: Sequence[Callable[[], None]], rounds: int) -> list[float]:
    """Measure commands in turns; return the median of each."""
    measured = [[measure(command) for command in commands] for _ in range(rounds)]
    return [statistics.median(column) for column in zip(*measured, strict=True)]


def run(command: Sequence[str], *, cores: str = "0") -> None:
    """Run a command on some cores, quietly; it must succeed."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    words = ["taskset", "-c", cores, *command]
    subprocess.run(words, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=environment)


def script(name: str) -> str:
    """Return the path of a console script of this environment."""
    return str(Path(sysconfig.get_path("scripts")) / name)


def extract(source: Path, out: Path, *, workers: int, shard_size: int = 64, cores: str = "0") -> None:
    """Run the main job afresh."""
    shutil.rmtree(out.with_suffix(".shards"), ignore_errors=True)
    out.unlink(missing_ok=True)
    options = ["--workers", str(workers), "--shard-size", str(shard_size)]
    run([script("cmr-planes"), "extract", str(source), str(out), *options], cores=cores)


def convert(source: Path, folder: Path) -> None:
    """Unzip every subject and convert it with dcm2niix."""
    shutil.rmtree(folder, ignore_errors=True)
    for path in sorted(source.glob("*.zip")):
        target = folder / path.stem
        (target / "dicom").mkdir(parents=True)
        run(["unzip", "-q", str(path), "-d", str(target / "dicom")])
        run([script("dcm2niix"), "-z", "n", "-o", str(target), str(target / "dicom")])
        shutil.rmtree(target)


def headers(zips: Sequence[Path]) -> Table:
    """Compare reading the elements that are needed with pydicom's reading of the same, and with inflating alone."""
    table = Table(title="headers of zip members: ms each, the processor's", title_justify="left")
    for heading in ("read_elements", "pydicom, the same tags", "inflating 40 kB", "read_elements / pydicom"):
        table.add_column(heading, justify="right")
    with Archive(zips[-1]) as archive:
        names = archive.members
        stored = [isal_zlib.compress(archive.member(name).read(), wbits=-15) for name in names[:100]]
        ways = (
            lambda: [read_elements(archive.member(name), HEADER_TAGS, last=tags.RESCALE_SLOPE) for name in names],
            lambda: [
                pydicom.dcmread(
                    io.BytesIO(archive.member(name).head(40_000)), stop_before_pixels=True, force=True, specific_tags=[*HEADER_TAGS]
                )
                for name in names
            ],
            lambda: [isal_zlib.decompressobj(-15).decompress(data, 40_000) for data in stored],
        )
        counts = (len(names), len(names), len(stored))
        each = [1000 * min(_own_time(way) for _ in range(3)) / count for way, count in zip(ways, counts, strict=True)]
    table.add_row(*(f"{one:.3f}" for one in each), f"{each[0] / each[1]:.2f}")
    return table


def _own_time(command: Callable[[], object]) -> float:
    """Return the processor's seconds of this process that a function takes."""
    begin = time.process_time()
    command()
    return time.process_time() - begin


def start(folder: Path, rounds: int) -> Table:
    """Measure what commands take that have little to do."""
    table = Table(title="start: median seconds of the processor", title_justify="left")
    for heading in ("python -c pass", "cmr-planes --help", "extract, one subject of 64 files", "h5py, NumPy and rich alone"):
        table.add_column(heading, justify="right")
    write_study(folder / "small" / "SYN-0001", simple_study(n_slices=5, n_frames=8, rows=64, columns=64))
    commands = (
        partial(run, [sys.executable, "-c", "pass"]),
        partial(run, [script("cmr-planes"), "--help"]),
        partial(extract, folder / "small", folder / "small.h5", workers=1),
        partial(run, [sys.executable, "-c", "import click, h5py, hdf5plugin, numpy, rich.progress, rich.table"]),
    )
    medians(processor_time, commands, 1)  # caches the bytecode
    table.add_row(*(f"{seconds:.2f}" for seconds in medians(processor_time, commands, max(rounds, 3))))
    return table


def compare(folder: Path, zips: Sequence[Path], rounds: int, n_subjects: int) -> Table:
    """Compare with the peers, for one subject and for a cohort."""
    table = Table(title="one core: median seconds of the processor", title_justify="left")
    for heading in (
        "subjects",
        "cmr-planes extract",
        "unzip + dcm2niix",
        "pydicom, all",
        "extract / dcm2niix",
        "extract / pydicom",
    ):
        table.add_column(heading, justify="right")
    for count in (1, n_subjects):
        source = cohort(folder / "cohort", zips, count)
        paths = [str(path) for path in sorted(source.glob("*.zip"))]
        commands = (
            partial(extract, source, folder / "out.h5", workers=1),
            partial(convert, source, folder / "nifti"),
            partial(run, [sys.executable, "-c", PYDICOM_SCRIPT, *paths]),
        )
        ours, dcm2niix, plain = medians(processor_time, commands, rounds)
        numbers = (f"{ours:.2f}", f"{dcm2niix:.2f}", f"{plain:.2f}", f"{ours / dcm2niix:.2f}", f"{ours / plain:.2f}")
        table.add_row(str(count), *numbers)
    return table


def scaling(folder: Path, zips: Sequence[Path], rounds: int, n_subjects: int) -> Table:
    """Compare one worker with two, and with two separate runs of half the cohort: what this machine can give at most."""
    table = Table(title="workers: median seconds, and peak memory of a worker", title_justify="left")
    for heading in ("subjects", "1 worker", "2 workers", "2 separate runs", "speed-up", "most possible", "MB per worker"):
        table.add_column(heading, justify="right")
    for count in (n_subjects, 4 * n_subjects):
        source = cohort(folder / "cohort", zips, count)
        half = cohort(folder / "half", zips, count // 2)
        size = max(1, count // 8)
        commands = [
            partial(extract, source, folder / "out.h5", workers=workers, shard_size=size, cores="0,1") for workers in (1, 2)
        ]
        apart = partial(extract_apart, half, folder, size)
        one, two, separate = medians(timed, (*commands, apart), rounds)
        peak = peak_memory(commands[1])
        numbers = (f"{one:.2f}", f"{two:.2f}", f"{separate:.2f}", f"{one / two:.2f}", f"{one / separate:.2f}", f"{peak / 1e6:.0f}")
        table.add_row(str(count), *numbers)
    return table


def extract_apart(source: Path, folder: Path, shard_size: int) -> None:
    """Run the main job twice at once, each with one worker on a core of its own."""
    runs = [
        threading.Thread(
            target=partial(extract, source, folder / f"out{core}.h5", workers=1, shard_size=shard_size, cores=str(core))
        )
        for core in (0, 1)
    ]
    for one in runs:
        one.start()
    for one in runs:
        one.join()


def peak_memory(command: Callable[[], None]) -> int:
    """Return the largest resident set of any process that a command starts, in bytes."""
    peak = 0
    thread = threading.Thread(target=command)
    thread.start()
    while thread.is_alive():
        for process in psutil.Process().children(recursive=True):
            try:
                peak = max(peak, process.memory_info().rss)
            except psutil.Error:
                continue
        time.sleep(0.01)
    return peak


def codecs(folder: Path, zips: Sequence[Path]) -> Table:
    """Compare the two filters on the subject's images: size, writing, and reading in random order."""
    source = cohort(folder / "cohort", zips, 1)
    extract(source, folder / "out.h5", workers=1)
    with Catalogue(folder / "out.h5") as catalogue:
        images = np.stack([image.image for image in catalogue.images()])
    images = np.tile(images, (1000 // len(images) + 1, 1, 1))[:1000]
    table = Table(title=f"filters on {len(images)} images, one chunk each", title_justify="left")
    for heading in ("filter", "share of raw size", "images/s written", "images/s read at random"):
        table.add_column(heading, justify="right")
    filters = {
        "bitshuffle-lz4": hdf5plugin.Bitshuffle(cname="lz4"),
        "gzip": {"compression": "gzip", "compression_opts": 4, "shuffle": True},
    }
    order = np.random.default_rng(0).permutation(len(images))
    for name, options in filters.items():
        path = folder / f"{name}.h5"
        begin = time.perf_counter()
        with h5py.File(path, "w") as file:
            file.create_dataset("image", data=images, chunks=(1, *images.shape[1:]), **options)
        written = time.perf_counter() - begin
        begin = time.perf_counter()
        with h5py.File(path) as file:
            for index in order:
                file["image"][index]
        read = time.perf_counter() - begin
        table.add_row(
            name, f"{path.stat().st_size / images.nbytes:.2f}", f"{len(images) / written:,.0f}", f"{len(images) / read:,.0f}"
        )
    return table


if __name__ == "__main__":
    main()
