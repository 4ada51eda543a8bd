"""Which subject goes into which shard, and what is left to do.

The plan is written first, and a killed run continues with it. Later runs add shards for new subjects, and for those that were left
out and are tried again.
"""

import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import accumulate
from pathlib import Path

from cmr_planes.annotations.files import LabelFile
from cmr_planes.discovery.copies import fingerprint
from cmr_planes.discovery.naming import NONE_KNOWN, KnownSubjects
from cmr_planes.discovery.pseudonyms import MappingRow, mapping_path, read_mapping, write_mapping
from cmr_planes.discovery.subjects import SubjectSource
from cmr_planes.discovery.words import looks_identifying
from cmr_planes.errors import Finding, NoteCode, ShardError
from cmr_planes.extraction.configuration import differences, identity
from cmr_planes.extraction.known_subjects import StoredSubject, known_subjects
from cmr_planes.extraction.left_out_subjects import STATES_NAME, read_states, subjects_without_images
from cmr_planes.extraction.options import ExtractOptions, check_pseudonym_key
from cmr_planes.extraction.source_format import format_of
from cmr_planes.shards.catalogue_writer import is_catalogue
from cmr_planes.shards.label_files import label_folder
from cmr_planes.shards.schema import instance_digest
from cmr_planes.shards.sealing import remove_sealed
from cmr_planes.system.collection import collection_paused
from cmr_planes.system.json_text import JSON, canonical_json
from cmr_planes.system.reasons import advice, reason
from cmr_planes.system.whole_file import read_checksum, sealed

PLAN_NAME = "plan.json"
"""The plan's name among the shards."""


@dataclass(frozen=True, slots=True)
class ShardPlan:
    """The subjects of one shard."""

    number: int
    """The shard's number."""
    subjects: tuple[SubjectSource, ...]
    """In the order in which they are stored."""
    label_files: Mapping[str, Sequence[LabelFile]] = field(default_factory=dict)
    """The annotation files of each subject that has any."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ExtractionPlan:
    """What a run has to do."""

    out: Path
    """The catalogue."""
    options: ExtractOptions
    """What to make."""
    batches: tuple[tuple[str, ...], ...]
    """Keys of the subjects of every shard, done or not."""
    pending: tuple[ShardPlan, ...]
    """Shards that are not there yet."""
    mapping: tuple[MappingRow, ...] = ()
    """What the subjects are called in the sources; empty without pseudonyms."""
    sources: Mapping[str, SubjectSource] = field(default_factory=dict)
    """The subjects that are in the sources now, by key."""
    stored: Mapping[str, StoredSubject] = field(default_factory=dict)
    """What is to be known of each subject in a later run, by key."""
    retried: frozenset[str] = frozenset()
    """Subjects that were left out before, and are processed again."""

    @property
    def shard_folder(self) -> Path:
        """Where the shards lie: ``out.shards`` beside ``out.h5``."""
        return shard_folder(self.out)

    @property
    def n_subjects(self) -> int:
        """Number of subjects, done or not."""
        return sum(len(keys) for keys in self.batches)

    def first_numbers(self) -> list[int]:
        """Return the place in the catalogue, from 1, of each shard's first subject."""
        return [*accumulate((len(keys) for keys in self.batches[:-1]), initial=1)]

    @property
    def n_pending_subjects(self) -> int:
        """Number of subjects still to do."""
        return sum(len(batch.subjects) for batch in self.pending)


def shard_folder(out: Path) -> Path:
    """Return the folder of a catalogue's shards."""
    return out.with_suffix(".shards")


def shard_path(out: Path, number: int) -> Path:
    """Return the path of a catalogue's shard."""
    return shard_folder(out) / f"{number:05d}.h5"


