import pytest
from hypothesis import given
from hypothesis import strategies as st

from cmr_train.data.splits import Split, choose_participants, split_participants

KEYS = st.lists(st.text(min_size=1, max_size=8), max_size=40, unique=True)


@given(KEYS, st.integers(0, 9))
def test_sets_are_disjoint_and_complete(keys, seed):
    split = split_participants(keys, seed=seed)
    assert sorted([*split.train, *split.validation, *split.test]) == sorted(keys)
    assert Split.from_json(split.to_json()) == split


@given(KEYS, KEYS, st.integers(0, 9))
def test_nobody_moves_when_others_join(keys, others, seed):
    before, after = split_participants(keys, seed=seed), split_participants(keys + others, seed=seed)
    for old, new in ((before.train, after.train), (before.validation, after.validation), (before.test, after.test)):
        assert set(old) <= set(new)


def test_the_split_is_the_same_on_every_machine():
    split = split_participants([f"SYN-{number:04}" for number in range(1, 11)], seed=0)
    assert split.test == ("SYN-0003", "SYN-0006", "SYN-0008")
    assert len(split_participants(map(str, range(10000)), seed=3).test) == pytest.approx(2000, abs=150)


@given(KEYS, st.integers(0, 20), st.integers(0, 20))
def test_a_smaller_choice_is_part_of_a_larger_one(keys, first, second):
    small, large = (choose_participants(keys, n, seed=0) for n in sorted((first, second)))
    assert set(small) <= set(large)
