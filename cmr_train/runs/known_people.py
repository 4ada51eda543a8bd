"""The participants that a run has seen, and the subjects of a catalogue that it is scored on."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from cmr_planes.shards.catalogue import Catalogue
from cmr_planes.shards.columns import ImageIndex
from cmr_planes.system.key_file import SecretKey
from cmr_planes.system.text import counted
from cmr_planes.system.whole_file import file_sha256
from cmr_train.choices import People, Subset
from cmr_train.data.selection import annotated_participants, of_participants, participants, split_of
from cmr_train.errors import TrainError
from cmr_train.runs.identity import CatalogueIdentity
from cmr_train.runs.trained_network import WithPeople

if TYPE_CHECKING:
    from cmr_train.runs.run import Run


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownPeople:
    """The participants of a catalogue that a run has seen."""

    learnt_from: frozenset[str]
    """Whose masks of the run's task it was trained on."""
    seen_by_pretext: frozenset[str]
    """Whose positions its weights were trained on."""

    @property
    def all(self) -> frozenset[str]:
        """All of them."""
        return self.learnt_from | self.seen_by_pretext


@dataclass(frozen=True, slots=True, kw_only=True)
class Chosen:
    """The images that a run is scored on."""

    index: ImageIndex
    """The images."""
    left_out: frozenset[str]
    """Participants who are not scored because the run has seen them."""


def own_catalogue(run: "Run") -> Path:
    """Return the catalogue that a run was trained on; raises TrainError if it is not there, or is another one by now."""
    identity = run.catalogue
    advice = "give the catalogue to evaluate on"
    if not identity.path.is_file():
        raise TrainError(f"{str(identity.path)!r}, on which run {run.name!r} was trained, is not there; {advice}")
    if file_sha256(identity.path) != identity.sha256:
        raise TrainError(
            f"{str(identity.path)!r} is another catalogue now than that on which run {run.name!r} was trained; {advice}"
        )
    return identity.path


def known_people(
    run: WithPeople, catalogue: CatalogueIdentity, keys: Sequence[str], people: People | None, key: SecretKey | None = None
) -> KnownPeople:
    """Return which of a catalogue's participants a run has seen; raises TrainError where that cannot be determined.

    Parameters
    ----------
    run
        The network.
    catalogue, keys
        The catalogue and its participants.
    people
        What the user says of equal keys; None where nothing was said.
    key
        The key of the keyed hashes that a network exported with a key file has in the place of participants.
    """
    if not run.has_people:
        check_are_others(f"network {run.name!r}", people)
        return KnownPeople(learnt_from=frozenset(), seen_by_pretext=frozenset())
    said = people or run.people
    return KnownPeople(
        learnt_from=run.learnt_from.among(catalogue, keys, people, key),
        seen_by_pretext=frozenset().union(*(group.among(catalogue, keys, said, key) for group in run.seen_by_pretext)),
    )


def check_key(runs: Iterable[WithPeople], key: SecretKey | None) -> None:
    """Refuse a key file that is not that with which a network was exported; raises TrainError."""
    for run in runs:
        stored = run.learnt_from.key_check if run.has_people else ""
        if key is not None and stored and stored != key.check_value:
            raise TrainError(f"network {run.name!r} was exported with another key file; give that one, or none")


def check_are_others(network: str, people: People | None) -> None:
    """Refuse a network that was exported without people, unless the user says that none of these subjects was among them.

    Raises
    ------
    TrainError
        The user does not say so; the sentence names the network as it is named here.
    """
    if people is not People.OTHER:
        raise TrainError(
            f"the participants that {network} has seen are not known, since it was exported without people; give people as "
            f"{People.OTHER.value} if none of these subjects was among them"
        )


def choose_subset(
    run: "Run", catalogue: Catalogue, index: ImageIndex, subset: Subset, known: KnownPeople, *, is_own: bool
) -> Chosen:
    """Choose the images of a subset of the participants; raises TrainError if there are none."""
    keys = participants(index)
    left_out = frozenset[str]()
    if subset is Subset.ALL:
        return Chosen(index=index, left_out=left_out)
    if subset is Subset.UNSEEN:
        wanted, left_out = frozenset(keys) - known.all, known.all
    elif not is_own:
        raise TrainError(
            f"the catalogue is of another cohort than that of run {run.name!r}, which has no {subset.value} set in it; "
            f"choose {Subset.UNSEEN.value} or {Subset.ALL.value}"
        )
    elif subset is Subset.TRAIN:
        wanted = known.learnt_from
    else:
        wanted = frozenset(getattr(run.split, subset.value))
        if run.config.data.split is None:  # subjects or labels that were added since have a set too
            drawn = split_of(run.config, index, run.head, annotated_participants(catalogue))
            before = frozenset({*run.split.train, *run.split.validation, *run.split.test})
            added = frozenset(getattr(drawn, subset.value)) - before
            wanted, left_out = wanted | (added - known.all), added & known.all
    chosen = of_participants(index, wanted)
    if not len(chosen):
        raise TrainError(
            f"none of the {counted(len(keys), 'participant')} with a truth belongs to the {subset.value} set of run "
            f"{run.name!r}; choose "
            "another subset"
        )
    return Chosen(index=chosen, left_out=left_out)


def choose_set(index: ImageIndex, subset: Subset, sets: Mapping[str, str]) -> Chosen:
    """Choose the images of the participants that a split file puts into a set; raises TrainError if there are none."""
    if subset in (Subset.ALL, Subset.UNSEEN):
        raise TrainError(f"a split file has no set {subset.value}; choose train, validation or test")
    keys = participants(index)
    chosen = of_participants(index, [key for key in keys if sets.get(key) == subset.value])
    if not len(chosen):
        raise TrainError(
            f"the split file puts none of the {counted(len(keys), 'participant')} with a truth into the {subset.value} set"
        )
    return Chosen(index=chosen, left_out=frozenset())
