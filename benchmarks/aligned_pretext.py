"""Score pretexts that were trained on boxes at the headers' lines and at aligned ones, on other phantoms with known breath-holds.

    cmr-planes phantom train -n 48 --breath 4 --frames 2 --seed 11
    cmr-planes phantom test -n 12 --breath 4 --frames 2 --seed 12
    cmr-planes extract train/dicom plain.h5
    cmr-planes extract train/dicom aligned.h5 --align
    cmr-planes extract test/dicom test_plain.h5
    cmr-planes extract test/dicom test_aligned.h5 --align
    cmr-train pretext --preset quick --resample 3.64 --data plain.h5 --out runs/plain
    cmr-train pretext --preset quick --resample 3.64 --data aligned.h5 --out runs/aligned
    python benchmarks/aligned_pretext.py test/truth/breath.csv test_plain.h5 test_aligned.h5 runs/plain runs/aligned

For each run, the mean Dice of the nine positions on the short-axis images of the test subjects, over a subject's images and
then over subjects and positions: against the boxes at the headers' lines, at aligned lines, and at the true lines, which know
where the heart lay in each breath-hold.
"""

import argparse
import csv
from collections import defaultdict
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cmr_planes.geometry import VIEW_LINES, UnboundedPlane, compute_positions, draw_mask, middle_slice
from cmr_planes.geometry.arrays import FloatArray
from cmr_planes.shards.catalogue import Catalogue
from cmr_planes.views import CardiacView, PositionClass
from cmr_train.prediction.inference import find_classes
from cmr_train.runs.run import load_run
from cmr_train.training.validation import mean_dice

Masks = NDArray[np.uint8]


def read_shifts(path: Path) -> dict[tuple[str, CardiacView], FloatArray]:
    """Return by subject and view what has to be added to each slice's position, shape (slice, 3)."""
    found: dict[tuple[str, CardiacView], list[FloatArray]] = defaultdict(list)
    with path.open(encoding="utf-8") as file:
        for row in csv.DictReader(file):
            parts = [[float(row[f"{what}_{axis}_mm"]) for axis in "xyz"] for what in ("breath", "header")]
            found[row["key"], CardiacView(row["view"])].append(-np.sum(parts, axis=0))
    return {key: np.array(values) for key, values in found.items()}


def true_masks(catalogue: Catalogue, subject: str, shifts: dict[tuple[str, CardiacView], FloatArray]) -> Masks:
    """Draw the boxes on a subject's short axis at the lines where the other views' tissue lies; shape (slice, row, column)."""
    sax = catalogue.view_attributes(subject, CardiacView.SAX)
    if sax.boxes is None:
        raise ValueError(f"the short axis of {subject} has no positions")
    masks = []
    for plane, own_mm in zip(sax.planes, shifts[subject, CardiacView.SAX], strict=True):
        lines = []
        for line in VIEW_LINES[CardiacView.SAX]:
            planes = catalogue.view_attributes(subject, line.view).planes
            middle = middle_slice(planes)
            relative_mm = shifts[subject, line.view][middle] - own_mm
            lines.append(UnboundedPlane(planes[middle].centre_mm + relative_mm, planes[middle].normal))
        first, second = VIEW_LINES[CardiacView.SAX]
        boxes = compute_positions(plane, *lines, axes=(first.axis, second.axis), layout=sax.boxes.layout)
        masks.append(draw_mask(boxes, plane.rows, plane.columns))
    return np.stack(masks)


def stored_masks(catalogue: Catalogue, subject: str) -> Masks:
    """Return the boxes that a catalogue has on a subject's short axis at end-diastole."""
    n_slices = catalogue.view_attributes(subject, CardiacView.SAX).shape[1]
    return np.stack([catalogue.positions(subject, CardiacView.SAX, 0, index) for index in range(n_slices)])


def confusion(true: Masks, found: Masks) -> NDArray[np.int64]:
    """Count the pixels of each true class that were given each class, shape (10, 10)."""
    n = len(PositionClass)
    return np.bincount(true.ravel().astype(np.int64) * n + found.ravel(), minlength=n * n).reshape(n, n)


def main() -> None:
    """Print the table as Markdown."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("breath", type=Path)
    parser.add_argument("plain", type=Path)
    parser.add_argument("aligned", type=Path)
    parser.add_argument("runs", type=Path, nargs="+")
    arguments = parser.parse_args()
    shifts = read_shifts(arguments.breath)
    with Catalogue(arguments.plain) as plain, Catalogue(arguments.aligned) as aligned:
        subjects = plain.subjects().key
        targets = [(stored_masks(plain, one), stored_masks(aligned, one), true_masks(plain, one, shifts)) for one in subjects]
        print("| run | headers' lines | aligned lines | true lines |\n| --- | --- | --- | --- |")
        for name in arguments.runs:
            run = load_run(name, "cpu")
            counts: list[list[NDArray[np.int64]]] = [[], [], []]
            for subject, masks in zip(subjects, targets, strict=True):
                sax = plain.view_attributes(subject, CardiacView.SAX)
                images = [plain.image(subject, CardiacView.SAX, 0, index) for index in range(sax.shape[1])]
                spacings = [(plane.row_spacing_mm, plane.column_spacing_mm) for plane in sax.planes]
                found = np.stack(find_classes(run.classifier, images, spacings, grid=run.grid))
                for column, mask in zip(counts, masks, strict=True):
                    column.append(confusion(mask, found))
            cells = [f"{np.nanmean(mean_dice(np.array(column))[1:]):.3f}" for column in counts]
            print(f"| {name.name} | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
