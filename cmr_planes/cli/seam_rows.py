"""The pictures of ``show --shifts``: each short-axis slice folded open with each long-axis view, by the headers and shifted."""

from functools import partial

import numpy as np

from cmr_planes.geometry import SliceShifts, middle_slice
from cmr_planes.geometry.arrays import FloatArray
from cmr_planes.geometry.stack import apex_direction
from cmr_planes.pictures.seams import Seam, fold
from cmr_planes.shards.catalogue import Catalogue
from cmr_planes.shards.view_attributes import ViewAttributes
from cmr_planes.system.text import decimals
from cmr_planes.views import CardiacPhase, CardiacView


def seam_rows(catalogue: Catalogue, subject: str) -> list[list[Seam]]:
    """Fold the end-diastolic images of a subject open: a row a short-axis slice, two pictures a long-axis view.

    Parameters
    ----------
    catalogue, subject
        Where the images are.

    Returns
    -------
        The rows from base to apex; none where the subject's shifts were not measured.
    """
    table = catalogue.views()
    stored = {CardiacView(view) for key, view in zip(table.subject, table.view, strict=True) if key == subject}
    views = {view: catalogue.view_attributes(subject, view) for view in CardiacView if view in stored}
    measured = {view: attributes for view, attributes in views.items() if attributes.shifts is not None}
    short = measured.pop(CardiacView.SAX, None)
    if short is None or not measured:
        return []
    middle = middle_slice(short.planes)
    centre_mm = short.planes[middle].centre_mm if short.boxes is None else short.boxes.centres_mm[middle, 0]
    return [
        [seam for view in measured for seam in _pair(catalogue, (subject, index), short, measured[view], centre_mm)]
        for index in range(len(short.planes))
    ]


def _pair(
    catalogue: Catalogue, address: tuple[str, int], short: ViewAttributes, long: ViewAttributes, centre_mm: FloatArray
) -> list[Seam]:
    """Return a short-axis slice, the address its subject and index, with a long-axis image: by the headers, and shifted."""
    subject, index = address
    places = ((short, index), (long, 0))
    upper, lower = ((one.planes[at], catalogue.image(subject, one.view, _end_diastole(one), at)) for one, at in places)
    shift_mm, other_mm = (_shift(one.shifts, at) for one, at in places)
    relative_mm = other_mm - shift_mm
    apex = apex_direction(short.planes[0].normal)
    towards = -apex if (upper[0].centre_mm - short.planes[middle_slice(short.planes)].centre_mm) @ apex > 0 else apex
    folded = partial(fold, upper, lower, centre_mm=centre_mm, towards=towards)
    name = f"slice {index + 1} · {long.view.title}"
    before = Seam(image=folded(relative_mm=np.zeros(3)), title=f"{name} · headers")
    if not np.isfinite(relative_mm).all():
        return [before, Seam(image=np.full_like(before.image, np.nan), title=f"{name} · shift not given")]
    length = decimals(float(np.linalg.norm(relative_mm)), 1)
    return [before, Seam(image=folded(relative_mm=relative_mm), title=f"{name} · shifted {length} mm")]


def _end_diastole(view: ViewAttributes) -> int:
    """Return the phase of a view that is end-diastole, or the first."""
    return view.phases.index(CardiacPhase.ED) if CardiacPhase.ED in view.phases else 0


def _shift(shifts: SliceShifts | None, index: int) -> FloatArray:
    return np.full(3, np.nan) if shifts is None else shifts.shift_mm[index]
