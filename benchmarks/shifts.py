"""Measure how well shifts between breath-holds are found on phantoms, and whether they tell which view moved.

    python -m benchmarks.shifts [--subjects 24] [--breath 2,4] [--hard] [--markdown]

Images are made in memory at end-diastole: 2Ch, 3Ch, 4Ch and a short-axis stack, each in a breath-hold of its own. ``--breath``
is the standard deviation of the heart's place towards head and feet; across it is 0.2 and 0.4 of that. Residuals are lengths of
vectors in three dimensions, relative to the reference that shifts have (docs/shifts.md), of the short-axis slices.

Which view moved: in each subject the headers of one view, each in turn, are off by 5 to 15 mm in a random direction. The area
under the curve says how well the length of a view's median shift tells the views that lie more than 5 mm from the reference, by
headers or breath-holds, from the others; and those whose headers are off from all others; and the same for short-axis slices of
the subjects as they were. Shifts that are not told are left out, and counted. Beside each area stands that of the correlation
along the lines, unshifted.
"""

import argparse
import time
from dataclasses import dataclass, field, replace

import numpy as np
from rich.console import Console
from rich.table import Table
from scipy.stats import mannwhitneyu

from cmr_planes.cine.line_surfaces import ThickImage
from cmr_planes.cine.shifts import estimate_shifts, reference_weights
from cmr_planes.geometry import LPS_AXES, SliceShifts, median_shift_mm
from cmr_planes.geometry.arrays import FloatArray, unit
from cmr_planes.phantom.acquisition import Protocol
from cmr_planes.phantom.cohort import CohortOptions, make_examination
from cmr_planes.phantom.rendering import render_cine
from cmr_planes.views import CardiacView

ERROR_MM = (5.0, 15.0)
"""How far the headers of a view are off, at least and at most."""
NEAR_MM = 2.0
"""A residual that is good enough."""
MOVED_MM = 5.0
"""A slice that lies farther than this from the others has moved."""
RESIDUALS = ("before", "after", "in plane", "through", "within 2 mm, of told", "told", "error / sd", "agreement", "ms")
AREAS = tuple(
    f"{what}{measure}"
    for what in ("view beyond 5 mm", "headers off", "slice beyond 5 mm")
    for measure in ("", ", told", ", by agreement")
)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Subject:
    """The images of one subject, short axis first, and by what each has to be shifted."""

    images: list[ThickImage]
    views: list[CardiacView]
    true_mm: FloatArray

    @property
    def n_short(self) -> int:
        """Number of short-axis slices."""
        return self.views.count(CardiacView.SAX)

    def estimate(self) -> SliceShifts:
        """Return the shifts that the images tell."""
        found = estimate_shifts(self.images[: self.n_short], self.images[self.n_short :], head=LPS_AXES.superior)
        if found is None:
            raise RuntimeError("a phantom has all views")
        return found

    def truth(self) -> FloatArray:
        """Return the true shifts relative to the reference of the estimated ones, shape (image, 3)."""
        weights = reference_weights(self.true_mm, np.ones(len(self.images), dtype=np.bool_), self.n_short)
        return self.true_mm - weights @ self.true_mm

    def with_error(self, view: CardiacView, error_mm: FloatArray) -> "Subject":
        """Return the subject with the headers of a view off by a vector."""
        is_off = [one is view for one in self.views]
        images = [
            replace(image, plane=replace(image.plane, position_mm=image.plane.position_mm + error_mm)) if off else image
            for image, off in zip(self.images, is_off, strict=True)
        ]
        return replace(self, images=images, true_mm=self.true_mm - np.outer(is_off, error_mm))


def make_subject(index: int, breath_mm: float, *, hard: bool) -> Subject:
    """Make the images of a phantom."""
    examination = make_examination(CohortOptions(protocol=Protocol(n_frames=2, breath_mm=breath_mm), is_hard=hard), index)
    factor = breath_mm / examination.protocol.breath_mm  # a hard cohort draws its own
    order = sorted(range(len(examination.prescriptions)), key=lambda k: examination.prescriptions[k].view is not CardiacView.SAX)
    images, views, shifts = [], [], []
    for k in order:
        one = examination.prescriptions[k]
        frames = render_cine(
            examination.subject,
            one.plane,
            [0.0],
            thickness_mm=one.thickness_mm,
            scanner=examination.scanner,
            breath_mm=factor * one.breath_mm,
            rng=np.random.default_rng(examination.seeds[k]),
        )
        images.append(ThickImage(plane=one.plane, image=frames[0], thickness_mm=one.thickness_mm))
        views.append(one.view)
        shifts.append(-factor * one.breath_mm)
    return Subject(images=images, views=views, true_mm=np.array(shifts))


