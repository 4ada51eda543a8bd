"""Which catalogue a run was trained on, and whether the people of two catalogues can be distinguished by their keys."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Self

from cmr_planes.shards.catalogue import Catalogue
from cmr_planes.system.key_file import SecretKey
from cmr_planes.system.text import counted, either
from cmr_planes.system.whole_file import file_sha256
from cmr_train.choices import Head, People
from cmr_train.errors import TrainError


@dataclass(frozen=True, slots=True, kw_only=True)
class CatalogueIdentity:
    """What tells one catalogue from another."""

    path: Path
    """Absolute."""
    sha256: str
    """Of the catalogue's file: it changes with subjects, labels and options."""
    origin: str = ""
    """:meth:`cmr_planes.shards.catalogue.Catalogue.origin`: it stays when subjects or labels are added; empty if not known."""
    pseudonyms: str = ""
    """What tells the key file of its pseudonyms; empty where it has none."""

    @classmethod
    def of(cls, catalogue: Catalogue) -> Self:
        """Return the identity of a catalogue."""
        return cls(
            path=catalogue.path.absolute(),
            sha256=file_sha256(catalogue.path),
            origin=catalogue.origin(),
            pseudonyms=catalogue.configuration().get("pseudonymised") or "",
        )

    def to_json(self) -> dict[str, str]:
        """Return what JSON can hold."""
        return {"path": self.path.as_posix(), "sha256": self.sha256, "origin": self.origin, "pseudonyms": self.pseudonyms}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Self:
        """Read what :meth:`to_json` gave; raises KeyError or TypeError for anything else."""
        return cls(
            path=Path(str(value["path"])),
            sha256=str(value["sha256"]),
            origin=str(value["origin"]),
            pseudonyms=str(value["pseudonyms"]),
        )

    def is_of_one_cohort(self, other: "CatalogueIdentity") -> bool:
        """Tell whether two catalogues are one, or one with subjects or labels added."""
        return self.sha256 == other.sha256 or bool(self.origin and self.origin == other.origin)


def identities_of(catalogues: Mapping[Head, Catalogue]) -> dict[Head, CatalogueIdentity]:
    """Return the identity of each task's catalogue; a catalogue that serves two tasks is read once."""
    by_path = {catalogue.path: catalogue for catalogue in catalogues.values()}
    found = {path: CatalogueIdentity.of(catalogue) for path, catalogue in by_path.items()}
    return {head: found[catalogue.path] for head, catalogue in catalogues.items()}


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """Participants of one catalogue that weights were trained on."""

    catalogue: CatalogueIdentity
    participants: frozenset[str]
    key_check: str = ""
    """The check value of the key under which the participants are hashed; empty where they are not."""

    def to_json(self) -> dict[str, Any]:
        """Return what JSON can hold."""
        hashed = {"key_check": self.key_check} if self.key_check else {}
        return {"catalogue": self.catalogue.to_json(), "participants": sorted(self.participants)} | hashed

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Self:
        """Read what :meth:`to_json` gave; raises KeyError or TypeError for anything else."""
        return cls(
            catalogue=CatalogueIdentity.from_json(value["catalogue"]),
            participants=frozenset(map(str, value["participants"])),
            key_check=str(value.get("key_check", "")),
        )

    def hashed(self, key: SecretKey) -> Self:
        """Return the group with its participants hashed, as ``cmr-planes extract --pseudonymise`` does it with the same key file.

        Raises
        ------
        TrainError
            They are hashed under another key.
        """
        if self.key_check == key.check_value:
            return self
        if self.key_check:
            raise TrainError("participants that the network has seen are hashed under another key; give that key file")
        return type(self)(
            catalogue=_hashed_identity(self.catalogue, key),
            participants=frozenset(_hashed_name(self.catalogue, one, key) for one in self.participants),
            key_check=key.check_value,
        )

    def among(
        self,
        catalogue: CatalogueIdentity,
        participants: Collection[str],
        people: People | None = None,
        key: SecretKey | None = None,
    ) -> frozenset[str]:
        """Return those of some participants of another catalogue who are among these.

        Parameters
        ----------
        catalogue, participants
            The catalogue, and participants of it.
        people
            What the user says of equal keys; None where nothing was said.
        key
            The key under which these participants are hashed, if they are.

        Raises
        ------
        TrainError
            The key is missing or another one, or as :func:`are_same_people` raises it.
        """
        if not self.key_check:
            common = self.participants.intersection(participants)
            return common if are_same_people(self.catalogue, catalogue, common, people) else frozenset()
        if people is People.OTHER:
            return frozenset()
        if key is None or key.check_value != self.key_check:
            raise TrainError(
                "participants that the network has seen are stored as keyed hashes, and "
                + ("no key file is given" if key is None else "the key file is another one")
                + f"; give that of the export as people_key, or people as {People.OTHER.value} if no subject was among them"
            )
        names = {_hashed_name(catalogue, one, key): one for one in participants}
        found = self.participants & names.keys()
        is_same = are_same_people(self.catalogue, _hashed_identity(catalogue, key), found, people)
        return frozenset(names[one] for one in found) if is_same else frozenset()


def _hashed_name(catalogue: CatalogueIdentity, participant: str, key: SecretKey) -> str:
    """Return the pseudonym of a participant; that of a catalogue with pseudonyms of the same key is one already."""
    return participant if catalogue.pseudonyms == key.check_value else key.name(participant)


def _hashed_identity(catalogue: CatalogueIdentity, key: SecretKey) -> CatalogueIdentity:
    """Return the identity under which hashed participants of plain catalogues and of those with the key's pseudonyms compare."""
    return replace(catalogue, pseudonyms=catalogue.pseudonyms or key.check_value)


def are_same_people(
    first: CatalogueIdentity, second: CatalogueIdentity, common: Collection[str], people: People | None = None
) -> bool:
    """Tell whether participants of equal keys in two catalogues are the same persons.

    Parameters
    ----------
    first, second
        The catalogues.
    common
        The keys that are in both.
    people
        What the user says; None where nothing was said. In catalogues of one cohort equal keys are the same persons all the same.

    Raises
    ------
    TrainError
        It cannot be determined: the catalogues are of different origin and have keys in common, or pseudonyms of different keys.
    """
    has_other_pseudonyms = first.pseudonyms != second.pseudonyms
    names = f"{str(first.path)!r} and {str(second.path)!r}"
    if not has_other_pseudonyms and first.is_of_one_cohort(second):
        return True
    if people is People.OTHER:
        return False
    if has_other_pseudonyms:
        raise TrainError(
            f"persons cannot be compared: {names} have pseudonyms of different key files, or one has none; if no one is in both, "
            f"give people as {People.OTHER.value}, else extract both with one key file"
        )
    if people is People.SAME:
        return True
    if common:
        raise TrainError(
            f"{counted(len(common), 'participant')} {either(len(common), 'has', 'have')} the same key in {names}, which "
            "are of different origin; give people as "
            f"{People.SAME.value} if equal keys are the same persons, as {People.OTHER.value} if they are not"
        )
    return True


def in_groups(digest: str) -> str:
    """Return a checksum in groups of four digits, so that no part of it looks like a participant's number."""
    return " ".join(digest[start : start + 4] for start in range(0, len(digest), 4))
