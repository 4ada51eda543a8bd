"""How far each slice of a subject lies from where its image agrees with those of the other views.

The heart lies elsewhere in every breath-hold, and anywhere after a patient has moved or where a header is wrong. All common lines
of a subject's images are solved together: the surface of each pair (:mod:`cmr_planes.cine.line_surfaces`) is a likelihood of their
relative shift. The best shifts are searched from coarse to fine, then found between the grid's points by weighted least
squares on the surfaces' local parabolas. A line whose own peak lies far from where the others put it counts less.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cmr_planes.cine.line_surfaces import N_OFFSETS, N_SIDE, RANGE_MM, REACH_MM, STEP_MM, LineSurfaces, ThickImage, line_surfaces
from cmr_planes.cine.sampling import sample
from cmr_planes.geometry import ImagePlane, SliceShifts
from cmr_planes.geometry.arrays import BoolArray, FloatArray, IntArray, distinct, median

SAMPLE_MM = 8.0
"""Length of a line that counts as one independent sample."""
HEAD_FEET_MM, ACROSS_MM = 6.0, 3.0
"""Scale of shifts, mm: the diaphragm moves the heart mostly towards head and feet (McLeish et al., IEEE TMI 2002)."""
TAIL = 3.0
"""Degrees of freedom of the shifts' t distribution: a patient who moved is far out, but possible."""
MAX_SD_MM = 3.0
"""A shift that is known to less than this is none."""
MIN_AGREEMENT = 0.5
"""Images that agree less than this along their lines once they are shifted do not show the same."""
ELSEWHERE_MM, MIN_LEAD = 6.0, 1.0
"""A shift is given only if any other one, farther than this from it, is less likely by a factor of e."""
MIN_LINES = 2
"""Common lines that an image needs."""
OUTLIER = 3.0
"""A line whose own peak is this many standard deviations from the common solution has half the weight."""
USUAL_MM = 5.0
"""A view that lies farther than this from the others counts less in the place to which shifts refer."""
MAX_STEP_MM = 2.0
"""Largest change of a shift in one step of the least squares."""
ENOUGH_MM = 0.02
"""The least squares end when no shift changes by more."""

_COARSE_MM, _COARSE_RANGE_MM, _FINE_RANGE_MM = 4.0, 16.0, 6.0
_N_COARSE, _N_FINE, _N_STEPS, _N_WEIGHTINGS, _N_CENTRE = 3, 4, 12, 2, 30


