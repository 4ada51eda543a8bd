"""What the views of one subject are made from, once its phases are known."""

from collections.abc import Container, Mapping
from dataclasses import dataclass

from cmr_planes.cine.frame_choice import SliceTimes
from cmr_planes.extraction.annotated_frames import AnnotatedCycle
from cmr_planes.extraction.options import ExtractOptions
from cmr_planes.extraction.subject_views import SubjectViews
from cmr_planes.geometry import Plane, middle_slice
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

    def standing_slice(self, view: CardiacView) -> int:
        """Return the slice that stands for a view: the middle one of SAX, the only one of a long-axis view."""
        return middle_slice([one.plane for one in self.subject.views[view]])

    def line_plane(self, view: CardiacView) -> Plane:
        """Return the plane that leaves a view's line: the stated one, else that of the slice that stands for the view."""
        return self.subject.stated_planes.get(view) or self.subject.views[view][self.standing_slice(view)].plane
