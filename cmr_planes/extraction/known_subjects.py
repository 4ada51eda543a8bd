"""The subjects that an output has already: told by an instance of theirs, not by the name of a folder alone."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from cmr_planes.discovery.copies import instances
from cmr_planes.discovery.naming import Found, KnownSubjects
from cmr_planes.discovery.subjects import SubjectSource
from cmr_planes.extraction.options import ExtractOptions
from cmr_planes.shards.schema import configuration_digest, instance_digest


@dataclass(frozen=True, slots=True)
class StoredSubjects:
    """What a plan says of its subjects, by the keys that they have in the sources."""

    participants: Mapping[str, str]
    """Their participants; empty where the plan does not say."""
    instances: Mapping[str, str]
    """Digest of the instance of one file; empty where none was read."""
    left_out: Collection[str] = ()
    """Those without images, which are no loss if something else is found under their name."""


def salt_of(options: ExtractOptions) -> str:
    """Return the salt of digests: secret with pseudonyms, else one that anyone can read."""
    return configuration_digest(options.to_json()) if options.pseudonyms is None else options.pseudonyms.instance_salt


def digest_of(source: SubjectSource, options: ExtractOptions) -> str:
    """Return the digest of the instance that stands for a subject."""
    return instance_digest(source.instance, 0, salt_of(options))


def known_subjects(stored: StoredSubjects, options: ExtractOptions) -> KnownSubjects:
    """Return how to tell whether a group of files is a subject that is stored.

    An instance of equal digest says so. Where the plan or the files have none, the name does. With thorough comparison all files
    are searched for the stored instance, because files may have been added before the one that was taken.
    """
    salt = salt_of(options)

    def is_same(key: str, found: Found, is_thorough: bool) -> bool | None:  # called through the protocol
        if key not in stored.participants:
            return None
        wanted = stored.instances.get(key, "")
        own = "" if found.group.origin is None else found.group.origin.sop_instance_uid
        if not wanted or not own or instance_digest(own, 0, salt) == wanted:
            return True
        if not is_thorough:
            return False
        return key in stored.left_out or any(instance_digest(uid, 0, salt) == wanted for uid in instances(found.group))

    return KnownSubjects(stored.participants, is_same)