@collection_paused()
def make_plan(
    sources: Sequence[Path], out: Path, options: ExtractOptions, *, overwrite: bool = False, retry_left_out: bool = False
) -> ExtractionPlan:
    """Find the subjects and decide what is left to do; writes nothing.

    Parameters
    ----------
    sources
        Folders, zips or files.
    out
        The catalogue to make, or to continue with.
    options
        What to make.
    overwrite
        Whether to start over where ``out`` exists.
    retry_left_out
        Whether to process all subjects again that were left out; else only those whose files changed.

    Returns
    -------
        The plan.

    Raises
    ------
    SourceError
        A source does not exist or holds no subject.
    ShardError
        ``out`` is not one of ours, or was made with other options or another version.
    """
    if out.suffix != ".h5":
        raise ShardError(f"{out.name!r} must end in .h5; the shards go into a folder of the same name that ends in .shards")
    if out.exists() and not is_catalogue(out):
        raise ShardError(f"{out} exists and is not a catalogue of cmr-planes; choose another name, it is left as it is")
    source_format = format_of(options)
    earlier = _Earlier() if overwrite else _read_plan(out, options)
    left_out = frozenset() if overwrite else subjects_without_images(out)
    found = source_format.find(sources, _known(earlier, left_out, out, options))
    if options.participants is not None:
        found = options.participants.assign(found)
    mapping: Sequence[MappingRow] = ()
    if options.pseudonyms is not None:
        found, mapping = options.pseudonyms.rename(found)
    else:
        found = [_with_key_noted(subject) for subject in found]
    subjects = {subject.key: subject for subject in found}
    _check_participants(subjects, earlier)
    salt = options.instance_salt
    is_done = [is_sealed(shard_path(out, number)) for number in range(len(earlier.batches))]
    sealed_before = {key for keys, is_there in zip(earlier.batches, is_done, strict=True) if is_there for key in keys}
    retried = left_out & subjects.keys() & sealed_before  # a shard that is made again has its subjects read again anyway
    if not retry_left_out:
        retried = _changed(retried, subjects, read_states(shard_folder(out)), salt)
    known = [tuple(key for key in keys if key not in retried) for keys in earlier.batches]
    planned = {key for keys in known for key in keys}
    new = [key for key in subjects if key not in planned]
    added = [tuple(new[start : start + options.shard_size]) for start in range(0, len(new), options.shard_size)]
    batches = (*known, *added)
    is_done += [not overwrite and is_sealed(shard_path(out, number)) for number in range(len(known), len(batches))]
    unsealed = [(number, keys) for number, keys in enumerate(batches) if not is_done[number]]
    lacking = [key for number, keys in unsealed if number < len(known) for key in keys]
    if lacking and not any(key in subjects for key in lacking):
        raise ShardError(
            f"none of the subjects that {out} still lacks is in the sources; give the same sources again, or overwrite it"
        )
    labels = source_format.label_files(options, list(subjects.values())) if unsealed else {}
    pending = tuple(
        ShardPlan(
            number,
            tuple(subjects.get(key) or _vanished(key) for key in keys),
            {key: labels[key] for key in keys if key in labels},
        )
        for number, keys in unsealed
    )
    stored = {
        key: StoredSubject(subject.participant, instance_digest(subject.instance, 0, salt))
        for key, subject in subjects.items()
        if key not in planned
    }
    return ExtractionPlan(
        out=out,
        options=options,
        batches=batches,
        pending=pending,
        mapping=tuple(mapping),
        sources=subjects,
        stored={**earlier.stored, **stored},
        retried=retried,
    )


def _changed(keys: frozenset[str], subjects: Mapping[str, SubjectSource], states: Mapping[str, str], salt: str) -> frozenset[str]:
    """Return the subjects whose files are not those that were read; of unknown ones nothing is said."""
    return frozenset(key for key in keys if states.get(key, "") not in ("", fingerprint(subjects[key].paths, salt)))


def _check_participants(subjects: Mapping[str, SubjectSource], earlier: "_Earlier") -> None:
    """Refuse to continue where a stored subject would be another person now: splits made of the catalogue would no longer hold."""
    changed = [key for key, one in earlier.stored.items() if key in subjects and subjects[key].participant != one.participant]
    if changed:
        raise ShardError(
            f"{len(changed)} of the subjects that are stored have another participant in the table now; give the table that the "
            "output was made with, with rows added, or overwrite the output"
        )


def _known(earlier: "_Earlier", left_out: frozenset[str], out: Path, options: ExtractOptions) -> KnownSubjects:
    """Return what an earlier run stored, by the keys that its subjects have in the sources."""
    keys = {key for batch in earlier.batches for key in batch}
    if not keys:
        return NONE_KNOWN
    stored = {key: earlier.stored.get(key, StoredSubject()) for key in keys}
    if options.pseudonyms is None:
        return known_subjects(stored, left_out, options.instance_salt)
    rows = [row for row in read_mapping(mapping_path(out), options.pseudonyms) if row.subject in keys]
    originals = {row.original_subject: stored[row.subject]._replace(participant=row.original_participant) for row in rows}
    left_out_originals = frozenset(row.original_subject for row in rows if row.subject in left_out)
    return known_subjects(originals, left_out_originals, options.instance_salt)


