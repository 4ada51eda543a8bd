"""The subjects that an output has already: identified by an instance of theirs, not by the name of a folder alone."""

from collections.abc import Collection, Mapping
from typing import NamedTuple

from cmr_planes.discovery.copies import instances
from cmr_planes.discovery.naming import Found, KnownSubjects
from cmr_planes.shards.schema import instance_digest


class StoredSubject(NamedTuple):
    """What a plan says of a subject."""

    participant: str = ""
    """The person; empty where the plan does not say."""
    instance: str = ""
    """Digest of the instance of one file; empty where none was read."""


def known_subjects(stored: Mapping[str, StoredSubject], left_out: Collection[str], salt: str) -> KnownSubjects:
    """Return how to tell whether a group of files is a subject that is stored.

    An instance of equal digest says so. Where the plan or the files have none, the name does. With thorough comparison all files
    are searched for the stored instance, because files may have been added before the one that was taken.

    Parameters
    ----------
    stored
        The subjects, by the keys that they have in the sources.
    left_out
        Those without images, which are no loss if something else is found under their name.
    salt
        Salt of the digests.
    """

    def is_same(key: str, found: Found, is_thorough: bool) -> bool | None:
        if key not in stored:
            return None
        wanted = stored[key].instance
        own = "" if found.group.origin is None else found.group.origin.sop_instance_uid
        if not wanted or not own or instance_digest(own, 0, salt) == wanted:
            return True
        if not is_thorough:
            return False
        return key in left_out or any(instance_digest(uid, 0, salt) == wanted for uid in instances(found.group))

    return KnownSubjects({key: subject.participant for key, subject in stored.items()}, is_same)
