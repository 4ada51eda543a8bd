"""What folders and files of pulled studies are called: keyed hashes or running numbers, never anything that the server sent."""

import json
import secrets
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Protocol

from cmr_planes.discovery.naming import short_digest
from cmr_planes.errors import ShardError
from cmr_planes.system.json_text import JSON, canonical_json
from cmr_planes.system.key_file import MIN_KEY_BYTES, SecretKey
from cmr_planes.system.reasons import reason
from cmr_planes.system.whole_file import sealed

STATE_NAME = "pull.json"
"""The file in the output folder that says how its folders are called."""

_VERSION = 1
_DIGITS = 5
"""Of a running number: four would look like a year."""
_DIGEST_LENGTH = 16


class Naming(Protocol):
    """Gives names to studies and instances."""

    def study(self, uid: str) -> str:
        """Return the name of a study's folder."""
        ...

    def instance(self, uid: str) -> str:
        """Return the name of an instance's file, without suffix."""
        ...


@dataclass(frozen=True, slots=True)
class HashedNames:
    """Names by a keyed hash: the study's is what ``extract`` makes of a folder named by its UID under the same key."""

    key: SecretKey

    def study(self, uid: str) -> str:
        """Return the pseudonym of a study."""
        return self.key.name(short_digest(uid))

    def instance(self, uid: str) -> str:
        """Return the hash of an instance's UID."""
        return self.key.name(uid)


@dataclass(frozen=True, slots=True)
class DigestNames:
    """The keys that ``extract`` gives to studies in one flat folder: for folders that are soon removed."""

    key: SecretKey = field(default_factory=lambda: SecretKey(b"files of a temporary folder"))

    def study(self, uid: str) -> str:
        """Return the twelve digits that stand for a UID."""
        return short_digest(uid)

    def instance(self, uid: str) -> str:
        """Return a hash of an instance's UID."""
        return self.key.name(uid)


@dataclass(frozen=True, slots=True)
class NumberedNames:
    """Running numbers; hashes under a key of the folder's own map a study back to its number."""

    key: SecretKey
    numbers: Mapping[str, int] = field(default_factory=dict)
    """By the keyed hash of the study's UID."""

    def study(self, uid: str) -> str:
        """Return the number of a study, which must have one."""
        return f"{self.numbers[self._digest(uid)]:0{_DIGITS}}"

    def instance(self, uid: str) -> str:
        """Return the hash of an instance's UID."""
        return self.key.name(uid)

    def with_studies(self, uids: Iterable[str]) -> "NumberedNames":
        """Return names in which new studies have the next numbers, in the order of their UIDs."""
        new = [digest for digest in map(self._digest, sorted(set(uids))) if digest not in self.numbers]
        next_number = max(self.numbers.values(), default=0) + 1
        return replace(self, numbers={**self.numbers, **{digest: next_number + index for index, digest in enumerate(new)}})

    def _digest(self, uid: str) -> str:
        return self.key.digest("study", uid)[:_DIGEST_LENGTH]


@dataclass(frozen=True, slots=True, kw_only=True)
class FolderState:
    """What an output folder of ``pull`` is."""

    naming: str
    """How its studies are called: :data:`NUMBERS`, :data:`DIGESTS`, or the check value of the key whose hashes they are."""
    choice: str
    """Which series its studies have: :data:`ALL_SERIES`, or the digest of the table of names by which they were chosen."""
    names: NumberedNames | None = None
    """The running numbers."""


NUMBERS, DIGESTS = "numbers", "digests"
ALL_SERIES = "all series"


def open_state(folder: Path, *, naming: str, choice: str) -> FolderState:
    """Return the state of an output folder, a new one for a folder that is empty or not there.

    Raises
    ------
    ShardError
        The folder is not one of ours, or was filled with other options.
    """
    path = folder / STATE_NAME
    try:
        stored = json.loads(path.read_text(encoding="utf-8"))
        names = None
        if stored["names"] is not None:
            numbers = {str(digest): int(number) for digest, number in stored["names"]["numbers"].items()}
            names = NumberedNames(SecretKey(bytes.fromhex(stored["names"]["key"])), numbers)
        state = FolderState(naming=str(stored["naming"]), choice=str(stored["choice"]), names=names)
        is_known = stored["version"] == _VERSION and (names is not None) == (state.naming == NUMBERS)
    except FileNotFoundError:
        return _new_state(folder, naming, choice)
    except OSError as error:
        raise ShardError(f"{path} cannot be read ({reason(error)}); check the path and its permissions") from error
    except (ValueError, KeyError, TypeError, AttributeError):
        is_known = False
    if not is_known:
        raise ShardError(f"{path} is not what this version of cmr-planes writes; give another folder, it is left as it is")
    if state.naming != naming:
        what = "without pseudonyms" if state.naming in (NUMBERS, DIGESTS) else "with pseudonyms of a key file that is not this one"
        raise ShardError(f"{folder} was filled {what}; pull in the same way, or give another folder")
    if state.choice != choice:
        what = "all series of its studies" if state.choice == ALL_SERIES else "only the series of views, by its table of names"
        raise ShardError(f"{folder} was filled with {what}; pull in the same way, or give another folder")
    return state


def _new_state(folder: Path, naming: str, choice: str) -> FolderState:
    try:
        is_empty = not folder.exists() or next(folder.iterdir(), None) is None
    except OSError as error:
        raise ShardError(f"{folder} cannot be used ({reason(error)}); give another folder") from error
    if not is_empty:
        raise ShardError(f"{folder} holds files that are not of a pull; give an empty folder, or a new one")
    names = NumberedNames(SecretKey(secrets.token_bytes(MIN_KEY_BYTES))) if naming == NUMBERS else None
    return FolderState(naming=naming, choice=choice, names=names)


def write_state(folder: Path, state: FolderState) -> None:
    """Write the state of an output folder, for its owner alone."""
    names = state.names
    stored: dict[str, JSON] = {
        "version": _VERSION,
        "naming": state.naming,
        "choice": state.choice,
        "names": None if names is None else {"key": names.key.secret.hex(), "numbers": dict(names.numbers)},
    }
    with sealed(folder / STATE_NAME, private=True) as stream:
        stream.write(canonical_json(stored).encode())
