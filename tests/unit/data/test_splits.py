import pytest
from hypothesis import given
from hypothesis import strategies as st

from cmr_train.data.splits import Split, choose_participants, read_split_file, split_by_file, split_participants
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


@pytest.mark.parametrize(
    ("rows", "sentence"),
    [
        (["p1,training"], "row 2: the set is 'training', one of train, validation, test, pretext is expected"),
        (["p1,train", "p1,test"], "row 3: the participant is in two sets, train and test"),
        (["p1"], "row 2: the set is ''"),
        ([], "no table with the columns participant and set"),
    ],
)
def test_a_file_that_is_no_split_is_refused(tmp_path, rows, sentence):
    with pytest.raises(TrainError, match=sentence):
        read_split_file(split_file(tmp_path, *rows))
    with pytest.raises(TrainError, match="cannot be read"):
        read_split_file(tmp_path / "nowhere.csv")
