"""Frames of one protocol and plane, whatever their identifiers."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from cmr_planes.cine.grouping import common_plane, group_by_plane, unique_frames
from cmr_planes.dicom.frames import FileRef
from cmr_planes.geometry import ImagePlane
from tests.helpers.headers import cine_frames, moved

PLANE = ImagePlane.from_attributes([0, 0, 0], [1, 0, 0, 0, 1, 0], [2.0, 2.0], rows=40, columns=40)


@pytest.mark.parametrize("jitter_mm", [0.0, 0.03, 0.3])
def test_planes_that_jitter_along_the_normal_are_one_and_their_neighbours_are_not(jitter_mm):
    shifts_mm = np.random.default_rng(3).uniform(-jitter_mm, jitter_mm, (5, 12))
    frames = [
        replace(frame, plane=moved(PLANE, shift_mm=(0, 0, 6 * level + shift_mm)))
        for level, row in enumerate(shifts_mm)
        for frame, shift_mm in zip(cine_frames(PLANE, n_frames=12), row.tolist(), strict=True)
    ]
    groups = group_by_plane([frames[place] for place in np.random.default_rng(4).permutation(60)])
    assert [len(group) for group in groups] == [12] * 5
    for group in groups:
        level = common_plane(group).position_mm[2] / 6
        assert abs(level - round(level)) * 6 <= jitter_mm / 2


def test_series_uids_neither_join_nor_part():
    frames = [replace(frame, series_uid=f"2.25.{place % 3}") for place, frame in enumerate(cine_frames(PLANE))]
    assert [len(group) for group in group_by_plane(frames)] == [10]
    others = [replace(frame, series_number=8) for frame in frames]
    assert [len(group) for group in group_by_plane(frames + others)] == [10, 10]


def test_a_copy_of_an_image_counts_once():
    frames = [replace(frame, sop_instance_uid=f"2.25.{place}") for place, frame in enumerate(cine_frames(PLANE))]
    copies = [replace(frame, file=FileRef(Path("copy") / str(place))) for place, frame in enumerate(frames[:5])]
    kept, n_copies = unique_frames(frames + copies)
    assert kept == frames
    assert n_copies == 5


def test_images_that_share_an_identifier_but_not_the_time_are_no_copies():
    frames = [replace(frame, sop_instance_uid="2.25.1") for frame in cine_frames(PLANE)]
    assert unique_frames(frames) == (frames, 0)


def test_images_without_identifiers_are_no_copies():
    frames = cine_frames(PLANE) * 2
    assert unique_frames(frames) == (frames, 0)
