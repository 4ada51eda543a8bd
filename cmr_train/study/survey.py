"""The participants of a study, counted before anything runs, so that a study that cannot work is refused at once."""

import dataclasses
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import torch

from cmr_planes.shards.catalogue import Catalogue
from cmr_planes.shards.columns import ImageIndex
from cmr_planes.system.text import counted, either, listed, part
from cmr_planes.views import Structure
from cmr_train.choices import Head, Subset, TransferMode, Weights
from cmr_train.compute.devices import Compute
from cmr_train.compute.distributed import World
from cmr_train.config import DataConfig, PretextConfig, RunConfig
from cmr_train.data.drawn import drawn_structures
from cmr_train.data.selection import participants, select_images
from cmr_train.data.splits import choose_participants, read_split_file
from cmr_train.errors import ConfigError, SettingProblem, TrainError
from cmr_train.recipes.finetune import held_out_sentence
from cmr_train.runs.identity import CatalogueIdentity, Seen, are_same_people
from cmr_train.runs.known_people import choose_set
from cmr_train.study.plan import Pretext, StudyPlan, StudyRun
from cmr_train.study.study_file import OtherTestSet
from cmr_train.training.best import MIN_PARTICIPANTS
from cmr_train.training.session import Reporter, Session
from cmr_train.training.tasks import choose_images

MIN_TESTED = 5
"""A study tested on fewer participants is refused unless it allows that."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cohort:
    """The participants of one choice of data."""

    catalogue: CatalogueIdentity
    """Where they are."""
    train: Mapping[str, int]
    """Images of each participant of the training set."""
    test: frozenset[str]
    """Participants of the test set."""
    held_back: frozenset[str]
    """Participants of the validation and the test set with images that a run could be trained on."""
    validation: frozenset[str]
    """Participants of the validation set."""
    drawn: Mapping[str, frozenset[Structure]]
    """Structures that were drawn on the training images of each participant; empty for positions."""

    @property
    def everyone(self) -> frozenset[str]:
        """All participants that a run could be trained on, or who are held back from it."""
        return self.held_back.union(self.train)

    def learnt_from(self, config: RunConfig) -> dict[str, int]:
        """Return the numbers of participants and images that a run is trained on."""
        chosen = self.chosen(config)
        return {"n_subjects": len(chosen), "n_images": sum(self.train[key] for key in chosen)}

    def undrawn(self, config: RunConfig) -> tuple[str, ...]:
        """Return the names of the structures of a run that were drawn on none of the images that it is trained on."""
        drawn = frozenset[Structure]().union(*(self.drawn[key] for key in self.chosen(config)))
        return tuple(structure.title for structure in config.structures if structure not in drawn)

    def used(self, config: RunConfig) -> frozenset[str]:
        """Return the participants that a run is trained or validated on."""
        return frozenset(self.chosen(config)) | self.validation

    def chosen(self, config: RunConfig) -> tuple[str, ...]:
        """Return the participants that a run is trained on."""
        return choose_participants(self.train, config.data.subjects or len(self.train), seed=config.data.subjects_seed)


@dataclass(frozen=True, slots=True, kw_only=True)
class Tested:
    """Participants of another test set."""

    catalogue: CatalogueIdentity
    keys: frozenset[str]


def survey(plan: StudyPlan) -> dict[str, dict[str, int]]:
    """Count the participants of every run, before anything runs.

    Returns
    -------
        For each run's folder ``n_subjects`` and ``n_images`` that it is trained on, and ``n_test`` participants of its test set.

    Raises
    ------
    ConfigError
        A run needs more participants than there are, none of its participants shows one of its structures, its pretext learns from
        participants who are held back from it, or the variants have different test sets.
    TrainError
        A catalogue has no images, annotations or positions of the view, or no test set.
    """
    other_tests: dict[tuple[object, ...], Tested] = {}
    cohorts: dict[tuple[DataConfig, Path, Head, bool, PretextConfig | None], Cohort] = {}
    pretexts = {pretext.name: pretext.config for pretext in plan.pretexts}
    found: dict[str, dict[str, int]] = {}
    problems: list[SettingProblem | str] = []
    tests = set()

    def cohort(config: RunConfig, head: Head) -> Cohort:
        ignores_undrawn = config.transfer is not None and config.transfer.ignore_undrawn
        data = dataclasses.replace(config.data, subjects=None, subjects_seed=0)
        key = data, config.data_of(head), head, ignores_undrawn, config.pretext if head is Head.POSITIONS else None
        if key not in cohorts:
            has_test_set = config.has_classes(head) and (head is Head.POSITIONS or plan.study.test is None)
            cohorts[key] = _cohort(dataclasses.replace(config, data=data), head, has_test_set=has_test_set)
        return cohorts[key]

    problems += _problems_of_sizes(plan, {run.folder: len(cohort(run.config, run.config.head).train) for run in plan.runs})
    for run in plan.everything:
        people = cohort(run.config, run.config.head)
        problems += _problems_of_run(plan, run, people)
        tested = people.test
        if isinstance(run, StudyRun):
            learnt = [(people.catalogue, people.used(run.config))]
            if run.mode is TransferMode.MULTITASK:
                positions = cohort(run.config, Head.POSITIONS)
                _check_equal_keys(run.config, people, positions)
                learnt.append((positions.catalogue, frozenset(positions.train)))
            if run.pretext is not None:
                source = pretexts[run.pretext]
                seen = cohort(source, Head.POSITIONS)
                learnt.append((seen.catalogue, seen.used(source)))
                problems += _problems_of_pretext(run, people, source, seen)
            if plan.study.test is not None:
                key = run.config.data.view, run.config.data.phases, run.config.structures
                if key not in other_tests:
                    other_tests[key] = _other_test_set(plan.study.test, run.config)
                tested = other_tests[key].keys
                problems += _problems_of_other_test_set(plan.study.test, other_tests[key], learnt)
            tests.add(tested)
        found[run.folder] = people.learnt_from(run.config) | {"n_test": len(tested)}
    problems += _problems_of_tests(tests, few_tested=plan.study.few_tested)
    if problems:
        raise ConfigError([*dict.fromkeys(problems)])
    return found


def _check_equal_keys(config: RunConfig, structures: Cohort, positions: Cohort) -> None:
    """Refuse to guess whether equal keys in the two catalogues of a multitask run are of the same persons; raises TrainError."""
    common = structures.everyone & positions.everyone
    if common and config.transfer is not None:
        are_same_people(positions.catalogue, structures.catalogue, common, config.transfer.people)


def _problems_of_tests(tests: Collection[frozenset[str]], *, few_tested: bool) -> Iterator[SettingProblem | str]:
    """Say what is wrong with the test sets of a study's variants."""
    n_tested = min(map(len, tests), default=0)
    if n_tested < MIN_TESTED and not few_tested:
        sentence = (
            f"is needed: the test set has {counted(n_tested, 'participant')}, and fewer than {MIN_TESTED} say little about others; "
            "else annotate more, or give the test set a larger share (fractions)"
        )
        yield SettingProblem("few_tested", sentence, is_missing=True)
    if len(tests) > 1:
        yield "the variants are tested on different participants; give them the same subjects, split_seed and fractions"


