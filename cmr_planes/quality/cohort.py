"""A catalogue's tables as one row for each view of each subject, small enough to hold for a hundred thousand subjects."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cmr_planes.errors import ShardError
from cmr_planes.geometry.arrays import BoolArray, IntArray
from cmr_planes.quality.measures import MEASURES, VIEW_COLUMNS
from cmr_planes.shards.catalogue import Catalogue
from cmr_planes.shards.opening import DAMAGE_ERRORS
from cmr_planes.views import STORED_VIEWS

VIEWS = ("", *(view.value for view in STORED_VIEWS))
"""Views as rows number them; the first is the whole subject."""

_NO_FIELD = -1.0
"""Stands for a field strength that is not known, since NaN does not equal itself."""

_SENTENCES_AT_ONCE = 1 << 14
"""Rows of findings that are held at once: their sentences are long."""


class State(StrEnum):
    """What a row is."""

    POSITIONS = "positions"
    """A view with images and positions."""
    IMAGES = "images only"
    """A view with images and without positions."""
    LEFT_OUT = "left out"
    """A view, or a whole subject, that was rejected."""
    NOTED = "note only"
    """Something that is said of a whole subject with images, or of a view that was not stored."""


STATES = tuple(State)
"""States as rows number them."""


@dataclass(frozen=True, slots=True)
class Reason:
    """A code that findings of one view, or of whole subjects, have."""

    is_rejection: bool
    """Whether something was left out."""
    code: str
    """The stable code."""
    view: str
    """The view's value, empty for whole subjects."""
    example: str
    """The sentence of the first such finding."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Cohort:
    """All rows: by subject in the catalogue's order, then the whole subject first, then its views."""

    keys: tuple[str, ...]
    """The subjects' keys; a subject's number is its place, from 1."""
    n_images: IntArray
    """Shape (subjects,): 2D images."""
    subject: NDArray[np.uint32]
    """Shape (rows,): the subject, from 0."""
    view: NDArray[np.uint8]
    """Shape (rows,): the place in :data:`VIEWS`."""
    state: NDArray[np.uint8]
    """Shape (rows,): the place in :data:`STATES`."""
    scanner: NDArray[np.uint16]
    """Shape (rows,): the place in :attr:`scanners`."""
    scanners: tuple[tuple[str, float | None], ...]
    """Vendor, empty if not known, and field strength in tesla, None if not known; the first stands for rows without images."""
    values: dict[str, NDArray[np.float32]]
    """Each measure by its name, shape (rows,), NaN where there is none."""
    reasons: tuple[Reason, ...]
    """Every reason that occurs: rejections first, by code, then view."""
    finding_row: NDArray[np.uint32]
    """Shape (findings,): the row of each finding, ascending."""
    finding_reason: NDArray[np.uint16]
    """Shape (findings,): the place in :attr:`reasons`, ascending within a row."""

    def __len__(self) -> int:
        return len(self.subject)

    def is_state(self, state: State) -> BoolArray:
        """Tell which rows are of a state, shape (rows,)."""
        return np.asarray(self.state == STATES.index(state), dtype=np.bool_)


def read_cohort(catalogue: Catalogue) -> Cohort:
    """Read the tables of a catalogue, block by block; no shard is opened.

    Parameters
    ----------
    catalogue
        The catalogue, open.

    Raises
    ------
    ShardError
        A table cannot be read, or they contradict each other.
    """
    try:
        return _read_cohort(catalogue)
    except DAMAGE_ERRORS as error:
        raise ShardError(f"the tables of {str(catalogue.path)!r} contradict each other: it is damaged; make it again") from error


