"""The headers of a study, and of what archives have beside it, without files."""

from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path

from cmr_planes.cine.acquisitions import CineStudy, find_cine_slices
from cmr_planes.cine.cine_evidence import keep_cines
from cmr_planes.cine.rest_and_stress import select_one_state
from cmr_planes.cine.series_names import load_names
from cmr_planes.cine.view_selection import ViewSelection, select_views
from cmr_planes.dicom.frames import FrameHeader
from cmr_planes.phantom.small_study import SimpleStudy, simple_study
from cmr_planes.views import CardiacView
from tests.helpers.headers import moved, study_frames, turned

LEVELS = [f"sax{level}" for level in range(1, 8)]
Change = Callable[[int], dict[str, object]]


@cache
def heart() -> SimpleStudy:
    return simple_study(n_frames=12, n_slices=7, rows=16, columns=16, spacing_mm=(20.0, 20.0), slice_distance_mm=10.0)


class Archive:
    """The headers of a study, and those of what lies beside it."""

    def __init__(self, *, named: bool = False) -> None:
        self.series = study_frames(heart(), names=named)
        self.intruders: list[list[FrameHeader]] = []

    def again(
        self,
        keys: list[str],
        *,
        shift_mm: float = 0.0,
        turn_deg: float = 0.0,
        n_frames: int = 12,
        each: Change = lambda _: {},
        **changes: object,
    ) -> None:
        """Add later copies of planes under other numbers."""
        for key in keys:
            frames = self.series[key][:n_frames]
            plane = moved(frames[0].plane, shift_mm=shift_mm * heart().series["sax1"].plane.normal)
            plane = turned(plane, plane.row_cosine, turn_deg)
            self.intruders.append(
                [
                    replace(
                        frame,
                        plane=plane,
                        series_number=frame.series_number + 100,
                        series_uid=f"{frame.series_uid}.9",
                        acquired_at="20200101233000",
                        **{**changes, **each(index)},
                    )
                    for index, frame in enumerate(frames)
                ]
            )

    def call(self, **names: str) -> None:
        """Give series descriptions by the beginning of their keys."""
        for key, frames in self.series.items():
            name = next((name for start, name in names.items() if key.startswith(start.strip("_"))), "")
            self.series[key] = [replace(frame, series_description=name) for frame in frames]

    def study(self, table: Path | None = None) -> CineStudy:
        groups = [*self.series.values(), *self.intruders]
        return keep_cines(find_cine_slices([frame for group in groups for frame in group]), load_names(table))

    def views(self, table: Path | None = None) -> ViewSelection:
        return select_one_state(self.study(table), select_views)


def assert_only_cines_are_used(archive: Archive, table: Path | None = None) -> None:
    selection = archive.views(table)
    assert not selection.missing
    numbers = {key: series.number for key, series in heart().series.items()}
    used = {view: [cine.header.series_number for cine in slices] for view, slices in selection.views.items()}
    assert used[CardiacView.SAX] == [numbers[level] for level in LEVELS]
    for view in (CardiacView.TWO_CHAMBER, CardiacView.FOUR_CHAMBER):
        assert used[view] == [numbers[view.value]]