def _problems_of_sizes(plan: StudyPlan, n_there: Mapping[str, int]) -> Iterator[SettingProblem]:
    """Say which numbers of participants fit, where some are more than there are; ``n_there`` by folder of the runs."""
    if not any(run.subjects > n_there[run.folder] for run in plan.runs):
        return
    most = min(n_there.values())
    sizes = sorted({size for size in plan.study.subjects if size < most} | {most})
    sources = listed(dict.fromkeys(repr(str(run.config.data.data)) for run in plan.runs if n_there[run.folder] == most))
    sentence = (
        f"can be at most {most:,}, the annotated participants of view {plan.study.view.title} in the training set of {sources}: "
        f"{','.join(map(str, sizes))} fits"
    )
    yield SettingProblem("subjects", sentence, is_missing=True)


def _problems_of_run(plan: StudyPlan, run: Pretext | StudyRun, people: Cohort) -> Iterator[str]:
    """Say what makes a run impossible."""
    data, n_there = run.config.data, len(people.train)
    if data.subjects is not None and data.subjects > n_there:
        if isinstance(run, Pretext):
            what = f"{counted(n_there, 'participant')} with {run.config.material(run.config.head)}"
            yield (
                f"the pretext is to have {counted(data.subjects, 'participant')}, and the training set of "
                f"{str(data.data)!r} has {what} of "
                f"view {plan.study.view.title}; ask for fewer"
            )
        return
    if isinstance(run, Pretext):
        return
    undrawn = people.undrawn(run.config)
    if undrawn:
        yield (
            f"{run.name}: none of the images of the {counted(run.subjects, 'participant')} chosen with seed {run.seed} shows "
            f"{', '.join(undrawn)}, which it is to segment; ask for more participants, or other structures"
        )
    if plan.study.weights is Weights.BEST and len(people.validation) < MIN_PARTICIPANTS:
        yield (
            f"the validation set of {str(data.data)!r} has {counted(len(people.validation), 'annotated participant')}, and "
            f"{MIN_PARTICIPANTS} are needed to choose the best weights; use the last ones, or other fractions"
        )


