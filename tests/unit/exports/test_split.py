"""Who is trained on: the split of cmr-train, files that state it, folds."""

import json
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cmr_planes.errors import ExportError
from cmr_planes.exports.split import folds, random_sets, read_split
from cmr_planes.system.participant_sets import ParticipantSet
from cmr_train.data.splits import Split, split_participants

TRAIN, VALIDATION, TEST, PRETEXT = ParticipantSet


@given(st.sets(st.text(min_size=1, max_size=8), max_size=30), st.integers(0, 1000))
def test_a_random_split_is_that_of_cmr_train(keys, seed):
    sets = random_sets(keys, seed)
    expected = split_participants(keys, seed=seed)
    assert [tuple(sorted(key for key, name in sets.items() if name is one)) for one in (TRAIN, VALIDATION, TEST)] == [
        expected.train,
        expected.validation,
        expected.test,
    ]


@given(st.integers(1, 30), st.integers(1, 5), st.integers(0, 9))
def test_the_first_fold_is_the_split_and_everyone_is_validated_on_once(n_train, n_validation, seed):
    sets = {f"t{n}": TRAIN for n in range(n_train)} | {f"v{n}": VALIDATION for n in range(n_validation)} | {"test": TEST}
    divided = folds(sets, seed)
    everyone = {key for key, name in sets.items() if name is not TEST}
    assert divided[0].validation == {key for key, name in sets.items() if name is VALIDATION}
    assert sorted(key for fold in divided for key in fold.validation) == sorted(everyone)
    assert all(fold.train | fold.validation == everyone and not fold.train & fold.validation for fold in divided)
    assert len(divided) == min(5, 1 + n_train)
    sizes = sorted(len(fold.validation) for fold in divided[1:])
    assert sizes[-1] - sizes[0] <= 1
    assert divided == folds(dict(reversed(sets.items())), seed)
    assert all(one != other for one, other in pairwise(divided))


@pytest.mark.parametrize(("sets", "lacking"), [({"a": TRAIN}, "validation"), ({"a": VALIDATION, "b": TEST}, "training")])
def test_an_empty_set_is_refused(sets, lacking):
    with pytest.raises(ExportError, match=f"none is in the {lacking} set"):
        folds(sets, 0)


def test_files_of_both_forms_state_the_sets(tmp_path):
    (tmp_path / "split.csv").write_text("participant,set\na,train\nb,Test\nc,validation\nd,pretext\na,train\n")
    assert read_split(tmp_path / "split.csv") == {"a": TRAIN, "b": TEST, "c": VALIDATION, "d": PRETEXT}
    (tmp_path / "split.json").write_text(json.dumps(Split(("a", "x"), ("c",), ("b",)).to_json()))
    assert read_split(tmp_path / "split.json") == {"a": TRAIN, "x": TRAIN, "b": TEST, "c": VALIDATION}


@pytest.mark.parametrize(
    ("name", "text", "sentence"),
    [
        ("a.csv", "person,set\na,train\n", "has no such columns"),
        ("a.csv", "participant,set\na,holdout\n", "row 2: the set is 'holdout'"),
        ("a.csv", "participant,set\na,train\na,test\n", "row 3: the participant is in two sets, train and test"),
        ("a.csv", "participant,set\n", "names no participant"),
        ("a.json", "[1", "cannot be read"),
        ("a.json", '{"train": ["a"]}', "cannot be read"),
        ("a.json", '{"train": 1, "validation": [], "test": []}', "cannot be read"),
        ("a.json", '{"train": [], "validation": [], "test": []}', "names no participant"),
        ("a.json", '{"train": ["a"], "validation": ["a"], "test": []}', "participant 2: the participant is in two sets"),
    ],
)
def test_what_is_no_split_is_refused(tmp_path, name, text, sentence):
    (tmp_path / name).write_text(text)
    with pytest.raises(ExportError, match=sentence):
        read_split(tmp_path / name)
    with pytest.raises(ExportError, match="cannot be read"):
        read_split(tmp_path / "missing.csv")
