"""What the page of a cohort costs with 1,000, 10,000 and 100,000 subjects.

    python benchmarks/quality_page.py [--subjects 1000 10000 100000] [--keep FOLDER]

One synthetic subject is extracted, and its images stand for all; the tables hold as many subjects as asked for, with measures,
scanners, rejections and notes drawn at random, so that every end has other subjects. Each page is written in a process of its own:
seconds are its CPU time, and its peak memory is that of the process. The pictures are drawn as for any catalogue.
"""

import argparse
import resource
import subprocess
import sys
import tempfile
from pathlib import Path

import h5py
import numpy as np
from numpy.typing import NDArray

import cmr_planes
from cmr_planes.phantom.small_study import simple_study, write_study
from cmr_planes.quality.page import write_quality_page
from cmr_planes.shards.catalogue_writer import write_catalogue
from cmr_planes.shards.hdf5_writing import write_table
from cmr_planes.shards.tables import TABLES, make_table

VENDORS = (("siemens", 1.5), ("siemens", 3.0), ("ge", 1.5), ("philips", 1.5), ("philips", 3.0))
BASE = "SYN-0001"
LEFT_OUT, LOW, NOTED = 0.03, 0.06, 0.2
"""Shares of subjects left out, and of views with low agreement or another note."""


def make_catalogue(folder: Path, n_subjects: int) -> Path:
    """Write a catalogue whose subjects all link to the images of one."""
    write_study(
        folder / "dicom" / BASE, simple_study(name=BASE, n_slices=5, n_frames=12, rows=96, columns=96, spacing_mm=(3.0, 3.0))
    )
    out = folder / "out.h5"
    cmr_planes.extract(folder / "dicom", out, workers=1, overwrite=True)
    with cmr_planes.Catalogue(out) as catalogue:
        configuration = catalogue.configuration()
    rng = np.random.default_rng(0)
    (shard,) = (folder / "out.shards").glob("*.h5")
    keys = np.array([f"{9_000_000 + number}".encode() for number in range(n_subjects)])
    is_used = rng.random(n_subjects) > LEFT_OUT
    with h5py.File(shard, "r+") as file:
        tables = {name: file[name][()] for name in TABLES}
        for key in keys[is_used].tolist():
            file["data"][key] = file[f"data/{BASE}"]
        for name, table in _tables(tables, keys, is_used, rng).items():
            del file[name]
            write_table(file, name, table)
    write_catalogue(out, [shard], configuration=configuration, versions={"cmr-planes": "1"})
    return out