def residuals(subjects: list[Subject]) -> dict[str, float | str]:
    """Return the measures of :data:`RESIDUALS` over the short-axis slices of all subjects."""
    errors, before, normals, deviations, agreement, seconds = [], [], [], [], [], []
    for subject in subjects:
        n = subject.n_short
        start = time.process_time()
        found = subject.estimate()
        seconds.append(time.process_time() - start)
        truth = subject.truth()
        errors.append((found.shift_mm - truth)[:n])
        before.append(np.linalg.norm(truth[:n], axis=1))
        normals.append([image.plane.normal for image in subject.images[:n]])
        deviations.append(found.sd_mm[:n])
        agreement.append(found.agreement[:n])
    error, normal, sd = np.concatenate(errors), np.concatenate(normals), np.concatenate(deviations)
    length, through = np.linalg.norm(error, axis=1), np.abs((error * normal).sum(axis=1))
    in_plane = np.sqrt(np.maximum(length**2 - through**2, 0))
    told = np.isfinite(length)
    low, high = np.nanmean(np.concatenate(agreement), axis=0)
    values = (
        _rms(np.concatenate(before)),
        _rms(length[told]),
        _rms(in_plane[told]),
        _rms(through[told]),
        float((length[told] <= NEAR_MM).mean()),
        float(told.mean()),
        _rms(np.stack([in_plane / sd[:, 0] / 2**0.5, through / sd[:, 1]])[:, told]),
        f"{low:.2f} to {high:.2f}",
        1000 * float(np.median(seconds)),
    )
    return dict(zip(RESIDUALS, values, strict=True))


def areas(subjects: list[Subject]) -> dict[str, float | str]:
    """Return the measures of :data:`AREAS`."""
    rng = np.random.default_rng(0)
    slices, views, spoilt_views = Scores(), Scores(), Scores()
    for subject in subjects:
        found, truth = subject.estimate(), subject.truth()
        for k in range(subject.n_short):
            slices.add(_length(truth[k]) > MOVED_MM, _length(found.shift_mm[k]), found.agreement[k, 0])
        for moved in CardiacView:
            spoilt = subject.with_error(moved, rng.uniform(*ERROR_MM) * unit(rng.normal(size=3)))
            found, truth = spoilt.estimate(), spoilt.truth()
            for view in CardiacView:
                rows = [one is view for one in spoilt.views]
                score, agreement = _length(median_shift_mm(found.shift_mm[rows])), np.median(found.agreement[rows, 0])
                views.add(_length(median_shift_mm(truth[rows])) > MOVED_MM, score, agreement)
                spoilt_views.add(view is moved, score, agreement)
    values = [cell for scores in (views, spoilt_views, slices) for cell in scores.cells()]
    return dict(zip(AREAS, values, strict=True))


@dataclass(slots=True)
class Scores:
    """What is told of images that moved, and of others."""

    rows: list[tuple[bool, float, float]] = field(default_factory=list)
    """Whether it moved, the length of its shift, NaN where not told, and its agreement unshifted."""

    def add(self, has_moved: bool, length_mm: float, agreement: float) -> None:
        """Add an image or a view."""
        self.rows.append((has_moved, length_mm, float(agreement)))

    def cells(self) -> tuple[float, str, float]:
        """Return the area of those that are told, how many of the moved ones are told, and the area by agreement, of all."""
        moved, length_mm, agreement = (np.array(column) for column in zip(*self.rows, strict=True))
        told = np.isfinite(length_mm)
        area = _area(length_mm[told & moved], length_mm[told & ~moved])
        return area, f"{(told & moved).sum()} of {moved.sum()}", _area(-agreement[moved], -agreement[~moved])


def _length(shift_mm: FloatArray) -> float:
    """Return the length of a vector, NaN where it is not known."""
    return float(np.linalg.norm(shift_mm))


def _area(positive: FloatArray, negative: FloatArray) -> float:
    """Return the area under the receiver operating characteristic of a score."""
    return float(mannwhitneyu(positive, negative).statistic / len(positive) / len(negative))


def _rms(values: FloatArray) -> float:
    return float(np.sqrt(np.mean(np.square(values))))


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--subjects", type=int, default=24)
    parser.add_argument("--breath", default="2,4", help="standard deviations in mm, separated by commas")
    parser.add_argument("--hard", action="store_true", help="phantoms that vary as real sets do, with artefacts")
    parser.add_argument("--markdown", action="store_true", help="print the tables for a page")
    arguments = parser.parse_args()
    rows: dict[tuple[str, ...], list[list[str]]] = {RESIDUALS: [], AREAS: []}
    for breath_mm in map(float, arguments.breath.split(",")):
        subjects = [make_subject(index, breath_mm, hard=arguments.hard) for index in range(arguments.subjects)]
        for columns, measure in ((RESIDUALS, residuals), (AREAS, areas)):
            values = measure(subjects).values()
            rows[columns].append([f"{breath_mm:g}", *(one if isinstance(one, str) else f"{one:.2f}" for one in values)])
    for columns, found in rows.items():
        _print(("breath-holds, mm", *columns), found, markdown=arguments.markdown)


def _print(columns: tuple[str, ...], rows: list[list[str]], *, markdown: bool) -> None:
    """Print a table, for a terminal or a page."""
    if markdown:
        for row in (columns, ["---"] * len(columns), *rows):
            print("| " + " | ".join(row) + " |")
        print()
        return
    table = Table(*columns)
    for row in rows:
        table.add_row(*row)
    Console(width=160).print(table)


if __name__ == "__main__":
    main()