def estimate_shifts(short_axis: Sequence[ThickImage], long_axis: Sequence[ThickImage], *, head: FloatArray) -> SliceShifts | None:
    """Find the shift of each image at which all of them agree best.

    Parameters
    ----------
    short_axis
        Slices of the short axis, at end-diastole.
    long_axis
        Images of different long-axis views, at end-diastole.
    head
        The direction of the patient's head, unit vector, shape (3,).

    Returns
    -------
        Shifts of the short-axis slices, then of the long-axis images; relative to the robust centre of the long-axis images' (of
        two, with the stack's median shift). None with fewer than two long-axis images, or where no images share a line.
    """
    if len(long_axis) < MIN_LINES or not short_axis:
        return None
    images = [*short_axis, *long_axis]
    n_short, n = len(short_axis), len(images)
    pairs = [(k, j) for k in range(n_short) for j in range(n_short, n)]
    pairs += [(i, j) for i in range(n_short, n) for j in range(i + 1, n)]
    centre_mm = _heart_centre(images[n_short // 2], long_axis)
    feet = [centre_mm - one.plane.signed_distance_mm(centre_mm) * one.plane.normal for one in images]
    surfaces = line_surfaces(images, pairs, [feet[first] for first, _ in pairs])
    if not len(surfaces.pairs):
        return None
    problem = _Problem.of(surfaces, n, n_short, head)
    start_mm, lead = _search(problem)
    shift_mm, information = _refine(problem, start_mm)
    return _conclude(problem, shift_mm, information, lead, images)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Problem:
    """What is to be solved."""

    n: int
    n_short: int
    pairs: IntArray
    maps: FloatArray
    correlation: NDArray[np.float32]
    likelihood: NDArray[np.float32]
    """Shape (pair, offset, offset, offset): logarithm of the likelihood of each offset, 0 for none."""
    precision: FloatArray
    """Shape (3, 3): inverse square of the scale of shifts."""

    @classmethod
    def of(cls, surfaces: LineSurfaces, n: int, n_short: int, head: FloatArray) -> "_Problem":
        # of Gaussian noise of unknown strength: -n/2 log(1 - r²); against is no better than none
        correlation = surfaces.correlation.clip(0, 0.999)
        along = np.outer(head, head)
        return cls(
            n=n,
            n_short=n_short,
            pairs=surfaces.pairs,
            maps=surfaces.offsets_from_shift,
            correlation=surfaces.correlation,
            likelihood=np.float32(-REACH_MM / SAMPLE_MM) * np.log1p(-(correlation**2)),
            precision=along / HEAD_FEET_MM**2 + (np.eye(3) - along) / ACROSS_MM**2,
        )

    def lines_of(self, image: int) -> IntArray:
        """Return the pairs that an image is in."""
        return np.flatnonzero((self.pairs == image).any(axis=1))

    def offsets_mm(self, shift_mm: FloatArray) -> FloatArray:
        """Return the offsets, shape (pair, 3), of the images' shifts, shape (image, 3)."""
        relative = shift_mm[self.pairs[:, 1]] - shift_mm[self.pairs[:, 0]]
        return np.asarray(np.einsum("pab,pb->pa", self.maps, relative))

    def log_prior(self, shift_mm: FloatArray) -> FloatArray:
        """Return the logarithm of the prior of shifts, shape (..., 3)."""
        squares = (shift_mm @ self.precision * shift_mm).sum(axis=-1)
        return np.asarray(np.log1p(squares / TAIL) * (-(TAIL + 3) / 2))

    def prior_information(self, shift_mm: FloatArray) -> FloatArray:
        """Return the information of the normal distribution that is as steep at shifts, shape (image, 3); shape (image, 3, 3)."""
        squares = (shift_mm @ self.precision * shift_mm).sum(axis=-1)
        return np.asarray(((TAIL + 3) / (TAIL + squares))[:, None, None] * self.precision)


def _heart_centre(middle: ThickImage, long_axis: Sequence[ThickImage]) -> FloatArray:
    """Return the point that is nearest to all long-axis planes and the middle slice, shape (3,), LPS."""
    planes = [middle.plane, *(one.plane for one in long_axis)]
    start = middle.plane.centre_mm
    normals = np.stack([plane.normal for plane in planes])
    distances = np.array([plane.signed_distance_mm(start) for plane in planes])
    return np.asarray(start - np.linalg.lstsq(normals, distances, rcond=None)[0])


def _grid(range_mm: float, step_mm: float) -> FloatArray:
    """Return vectors on a cubic grid, shape (n, 3), mm."""
    axis = np.arange(-range_mm, range_mm + step_mm / 2, step_mm)
    return np.stack(np.meshgrid(axis, axis, axis, indexing="ij"), axis=-1).reshape(-1, 3)


def _search(problem: _Problem) -> tuple[FloatArray, FloatArray]:
    """Find shifts, shape (image, 3), by trying a grid of them for one image after another.

    Also return by how much the logarithm of each one's likelihood exceeds that of any shift elsewhere, shape (image,).
    """
    shift_mm, lead = np.zeros((problem.n, 3)), np.zeros(problem.n)
    coarse, fine = _grid(_COARSE_RANGE_MM, _COARSE_MM), _grid(_FINE_RANGE_MM, STEP_MM)
    blurred, likelihood = _padded(_dilated(problem.likelihood)), _padded(problem.likelihood)
    lines = {image: problem.lines_of(image) for image in distinct(problem.pairs.ravel()).astype(np.int64).tolist()}
    for _ in range(_N_COARSE):
        for image in lines:
            total = _log_likelihoods(problem, blurred, image, lines[image], shift_mm, coarse)
            shift_mm[image] = coarse[int(np.argmax(total))]
        shift_mm -= shift_mm[problem.n_short :].mean(axis=0)
    is_due = dict.fromkeys(lines, True)  # whether it, or an image that shares a line with it, has moved since it was tried
    for _ in range(_N_FINE):
        for image in lines:
            if not is_due[image]:
                continue
            is_due[image] = False
            tried = np.concatenate([shift_mm[image] + fine, coarse])
            total = _log_likelihoods(problem, likelihood, image, lines[image], shift_mm, tried)
            best = int(np.argmax(total))
            is_elsewhere = ((tried - tried[best]) ** 2).sum(axis=1) > ELSEWHERE_MM**2
            lead[image] = total[best] - total[is_elsewhere].max()
            if (shift_mm[image] != tried[best]).any():
                shift_mm[image] = tried[best]
                is_due.update(dict.fromkeys(problem.pairs[lines[image]].ravel().tolist(), True))
        if not any(is_due.values()):
            break
    return np.asarray(shift_mm - shift_mm[problem.n_short :].mean(axis=0)), lead


def _log_likelihoods(
    problem: _Problem, likelihood: NDArray[np.float32], image: int, lines: IntArray, shift_mm: FloatArray, tried: FloatArray
) -> FloatArray:
    """Return how likely the shifts that are tried for an image are, shape (n, 3), beside the others' as they are; shape (n,).

    ``likelihood`` is padded.
    """
    pairs = problem.pairs[lines]
    is_second = pairs[:, 1] == image
    maps = problem.maps[lines] * (np.where(is_second, 1, -1) / STEP_MM)[:, None, None]
    others_mm = shift_mm[np.where(is_second, pairs[:, 0], pairs[:, 1])]
    # the offsets of all tried shifts on all lines as places of the grid, shape (3, line, tried)
    start = N_SIDE - np.einsum("pab,pb->ap", maps, others_mm)
    exact = (maps.transpose(1, 0, 2).reshape(-1, 3) @ tried.T).reshape(3, len(lines), -1) + start[..., None]
    places = np.rint(exact, out=exact)
    np.maximum(places, -1, out=places)
    np.minimum(places, N_OFFSETS, out=places)
    width = N_OFFSETS + 2
    flat = (places[0] * width + places[1]) * width + places[2] + (lines[:, None] * width**3 + (width + 1) * width + 1)
    return np.asarray(problem.log_prior(tried) + likelihood.take(flat.astype(np.intp)).sum(axis=0))


def _padded(surfaces: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return surfaces, shape (pair, offset, offset, offset), with a border of 0, for offsets that are not on the grid."""
    padded = np.zeros((len(surfaces), *(size + 2 for size in surfaces.shape[1:])), dtype=surfaces.dtype)
    padded[:, 1:-1, 1:-1, 1:-1] = surfaces
    return padded


def _dilated(surfaces: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the largest value of each place and its neighbours: shape (pair, offset, offset, offset)."""
    for axis in (1, 2, 3):
        wide = np.moveaxis(surfaces, axis, 0)
        largest = wide.copy()
        np.maximum(largest[1:], wide[:-1], out=largest[1:])
        np.maximum(largest[:-1], wide[1:], out=largest[:-1])
        surfaces = np.moveaxis(largest, 0, axis)
    return surfaces


_AROUND = _grid(1, 1)
_PRODUCTS = ((0, 0), (1, 1), (2, 2), (0, 1), (0, 2), (1, 2))
_FIT = np.linalg.pinv(
    np.column_stack([np.ones(27), _AROUND, *(_AROUND[:, a] * _AROUND[:, b] * (0.5 if a == b else 1) for a, b in _PRODUCTS)])
)
"""Gives the ten coefficients of the parabola through 27 neighbours."""


@dataclass(frozen=True, slots=True, eq=False)
class _Parabolas:
    """The likelihoods of the pairs near their offsets."""

    gradient: FloatArray
    """Shape (pair, 3), per mm."""
    information: FloatArray
    """Shape (pair, 3, 3): negative curvature per mm², none below 0."""
    is_known: BoolArray
    """Shape (pair,): whether the offsets are on the grid."""

    def from_peak(self) -> FloatArray:
        """Return the squared distance from each line's own peak, in its standard deviations; shape (pair,)."""
        steps = np.linalg.solve(self.information, self.gradient[..., None])[..., 0]
        return np.asarray((steps * self.gradient).sum(axis=1))


def _parabolas(surfaces: NDArray[np.float32], offsets_mm: FloatArray) -> _Parabolas:
    """Fit parabolas to surfaces, shape (pair, offset, offset, offset), around offsets, shape (pair, 3)."""
    exact = offsets_mm / STEP_MM + N_SIDE
    nearest = np.rint(exact).clip(1, N_OFFSETS - 2).astype(np.int64)
    around = nearest[:, None] + _AROUND.astype(np.int64)
    values = surfaces[np.arange(len(surfaces))[:, None], around[..., 0], around[..., 1], around[..., 2]]
    coefficients = values @ _FIT.T
    curvature = np.empty((len(surfaces), 3, 3))
    for column, (a, b) in enumerate(_PRODUCTS, start=4):
        curvature[:, a, b] = curvature[:, b, a] = coefficients[:, column]
    from_nearest = exact - nearest
    gradient = coefficients[:, 1:4] + np.einsum("pab,pb->pa", curvature, from_nearest.clip(-1, 1))
    sizes, axes = np.linalg.eigh(-curvature / STEP_MM**2)
    information = np.einsum("pab,pb,pcb->pac", axes, sizes.clip(1e-4), axes)
    return _Parabolas(gradient / STEP_MM, information, np.asarray((np.abs(from_nearest) <= 1.5).all(axis=1)))


def _refine(problem: _Problem, shift_mm: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Find the shifts between the grid's points, shape (image, 3), and their information, shape (3 × image, 3 × image)."""
    weights = np.ones(len(problem.pairs))
    information = np.eye(3 * problem.n)
    for weighting in range(_N_WEIGHTINGS + 1):
        for _ in range(_N_STEPS):
            parabolas = _parabolas(problem.likelihood, problem.offsets_mm(shift_mm))
            information, gradient = _normal_equations(problem, parabolas, weights, shift_mm)
            step = np.linalg.solve(information, gradient).reshape(-1, 3)
            length = np.linalg.norm(step, axis=1, keepdims=True)
            shift_mm = shift_mm + step * np.minimum(1, MAX_STEP_MM / np.maximum(length, 1e-9))
            if length.max() < ENOUGH_MM:
                break
        if weighting < _N_WEIGHTINGS:
            weights = 1 / (1 + parabolas.from_peak() / OUTLIER**2)
    return shift_mm, information


def _normal_equations(
    problem: _Problem, parabolas: _Parabolas, weights: FloatArray, shift_mm: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Return the information and the gradient of all shifts together, shapes (3 × image, 3 × image) and (3 × image,)."""
    n, (first, second) = problem.n, problem.pairs.T
    weights = weights * parabolas.is_known
    blocks = np.einsum("p,pac,pab,pbd->pcd", weights, problem.maps, parabolas.information, problem.maps, optimize=_ORDER)
    pulls = np.einsum("p,pac,pa->pc", weights, problem.maps, parabolas.gradient)
    prior = problem.prior_information(shift_mm)
    information = np.zeros((n, n, 3, 3))
    gradient = -np.einsum("nab,nb->na", prior, shift_mm)
    information[np.arange(n), np.arange(n)] = prior
    for place, value in (
        ((first, first), blocks),
        ((second, second), blocks),
        ((first, second), -blocks),
        ((second, first), -blocks),
    ):
        np.add.at(information, place, value)
    np.add.at(gradient, second, pulls)
    np.add.at(gradient, first, -pulls)
    return information.transpose(0, 2, 1, 3).reshape(3 * n, 3 * n), gradient.ravel()


_ORDER = ["einsum_path", (0, 2), (0, 2), (0, 1)]


def _conclude(
    problem: _Problem, shift_mm: FloatArray, information: FloatArray, lead: FloatArray, images: Sequence[ThickImage]
) -> SliceShifts:
    """Refer the shifts to the long-axis views, and leave out those that the images do not tell."""
    n = problem.n
    agreement = _agreement(problem, shift_mm)
    n_lines = np.array([len(problem.lines_of(image)) for image in range(n)])
    is_told = (n_lines >= MIN_LINES) & (agreement[:, 1] >= MIN_AGREEMENT) & (lead >= MIN_LEAD)
    is_told &= is_told[problem.n_short :].sum() >= MIN_LINES
    refer = np.kron(np.eye(n) - reference_weights(shift_mm, is_told, problem.n_short), np.eye(3))
    covariance = (refer @ np.linalg.inv(information) @ refer.T).reshape(n, 3, n, 3)[np.arange(n), :, np.arange(n)]
    relative_mm = (refer @ shift_mm.ravel()).reshape(n, 3)
    sd_mm = np.array([_deviations(one, image.plane) for one, image in zip(covariance, images, strict=True)])
    is_told &= (sd_mm <= MAX_SD_MM).all(axis=1) & (np.linalg.norm(relative_mm, axis=1) <= RANGE_MM)
    relative_mm[~is_told] = np.nan
    sd_mm[~is_told] = np.nan
    return SliceShifts(shift_mm=relative_mm.round(3) + 0.0, sd_mm=sd_mm.round(3), agreement=agreement.round(4) + 0.0)


def reference_weights(shift_mm: FloatArray, is_told: BoolArray, n_short: int) -> FloatArray:
    """Return the weight of each image, shape (image,), in the place to which shifts refer: sum 1, or all 0."""
    weights = np.zeros(len(shift_mm))
    short, long = np.flatnonzero(is_told[:n_short]), n_short + np.flatnonzero(is_told[n_short:])
    votes = shift_mm[long]
    if len(long) == MIN_LINES and len(short):
        votes = np.concatenate([votes, [[median(component) for component in shift_mm[short].T]]])
        weights[short] = _centre_weights(votes)[-1] / len(short)
    weights[long] = _centre_weights(votes)[: len(long)]
    return weights


def _centre_weights(points_mm: FloatArray) -> FloatArray:
    """Return the weights, shape (n,), sum 1, by which the robust centre of points, shape (n, 3), is their mean (Cauchy's)."""
    weights = np.ones(len(points_mm)) / max(len(points_mm), 1)
    for _ in range(_N_CENTRE):
        weights = 1 / (1 + ((points_mm - weights @ points_mm) ** 2).sum(axis=1) / USUAL_MM**2)
        weights /= weights.sum()
    return weights


def _deviations(covariance: FloatArray, plane: ImagePlane) -> tuple[float, float]:
    """Return the largest standard deviation in a plane and the one through it, of a covariance, shape (3, 3)."""
    axes, normal = np.stack([plane.row_cosine, plane.column_cosine]), plane.normal
    largest = np.linalg.eigvalsh(axes @ covariance @ axes.T)[-1]
    return float(largest.clip(0) ** 0.5), float((normal @ covariance @ normal).clip(0) ** 0.5)


def _agreement(problem: _Problem, shift_mm: FloatArray) -> FloatArray:
    """Return the mean correlation of each image along its lines, unshifted and shifted; shape (image, 2), NaN without lines."""
    found = np.full((problem.n, 2), np.nan)
    for column, offsets_mm in enumerate((np.zeros((len(problem.pairs), 3)), problem.offsets_mm(shift_mm))):
        places = np.column_stack([np.arange(len(problem.pairs)), (offsets_mm / STEP_MM + N_SIDE).clip(0, N_OFFSETS - 1)])
        values = sample(problem.correlation, places.T)
        for image in range(problem.n):
            lines = problem.lines_of(image)
            if len(lines):
                found[image, column] = values[lines].mean()
    return found