def _read_cohort(catalogue: Catalogue) -> Cohort:
    subjects = catalogue.subjects()
    is_used = subjects.n_images > 0
    numbers = {key.encode(): number for number, key in enumerate(subjects.key)}
    views = _read_views(catalogue, numbers)
    finding_place, finding_reason, reasons = _read_findings(catalogue, numbers)
    silent = np.setdiff1d(np.flatnonzero(~is_used), finding_place // len(VIEWS))
    places = np.unique(np.concatenate([views["place"], finding_place, silent * len(VIEWS)]))
    rows, finding_row = np.searchsorted(places, views["place"]), np.searchsorted(places, finding_place)
    order = np.lexsort((finding_reason, finding_row))
    scanners, scanner = _scanners(views["manufacturer"], views["field_strength_t"], rows, len(places))
    return Cohort(
        keys=subjects.key,
        n_images=subjects.n_images,
        subject=(places // len(VIEWS)).astype(np.uint32),
        view=(places % len(VIEWS)).astype(np.uint8),
        state=_states(places, rows, views["positions"], (finding_row, finding_reason, reasons), is_used),
        scanner=scanner,
        scanners=scanners,
        values={measure.name: _spread(views[measure.name], rows, len(places)) for measure in MEASURES},
        reasons=reasons,
        finding_row=finding_row[order].astype(np.uint32),
        finding_reason=finding_reason[order].astype(np.uint16),
    )


def _read_views(catalogue: Catalogue, numbers: dict[bytes, int]) -> dict[str, NDArray[Any]]:
    """Read the measures of ``/views``: place of each row (subject and view), positions, scanner, and each measure."""
    view_numbers = {view.encode(): number for number, view in enumerate(VIEWS)}
    blocks: list[dict[str, NDArray[Any]]] = []
    for columns in catalogue.rows("views", VIEW_COLUMNS):
        places = _places(columns, numbers, view_numbers)
        block: dict[str, NDArray[Any]] = {name: columns[name].copy() for name in ("positions", "manufacturer", "field_strength_t")}
        block["place"] = places
        for measure in MEASURES:
            block[measure.name] = measure.compute(columns).astype(np.float32)
        blocks.append(block)
    if not blocks:
        blocks = [
            {
                "place": np.zeros(0, dtype=np.int64),
                "positions": np.zeros(0, dtype=np.bool_),
                "manufacturer": np.zeros(0, dtype="S1"),
                "field_strength_t": np.zeros(0),
                **{measure.name: np.zeros(0, dtype=np.float32) for measure in MEASURES},
            }
        ]
    return {name: np.concatenate([block[name] for block in blocks]) for name in blocks[0]}


def _places(columns: dict[str, NDArray[Any]], numbers: dict[bytes, int], view_numbers: dict[bytes, int]) -> IntArray:
    """Number the pairs of subject and view; raises KeyError for a subject or a view that is none."""
    subjects = np.array([numbers[key] for key in columns["subject"].tolist()], dtype=np.int64)
    views = np.array([view_numbers[view] for view in columns["view"].tolist()], dtype=np.int64)
    return subjects * len(VIEWS) + views


def _read_findings(catalogue: Catalogue, numbers: dict[bytes, int]) -> tuple[IntArray, IntArray, tuple[Reason, ...]]:
    """Read what was left out and noted: place of each finding, its reason, and the reasons."""
    view_numbers = {view.encode(): number for number, view in enumerate(VIEWS)}
    met: dict[tuple[bool, bytes, bytes], tuple[int, bytes]] = {}
    places, found = [np.zeros(0, dtype=np.int64)], [np.zeros(0, dtype=np.int64)]
    for table, is_rejection in (("rejections", True), ("notes", False)):
        for columns in catalogue.rows(table, ("subject", "view", "code", "sentence"), at_once=_SENTENCES_AT_ONCE):
            places.append(_places(columns, numbers, view_numbers))
            reasons = [
                met.setdefault((is_rejection, code, view), (len(met), bytes(sentence)))[0]
                for code, view, sentence in zip(
                    columns["code"].tolist(), columns["view"].tolist(), columns["sentence"], strict=True
                )
            ]
            found.append(np.array(reasons, dtype=np.int64))
    ordered = sorted(met, key=lambda reason: (not reason[0], reason[1], view_numbers[reason[2]]))
    ranks = np.zeros(len(met), dtype=np.int64)
    ranks[[met[reason][0] for reason in ordered]] = np.arange(len(met))
    named = tuple(
        Reason(is_rejection, code.decode(), view.decode(), met[is_rejection, code, view][1].decode())
        for is_rejection, code, view in ordered
    )
    return np.concatenate(places), ranks[np.concatenate(found)], named


def _states(
    places: IntArray,
    rows: IntArray,
    has_positions: BoolArray,
    findings: tuple[IntArray, IntArray, tuple[Reason, ...]],
    is_used: BoolArray,
) -> NDArray[np.uint8]:
    """Tell what each row is, shape (rows,)."""
    finding_row, finding_reason, reasons = findings
    state = np.full(len(places), STATES.index(State.NOTED), dtype=np.uint8)
    is_rejection = np.array([reason.is_rejection for reason in reasons], dtype=np.bool_)
    rejected = np.zeros(len(places), dtype=np.bool_)
    rejected[finding_row[is_rejection[finding_reason]]] = True
    is_view = places % len(VIEWS) > 0
    state[(rejected & is_view) | ~is_used[places // len(VIEWS)]] = STATES.index(State.LEFT_OUT)
    state[rows] = np.where(has_positions, STATES.index(State.POSITIONS), STATES.index(State.IMAGES))
    return state


def _scanners(
    manufacturers: NDArray[np.bytes_], fields_t: NDArray[np.float64], rows: IntArray, n_rows: int
) -> tuple[tuple[tuple[str, float | None], ...], NDArray[np.uint16]]:
    """Number the scanners, and tell the number of each row."""
    pairs = np.zeros(len(rows), dtype=[("name", manufacturers.dtype), ("field", np.float64)])
    pairs["name"], pairs["field"] = manufacturers, np.nan_to_num(fields_t.round(2), nan=_NO_FIELD)
    kinds, numbers = np.unique(pairs, return_inverse=True)
    named = [(name.decode(), None if field == _NO_FIELD else field) for name, field in kinds.tolist()]
    nothing: tuple[str, float | None] = ("", None)
    scanners = (nothing, *(pair for pair in named if pair != nothing))
    scanner = np.zeros(n_rows, dtype=np.uint16)
    scanner[rows] = np.array([scanners.index(pair) for pair in named], dtype=np.uint16)[numbers.ravel()]
    return scanners, scanner


def _spread(values: NDArray[np.float32], rows: IntArray, n_rows: int) -> NDArray[np.float32]:
    """Put values into their rows; NaN elsewhere."""
    spread = np.full(n_rows, np.nan, dtype=np.float32)
    spread[rows] = values
    return spread
