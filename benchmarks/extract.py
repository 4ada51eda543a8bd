"""Time `cmr-planes extract` beside what people use now, on one core, in one run.

    python benchmarks/extract.py [--rounds 3] [--subjects 8]

A subject is like one of UK Biobank: 11 short-axis levels and 3 long-axis views of 50 frames, 208 × 180 pixels, headers as large as
a scanner's, in two zips. Every command is a process of its own, start-up included; rounds alternate between the commands, and the
median counts. Peers: `unzip` and `dcm2niix -z n` into NIfTI, and a pass of plain pydicom over all headers and pixels.
"""

import argparse
import dataclasses
import os
import platform
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
from rich.console import Console
from rich.table import Table

from cmr_planes import Catalogue
from cmr_planes.phantom.small_study import encode_study, simple_study

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
    parser.add_argument("--subjects", type=int, default=8, help="subjects in the cohort of the second and third table")
    arguments = parser.parse_args()
    console = Console(width=110)
    console.print(f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}")
    with tempfile.TemporaryDirectory(prefix="cmr-planes-bench-") as name:
        folder = Path(name)
        zips = make_subject(folder / "subject")
        size = sum(path.stat().st_size for path in zips)
        console.print(f"one subject: {len(zips)} zips, {size / 1e6:.0f} MB, 700 instances")
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


def timed(command: Callable[[], None], rounds: int) -> float:
    """Return the median seconds of a command."""
    seconds = []
    for _ in range(rounds):
        start = time.perf_counter()
        command()
        seconds.append(time.perf_counter() - start)
    return statistics.median(seconds)


def run(command: Sequence[str], *, cores: str = "0") -> None:
    """Run a command on some cores, quietly; it must succeed."""
    subprocess.run(["taskset", "-c", cores, *command], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


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


def compare(folder: Path, zips: Sequence[Path], rounds: int, n_subjects: int) -> Table:
    """Compare with the peers, for one subject and for a cohort."""
    table = Table(title="one core: median seconds", title_justify="left")
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
        seconds = [[timed(command, 1) for command in commands] for _ in range(rounds)]
        ours, dcm2niix, pydicom = (statistics.median(column) for column in zip(*seconds, strict=True))
        numbers = (f"{ours:.2f}", f"{dcm2niix:.2f}", f"{pydicom:.2f}", f"{ours / dcm2niix:.2f}", f"{ours / pydicom:.2f}")
        table.add_row(str(count), *numbers)
    return table


def scaling(folder: Path, zips: Sequence[Path], rounds: int, n_subjects: int) -> Table:
    """Compare one worker with two, and with two separate runs of half the cohort: what this machine can give at most."""
    table = Table(title="workers: median seconds, and peak memory of a worker", title_justify="left")
    for heading in ("subjects", "1 worker", "2 workers", "2 separate runs", "speed-up", "most possible", "MB a worker"):
        table.add_column(heading, justify="right")
    for count in (n_subjects, 4 * n_subjects):
        source = cohort(folder / "cohort", zips, count)
        half = cohort(folder / "half", zips, count // 2)
        size = max(1, count // 8)
        commands = [
            partial(extract, source, folder / "out.h5", workers=workers, shard_size=size, cores="0,1") for workers in (1, 2)
        ]
        apart = partial(extract_apart, half, folder, size)
        seconds = [[timed(command, 1) for command in (*commands, apart)] for _ in range(rounds)]
        one, two, separate = (statistics.median(column) for column in zip(*seconds, strict=True))
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
        start = time.perf_counter()
        with h5py.File(path, "w") as file:
            file.create_dataset("image", data=images, chunks=(1, *images.shape[1:]), **options)
        written = time.perf_counter() - start
        start = time.perf_counter()
        with h5py.File(path) as file:
            for index in order:
                file["image"][index]
        read = time.perf_counter() - start
        table.add_row(
            name, f"{path.stat().st_size / images.nbytes:.2f}", f"{len(images) / written:,.0f}", f"{len(images) / read:,.0f}"
        )
    return table


if __name__ == "__main__":
    main()