def _tables(
    base: dict[str, NDArray[np.void]], keys: NDArray[np.bytes_], is_used: NDArray[np.bool_], rng: np.random.Generator
) -> dict[str, NDArray[np.void]]:
    """Repeat the rows of one subject under all names, with other measures."""
    used = keys[is_used]
    made = {name: _repeated(base[name], used) for name in ("index", "views", "planes", "prints")}
    made["prints"]["digest"] = np.arange(len(made["prints"])).astype("S16")  # copies would be noted
    views, n_rows = made["views"], len(made["views"])
    vendors = rng.integers(len(VENDORS), size=len(used)).repeat(len(base["views"]))
    views["manufacturer"] = np.array([name.encode() for name, _ in VENDORS])[vendors]
    views["field_strength_t"] = np.array([field for _, field in VENDORS])[vendors]
    has_lines = ~np.isnan(views["line_angle_deg"])
    views["line_angle_deg"] = np.where(has_lines, 90 - rng.gamma(2.0, 8.0, n_rows).clip(0, 57), np.nan)
    views["alignment"] = np.where(has_lines[:, None], rng.beta(6, 2, (n_rows, 2)), np.nan)
    views["line_agreement"] = np.where(has_lines[:, None], 1 - rng.gamma(2.0, 0.09, (n_rows, 2)), np.nan)
    views["worst_agreement"] = views["line_agreement"].min(axis=1) - rng.gamma(1.5, 0.05, n_rows)
    views["row_spacing_mm"] = rng.choice([1.25, 1.5, 1.82, 2.0], n_rows)
    views["n_frames"] = rng.choice([20, 25, 30, 50], n_rows, p=[0.05, 0.25, 0.3, 0.4])
    views["ed_cycle"] = np.abs(rng.normal(0, 0.02, n_rows)) % 1
    views["es_cycle"] = rng.normal(0.37, 0.04, n_rows)
    sax = views["view"] == b"sax"
    views["n_slices"][sax] = rng.integers(7, 14, sax.sum())
    n_images = np.where(is_used, len(base["index"]), 0)
    made["subjects"] = make_table(
        TABLES["subjects"], [(key.decode(), key.decode(), n) for key, n in zip(keys, n_images.tolist(), strict=True)]
    )
    noted = views[has_lines & (rng.random(n_rows) < LOW)]
    sentence = "the images agree little along the lines ({:.2f} and {:.2f}); look at the pictures"
    low = [
        (row["subject"].decode(), row["view"].decode(), "low_agreement", sentence.format(*row["line_agreement"])) for row in noted
    ]
    other = [
        (row["subject"].decode(), row["view"].decode(), "slice_left_out", "1 of 9 slices was left out: it cannot be decoded")
        for row in views[rng.random(n_rows) < NOTED]
    ]
    codes = rng.choice(["no_sax", "no_2ch", "no_4ch", "unreadable_pixels"], size=int((~is_used).sum()))
    left = [
        (key.decode(), "", str(code), "no cine of the view among 9 series") for key, code in zip(keys[~is_used], codes, strict=True)
    ]
    made["notes"], made["rejections"] = (
        make_table(TABLES[name], rows) for name, rows in (("notes", low + other), ("rejections", left))
    )
    return {name: made[name] for name in TABLES}


def _repeated(table: NDArray[np.void], keys: NDArray[np.bytes_]) -> NDArray[np.void]:
    texts = ("subject", "participant")
    dtype = np.dtype([(name, keys.dtype if name in texts else table.dtype[name]) for name in table.dtype.names])
    made = np.zeros(len(table) * len(keys), dtype=dtype)
    for name in table.dtype.names:
        made[name] = keys.repeat(len(table)) if name in texts else np.tile(table[name], (len(keys), *[1] * (table[name].ndim - 1)))
    return made


def measure(catalogue: str, page: str) -> None:
    """Write a page and print what it cost."""
    written = write_quality_page(catalogue, page)
    usage = resource.getrusage(resource.RUSAGE_SELF)
    size, table = (path.stat().st_size / 1e6 for path in (written.page, written.table))
    print(
        f"{written.n_subjects:>9,} {written.n_rows:>9,} {written.n_pictures:>9} {size:>9.1f} {table:>9.1f} "
        f"{usage.ru_utime + usage.ru_stime:>9.0f} {usage.ru_maxrss / 1024:>9.0f}"
    )


def main() -> None:
    """Measure each size."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--subjects", type=int, nargs="+", default=[1_000, 10_000, 100_000])
    parser.add_argument("--keep", type=Path, help="folder in which catalogues and pages are left")
    arguments = parser.parse_args()
    heads = ("subjects", "rows", "pictures", "page, MB", "table, MB", "CPU, s", "peak, MB")
    print(" ".join(f"{head:>9}" for head in heads))
    for n_subjects in arguments.subjects:
        with tempfile.TemporaryDirectory() as temporary:
            folder = Path(temporary) if arguments.keep is None else arguments.keep / str(n_subjects)
            folder.mkdir(parents=True, exist_ok=True)
            out = make_catalogue(folder, n_subjects)
            subprocess.run([sys.executable, __file__, "--one", str(out), str(folder / "qc.html")], check=True)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--one"]:
        measure(*sys.argv[2:])
    else:
        main()