def _problems_of_pretext(run: StudyRun, people: Cohort, source: RunConfig, seen: Cohort) -> Iterator[str]:
    """Say that a pretext learns from participants held back from a network; raises TrainError where that cannot be determined."""
    group = Seen(catalogue=seen.catalogue, participants=frozenset(seen.chosen(source)))
    found = group.among(people.catalogue, people.held_back, None if run.config.transfer is None else run.config.transfer.people)
    if found:
        yield held_out_sentence(len(found), run.config, source)


def _other_test_set(test: OtherTestSet, config: RunConfig) -> Tested:
    """Find the participants of another test set that a run is scored on; raises TrainError if there are none."""
    with Catalogue(test.data) as catalogue:
        index = select_images(config, catalogue, config.head, Subset.ALL)
        if test.split is not None:
            index = choose_set(index, Subset.TEST, read_split_file(test.split)).index
        return Tested(catalogue=CatalogueIdentity.of(catalogue), keys=frozenset(participants(index)))


def _problems_of_other_test_set(
    test: OtherTestSet, tested: Tested, learnt: Iterable[tuple[CatalogueIdentity, frozenset[str]]]
) -> Iterator[str]:
    """Say that participants of another test set are trained or validated on; raises TrainError where that cannot be determined."""
    common = frozenset[str]().union(
        *(
            Seen(catalogue=catalogue, participants=keys).among(tested.catalogue, tested.keys, test.people)
            for catalogue, keys in learnt
        )
    )
    if common:
        yield (
            f"{part(len(common), len(tested.keys), 'test participant')} in {str(test.data)!r} "
            f"{either(len(common), 'is', 'are')} trained or validated on; "
            f"name the test set in a split file without {either(len(common), 'this one', 'them')}, or train on others"
        )


def _cohort(config: RunConfig, head: Head, *, has_test_set: bool) -> Cohort:
    """Find the training images of a task and the test set, if it is used."""
    with Catalogue(config.data_of(head)) as catalogue:
        compute = Compute(torch.device("cpu"))
        session = Session(
            config=config, out=Path(), catalogues={head: catalogue}, compute=compute, world=World(), reporter=Reporter()
        )
        images = choose_images(session, head)
        index = images.train
        keys = [index.participant(row) for row in range(len(index))]
        tested = _test_set(config, catalogue) if head is config.head and has_test_set else frozenset()
        drawn = _drawn_by_participant(catalogue, index, keys, config) if head is Head.STRUCTURES else {}
        identity = CatalogueIdentity.of(catalogue)
    return Cohort(
        catalogue=identity,
        train=Counter(keys),
        test=tested,
        held_back=frozenset({*images.split.validation, *images.split.test}),
        validation=frozenset(participants(images.validation)),
        drawn=drawn,
    )


def _drawn_by_participant(
    catalogue: Catalogue, index: ImageIndex, keys: list[str], config: RunConfig
) -> dict[str, frozenset[Structure]]:
    """Return the structures that were drawn, or checked and absent, on the images of each participant."""
    found: dict[str, frozenset[Structure]] = dict.fromkeys(keys, frozenset())
    for key, drawn in zip(keys, drawn_structures(catalogue, index, config.data.view), strict=True):
        found[key] |= {structure for structure in config.structures if drawn[structure]}
    return found


def _test_set(config: RunConfig, catalogue: Catalogue) -> frozenset[str]:
    """Return the participants of the test set. A pretext may have none: then it is trained and not scored."""
    try:
        return frozenset(participants(select_images(config, catalogue, config.head, Subset.TEST)))
    except TrainError:
        if config.head is Head.POSITIONS:
            return frozenset()
        raise