def _with_key_noted(subject: SubjectSource) -> SubjectSource:
    """Note a key that may identify a person."""
    what = looks_identifying(subject.key)
    if not what:
        return subject
    sentence = (
        f"the subject's key, which is made from names of folders or zips, looks like {what} and is stored as it stands; rename the "
        "folder or zip, or extract with pseudonyms"
    )
    return replace(subject, findings=(*subject.findings, Finding("", NoteCode.IDENTIFYING_KEY, sentence)))


def is_sealed(path: Path) -> bool:
    """Tell whether a shard is complete: it stands under its name, with its checksum beside it."""
    return path.is_file() and read_checksum(path) is not None


def _vanished(key: str) -> SubjectSource:
    """Stand in for a subject that was planned and is no longer there; it ends as a rejection."""
    return SubjectSource(key=key, participant=key, paths=(), root=Path())


@dataclass(frozen=True, slots=True)
class _Earlier:
    """What the plan of an earlier run says."""

    batches: Sequence[tuple[str, ...]] = ()
    stored: Mapping[str, StoredSubject] = field(default_factory=dict)


def _read_plan(out: Path, options: ExtractOptions) -> _Earlier:
    """Return the plan of an earlier run with the same configuration; an empty one if there was no run."""
    path = shard_folder(out) / PLAN_NAME
    try:
        stored = json.loads(path.read_text(encoding="utf-8"))
        batches = [tuple(map(str, keys)) for keys in stored.pop("batches")]
        subjects = {
            key: StoredSubject(str(participant), str(digest)) for key, (participant, digest) in stored.pop("subjects", {}).items()
        }
    except FileNotFoundError:
        if out.exists():
            raise ShardError(f"{path} is missing, so that {out} cannot be added to; restore it, or overwrite the output") from None
        return _Earlier()
    except OSError as error:
        raise ShardError(f"{path} cannot be read ({reason(error)}); check the path, its permissions and its folder") from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ShardError(
            f"{path} cannot be read as a plan ({type(error).__name__}); restore it, or overwrite the output"
        ) from error
    configuration = stored.get("configuration")
    check_pseudonym_key(out, configuration if isinstance(configuration, Mapping) else {}, options.pseudonyms)
    found = differences(stored, identity(options))
    if found and not out.exists() and not any(is_sealed(shard_path(out, number)) for number in range(len(batches))):
        return _Earlier()  # a run that was stopped before it had made anything
    if found:
        raise ShardError(f"{out} was made with {'; '.join(found)}; use the same options, choose another output, or overwrite it")
    return _Earlier(batches, subjects)


def prepare(plan: ExtractionPlan, *, overwrite: bool = False) -> None:
    """Make the shards' folder and write the plan down; with ``overwrite`` remove what an earlier run made, and no other file.

    Raises
    ------
    ShardError
        The output cannot be written.
    """
    folder = plan.shard_folder
    try:
        if overwrite:
            plan.out.unlink(missing_ok=True)
            if (folder / PLAN_NAME).exists():
                remove_sealed(folder)
                remove_sealed(label_folder(plan.out))  # they belong to images that are gone
                (folder / STATES_NAME).unlink(missing_ok=True)
                (folder / PLAN_NAME).unlink()
        folder.mkdir(parents=True, exist_ok=True)
        remove_unfinished_shards(folder)
    except OSError as error:
        raise ShardError(f"{folder} cannot be written ({reason(error)}); {advice(error)}") from error
    if plan.options.pseudonyms is not None:
        write_mapping(mapping_path(plan.out), plan.mapping, plan.options.pseudonyms)
    text = canonical_json(
        {**identity(plan.options), "batches": [list(keys) for keys in plan.batches], "subjects": _subjects_json(plan)}
    )
    with sealed(folder / PLAN_NAME) as stream:
        stream.write(text.encode())


def _subjects_json(plan: ExtractionPlan) -> dict[str, JSON]:
    """Return participant and instance of each subject of a plan."""
    return {key: list(plan.stored[key]) for keys in plan.batches for key in keys if key in plan.stored}


def remove_unfinished_shards(folder: Path) -> None:
    """Remove what interrupted runs left among the shards: half-written files, and the folders of a cluster's workers."""
    for leftover in folder.glob("*.part"):
        if leftover.is_dir():
            shutil.rmtree(leftover, ignore_errors=True)
        else:
            leftover.unlink(missing_ok=True)
