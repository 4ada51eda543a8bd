"""Whose boxes a person is given."""

from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cmr_planes.shards.columns import ImageIndex, Subjects
from cmr_train.data.donors import derangement, donor_rows


@given(st.sets(st.text("abc012", min_size=1, max_size=5), min_size=2, max_size=30), st.integers(0, 99))
def test_everybody_gives_once_and_nobody_to_themselves(keys, seed):
    given_to = derangement([*keys], seed)
    assert set(given_to) == set(given_to.values()) == keys
    assert all(key != donor for key, donor in given_to.items())
    assert given_to == derangement(sorted(keys), seed)


def test_the_seed_decides_who_gives():
    keys = [f"SYN-{number:04d}" for number in range(1, 21)]
    assert derangement(keys, 0) != derangement(keys, 1)
    with pytest.raises(ValueError, match="two persons or more"):
        derangement(keys[:1], 0)


def make_index(stacks: dict[tuple[str, str], tuple[int, tuple[str, ...]]]) -> tuple[SimpleNamespace, ImageIndex]:
    """An index of short-axis images by (participant, subject): number of slices and names of phases."""
    rows = [
        (number, phase, phase_index, level)
        for number, (n_slices, phases) in enumerate(stacks.values())
        for phase_index, phase in enumerate(phases)
        for level in range(n_slices)
    ]
    numbers, phases, phase_indices, levels = (np.array(column) for column in zip(*rows, strict=True))
    people, keys = (tuple(column) for column in zip(*stacks, strict=True))
    n = len(rows)
    sizes, yes = np.full(n, 48), np.ones(n, dtype=np.bool_)
    index = ImageIndex(
        subjects=Subjects(key=keys, participant=people, shard=("",) * len(keys), n_images=np.bincount(numbers)),
        subject_number=numbers,
        view=np.full(n, "sax"),
        phase=phases,
        phase_index=phase_indices,
        slice_index=levels,
        rows=sizes,
        columns=sizes.copy(),
        has_positions=yes,
        is_annotated=~yes,
    )
    views = SimpleNamespace(subject=keys, view=("sax",) * len(keys), n_slices=np.array([n for n, _ in stacks.values()]))
    return SimpleNamespace(views=lambda: views), index


def test_a_mask_is_of_another_person_the_same_phase_and_the_nearest_level():
    both = ("ed", "es")
    stacks = {(f"P{n}", f"P{n}"): (3 + n, both) for n in range(5)} | {("P5", "P5-1"): (8, both), ("P5", "P5-2"): (4, both)}
    catalogue, index = make_index(stacks)
    donors = donor_rows(catalogue, index, seed=3)
    given_to = derangement([f"P{n}" for n in range(6)], 3)
    n_slices = {key: n for (_, key), (n, _) in stacks.items()}
    for row, donor in enumerate(donors.tolist()):
        assert index.participant(donor) == given_to[index.participant(row)] != index.participant(row)
        assert index.phase[donor] == index.phase[row]
        wanted = index.slice_index[row] / (n_slices[index.subject(row)] - 1)
        steps = n_slices[index.subject(donor)] - 1
        assert abs(index.slice_index[donor] / steps - wanted) <= 0.5 / steps + 1e-6


def test_a_cine_is_given_the_nearest_moment_where_phases_have_other_names():
    catalogue, index = make_index({("A", "A"): (2, ("ed", "es")), ("B", "B"): (2, tuple(f"{n:03d}" for n in range(5)))})
    donors = donor_rows(catalogue, index, seed=0)
    phases = {str(index.phase[row]): str(index.phase[donor]) for row, donor in enumerate(donors.tolist())}
    assert {phase: phases[phase] for phase in ("ed", "es", "000", "004")} == {"ed": "000", "es": "004", "000": "ed", "004": "es"}
