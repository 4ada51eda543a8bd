import pytest
from hypothesis import given
from hypothesis import strategies as st

from cmr_train.data.splits import (
    Split,
    choose_participants,
    joined,
    read_split_file,
    split_by_file,
    split_participants,
    split_unlabelled,
)
from cmr_train.errors import TrainError

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


FRACTIONS = st.sampled_from([(0.7, 0.1, 0.2), (0.5, 0.0, 0.5), (0.5, 0.5, 0.0), (0.96, 0.02, 0.02), (1.0, 0.0, 0.0)])


@given(KEYS, st.integers(0, 9), FRACTIONS)
def test_at_least_two_of_those_without_annotations_are_held_back(keys, seed, fractions):
    split = split_unlabelled(keys, seed=seed, fractions=fractions)
    assert sorted([*split.train, *split.validation, *split.test]) == sorted(keys)
    n_held_back = len(split.validation) + len(split.test)
    if fractions[0] < 1 and len(keys) >= 4:
        assert n_held_back >= 2
        assert (bool(split.validation), bool(split.test)) == (fractions[1] > 0, fractions[2] > 0)
    assert split_unlabelled(keys, seed=seed, fractions=fractions, share=1) == split_participants(
        keys, seed=seed, fractions=fractions
    )
    assert split_unlabelled(keys, seed=seed, fractions=fractions, share=0).train == tuple(sorted(keys))


@given(KEYS.filter(lambda keys: len(keys) > 3), KEYS, st.integers(0, 9))
def test_those_who_join_hold_nobody_back_who_was_trained_on(keys, others, seed):
    before, after = split_unlabelled(keys, seed=seed), split_unlabelled({*keys, *others}, seed=seed)
    assert set(before.train) <= set(after.train)


def test_a_twentieth_of_many_without_annotations_is_held_back_within_the_sets_that_they_have_when_annotated():
    keys = [f"{number}" for number in range(20000)]
    split, annotated = split_unlabelled(keys, seed=3), split_participants(keys, seed=3)
    assert len(split.validation) == pytest.approx(20000 * 0.05 / 3, abs=75)
    assert len(split.test) == pytest.approx(20000 * 0.05 * 2 / 3, abs=105)
    assert {*split.validation} <= {*annotated.validation}
    assert {*split.test} <= {*annotated.test}
    larger = split_unlabelled(keys, seed=3, share=0.1)
    assert {*split.validation} <= {*larger.validation}
    assert {*split.test} <= {*larger.test}


def test_splits_of_different_people_are_joined():
    first, second = Split(train=("b",), validation=(), test=("d",)), Split(train=("a",), validation=("c",), test=())
    assert joined(first, second) == Split(train=("a", "b"), validation=("c",), test=("d",))


@given(KEYS, st.integers(0, 20), st.integers(0, 20))
def test_a_smaller_choice_is_part_of_a_larger_one(keys, first, second):
    small, large = (choose_participants(keys, n, seed=0) for n in sorted((first, second)))
    assert set(small) <= set(large)


def split_file(tmp_path, *rows):
    path = tmp_path / "split.csv"
    path.write_text("\n".join(["participant,set", *rows]))
    return path


def test_a_file_names_the_sets(tmp_path):
    sets = read_split_file(split_file(tmp_path, "p1,train", "p2, Test", "p3,validation", "p4,pretext", "p5,train"))
    structures = split_by_file(["p5", "p1", "p1", "p2", "p3", "p4", "p6"], sets, with_positions=False)
    assert structures == Split(train=("p1", "p5"), validation=("p3",), test=("p2",))
    positions = split_by_file(["p1", "p2", "p4", "p6"], sets, with_positions=True)
    assert positions == Split(train=("p1", "p4"), validation=(), test=("p2",))


def test_the_split_of_a_run_names_the_sets(tmp_path):
    (tmp_path / "split.json").write_text('{"train": ["p1"], "validation": ["p3"], "test": ["p2"], "seen_by_pretext": []}')
    sets = read_split_file(tmp_path / "split.json")
    assert split_by_file(["p2", "p1", "p4"], sets, with_positions=False) == Split(train=("p1",), validation=(), test=("p2",))


def test_a_table_with_other_columns_is_refused(tmp_path):
    (tmp_path / "split.csv").write_text("subject,set\np1,train\n")
    with pytest.raises(TrainError, match=r"no such columns; a CSV table with the columns participant and set is expected"):
        read_split_file(tmp_path / "split.csv")


@pytest.mark.parametrize(
    ("rows", "sentence"),
    [
        (["p1,training"], "row 2: the set is 'training', one of train, validation, test, pretext is expected"),
        (["p1,train", "p1,test"], "row 3: the participant is in two sets, train and test"),
        (["p1"], "row 2: the set is ''"),
        ([], "names no participant"),
    ],
)
def test_a_file_that_is_no_split_is_refused(tmp_path, rows, sentence):
    with pytest.raises(TrainError, match=sentence):
        read_split_file(split_file(tmp_path, *rows))
    with pytest.raises(TrainError, match="cannot be read"):
        read_split_file(tmp_path / "nowhere.csv")
