"""A task's images: the same choice for training, validation and evaluation."""

import pytest

from cmr_planes.shards.catalogue import Catalogue
from cmr_train.choices import Head, Subset
from cmr_train.data.selection import annotated_participants, participants, select_images, split_of
from cmr_train.data.splits import split_participants
from cmr_train.errors import TrainError
from tests.helpers.training import annotate, small_catalogue, small_config


@pytest.fixture(scope="module")
def catalogue(tmp_path_factory):
    with Catalogue(small_catalogue(tmp_path_factory.mktemp("data"), 8)) as catalogue:
        yield catalogue


def test_the_sets_share_nobody_and_make_up_all(catalogue):
    config = small_config(catalogue.path, fractions=(0.4, 0.3, 0.3))
    sets = [
        participants(select_images(config, catalogue, Head.POSITIONS, subset))
        for subset in (Subset.TRAIN, Subset.VALIDATION, Subset.TEST)
    ]
    people = [person for chosen in sets for person in chosen]
    assert len(people) == len(set(people)) == 8
    assert set(people) == set(participants(select_images(config, catalogue, Head.POSITIONS, Subset.ALL)))


def test_annotated_participants_have_one_set_in_both_tasks_and_few_of_the_others_are_held_back(tmp_path):
    path = small_catalogue(tmp_path, 40)
    labelled = [f"SYN-{number:04}" for number in range(1, 13)]
    annotate(path, keys=labelled)
    expected, config = split_participants(labelled, seed=0), small_config(path)
    with Catalogue(path) as catalogue:
        assert annotated_participants(catalogue) == {*labelled}
        index = {head: select_images(config, catalogue, head, Subset.ALL) for head in Head}
        positions, structures = (
            split_of(config, index[head], head, annotated_participants(catalogue)) for head in (Head.POSITIONS, Head.STRUCTURES)
        )
    assert structures == expected
    for name in ("train", "validation", "test"):
        assert {*getattr(positions, name)} & {*labelled} == {*getattr(expected, name)}
    assert len({*positions.validation, *positions.test} - {*labelled}) == 2
    assert len(positions.train) == len(expected.train) + 28 - 2


def test_only_the_phases_of_the_run_are_taken(catalogue):
    index = select_images(small_config(catalogue.path, phases=("es",)), catalogue, Head.POSITIONS, Subset.ALL)
    assert (len(index), set(index.phase)) == (8 * 3, {"es"})


@pytest.mark.parametrize(
    ("given", "head", "subset", "words"),
    [
        ({"phases": ("000",)}, Head.POSITIONS, Subset.ALL, "has no phase 000 of view SAX; it has ed, es"),
        ({}, Head.STRUCTURES, Subset.ALL, "has no annotated subjects of view SAX; 'cmr-planes annotate' adds them"),
        ({"fractions": (1.0, 0.0, 0.0)}, Head.POSITIONS, Subset.TEST, "none of the 8 participants .* belongs to the test set"),
    ],
)
def test_what_is_missing_is_said(catalogue, given, head, subset, words):
    with pytest.raises(TrainError, match=words):
        select_images(small_config(catalogue.path, **given), catalogue, head, subset)
