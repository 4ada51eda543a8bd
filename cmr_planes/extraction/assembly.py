"""What the views of one subject are made from, once its phases are known."""

from collections.abc import Container, Mapping
from dataclasses import dataclass, field

import numpy as np

from cmr_planes.cine.frame_choice import SliceTimes
from cmr_planes.extraction.annotated_frames import AnnotatedCycle
from cmr_planes.extraction.options import ExtractOptions
from cmr_planes.extraction.subject_views import SubjectViews
from cmr_planes.geometry import VIEW_LINES, Plane, SliceShifts, UnboundedPlane, middle_slice
from cmr_planes.geometry.arrays import FloatArray
from cmr_planes.views import CardiacView


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Assembly:
    """What the views of one subject are made from."""

    subject: SubjectViews
    options: ExtractOptions
    kept: Container[CardiacView]
    """Views that are kept where no positions can be placed on them."""
    times: Mapping[CardiacView, SliceTimes]
    """When in the cardiac cycle the frames of each cine were taken."""
    choice: AnnotatedCycle
    """End-diastole and end-systole."""
    shifts: Mapping[CardiacView, SliceShifts] = field(default_factory=dict)
    """How far the slices of each view lie from where the images agree; empty where too few views have images."""

    def standing_slice(self, view: CardiacView) -> int:
        """Return the slice that stands for a view: the middle one of SAX, the only one of a long-axis view."""
        return middle_slice([one.plane for one in self.subject.views[view]])

    def line_plane(self, view: CardiacView) -> Plane:
        """Return the plane that leaves a view's line: the stated one, else that of the slice that stands for the view."""
        return self.subject.stated_planes.get(view) or self.subject.views[view][self.standing_slice(view)].plane

    def is_aligned(self, view: CardiacView, index: int) -> bool:
        """Tell whether the shifts of a slice and of all views that leave lines on it are known."""
        lines = [(line.view, self.standing_slice(line.view)) for line in VIEW_LINES[view] if line.view in self.subject.views]
        return len(lines) == len(VIEW_LINES[view]) and all(self._is_known(*one) for one in ((view, index), *lines))

    def line_planes(self, view: CardiacView) -> tuple[Plane, Plane]:
        """Return the planes that leave a view's two lines."""
        first, second = VIEW_LINES[view]
        return self.line_plane(first.view), self.line_plane(second.view)

    def aligned(self, planes: tuple[Plane, Plane], view: CardiacView, index: int) -> tuple[Plane, Plane]:
        """Return a view's :meth:`line_planes` as they cut the tissue that a slice shows, if that is asked for and known."""
        if not (self.options.align and self.is_aligned(view, index)):
            return planes
        slice_mm = self.shifts[view].shift_mm[index]
        first, second = VIEW_LINES[view]
        return self._moved(planes[0], first.view, slice_mm), self._moved(planes[1], second.view, slice_mm)

    def _moved(self, plane: Plane, line: CardiacView, slice_mm: FloatArray) -> Plane:
        """Return the plane of a line's view as it lies from a slice that is shifted by ``slice_mm``."""
        line_mm = self.shifts[line].shift_mm[self.standing_slice(line)]
        return UnboundedPlane(centre_mm=plane.centre_mm + line_mm - slice_mm, normal=plane.normal)

    def _is_known(self, view: CardiacView, index: int) -> bool:
        return view in self.shifts and bool(np.isfinite(self.shifts[view].shift_mm[index]).all())
