"""Manual annotations brought to a catalogue's images: files to subjects, contours and label maps to images."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from cmr_planes.annotations.classes import ClassMap
from cmr_planes.annotations.files import LabelFile, find_label_files
from cmr_planes.annotations.matching import match
from cmr_planes.annotations.model import TargetView
from cmr_planes.annotations.ownership import assign_files
from cmr_planes.annotations.reading import LabelSource, read_annotations
from cmr_planes.discovery.pseudonyms import Pseudonyms
from cmr_planes.errors import AnnotationError, SourceError
from cmr_planes.extraction.options import CONFIGURATION_FIELD, check_pseudonym_key
from cmr_planes.shards.catalogue import Catalogue, ViewAttributes
from cmr_planes.shards.label_merging import refresh_catalogue, write_label_files
from cmr_planes.shards.records import ViewLabels
from cmr_planes.shards.schema import configuration_digest, instance_digest
from cmr_planes.views import CardiacView

BATCH = 32
"""Subjects whose labels are held in memory before they are written."""


@dataclass(frozen=True, slots=True)
class SubjectFailure:
    """Annotations of a subject that could not be used, or are incomplete."""

    subject: str
    """The subject's key."""
    number: int
    """The subject's place in the catalogue, from 1."""
    sentence: str
    """What was found; without names of files or persons."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AnnotateSummary:
    """What became of annotations."""

    n_files: int
    """Annotation files under LABELS."""
    n_without_subject: int
    """Files that name no subject of the catalogue."""
    n_subjects: int
    """Subjects that got labels."""
    n_images: int
    """Images that got labels."""
    failures: tuple[SubjectFailure, ...]
    """Subjects whose annotations could not be used, and files that could not be read."""
    remarks: tuple[SubjectFailure, ...]
    """What is incomplete."""


def assign_labels(
    source: LabelSource, keys: Sequence[str], participants: Sequence[str], pseudonyms: Pseudonyms | None
) -> dict[str, list[LabelFile]]:
    """Find annotation files and whose they are; raises SourceError where there are none."""
    return _assign(find_label_files(source.path, source.label_format), keys, participants, pseudonyms)


def _assign(
    files: Sequence[LabelFile], keys: Sequence[str], participants: Sequence[str], pseudonyms: Pseudonyms | None
) -> dict[str, list[LabelFile]]:
    """Give subjects their files; with ``pseudonyms`` keys and participants are such, and files are called by the original names."""
    people = dict(zip(keys, participants, strict=True))
    return assign_files(files, keys, people) if pseudonyms is None else assign_files(files, keys, people, pseudonyms.spellings)


def annotate_catalogue(
    out: Path, source: LabelSource, on_subject: Callable[[], None] | None = None, pseudonyms: Pseudonyms | None = None
) -> AnnotateSummary:
    """Add annotations to a catalogue.

    Parameters
    ----------
    out
        The catalogue. It is left as it was if nothing of the annotations can be used.
    source
        The annotations.
    on_subject
        Called after each subject that has annotation files.
    pseudonyms
        Those with which the catalogue was made, where files are called by the original names.

    Returns
    -------
        What was added and what was not.

    Raises
    ------
    SourceError
        There are no annotation files, or none belongs to a subject of the catalogue.
    ShardError
        The catalogue cannot be read or written.
    """
    failures: list[SubjectFailure] = []
    remarks: list[SubjectFailure] = []
    n_subjects = n_images = 0
    batch: dict[str, dict[CardiacView, ViewLabels]] = {}
    with Catalogue(out) as catalogue:
        subjects = catalogue.subjects()
        used = [place for place, n in enumerate(subjects.n_images.tolist()) if n]
        keys, people = [subjects.key[place] for place in used], [subjects.participant[place] for place in used]
        configuration = catalogue.configuration()
        if pseudonyms is not None:
            check_pseudonym_key(out, configuration, pseudonyms)
        files = find_label_files(source.path, source.label_format)
        assigned = _assign(files, keys, people, pseudonyms)
        if not assigned:
            raise SourceError(_no_owner(out, source.path, len(files), is_hidden=bool(configuration.get(CONFIGURATION_FIELD))))
        views = _views_by_subject(catalogue)
        salt = configuration_digest(configuration) if pseudonyms is None else pseudonyms.instance_salt
        for place, key in zip(used, keys, strict=True):
            if key not in assigned:
                continue
            targets = (target_of(catalogue.view_attributes(key, view)) for view in views[key])
            labels, bad, incomplete = _label_subject(targets, assigned[key], source.classes, salt)
            failures += [SubjectFailure(key, place + 1, sentence) for sentence in bad]
            remarks += [SubjectFailure(key, place + 1, sentence) for sentence in incomplete]
            if labels:
                batch[key] = labels
                n_subjects += 1
                n_images += sum(int(each.annotated.sum()) for each in labels.values())
            if len(batch) >= BATCH:
                write_label_files(out, batch)
                batch = {}
            if on_subject is not None:
                on_subject()
    if batch:
        write_label_files(out, batch)
    if n_subjects:
        refresh_catalogue(out)
    owned = {id(file) for of_subject in assigned.values() for file in of_subject}
    return AnnotateSummary(
        n_files=len(files),
        n_without_subject=sum(id(file) not in owned for file in files),
        n_subjects=n_subjects,
        n_images=n_images,
        failures=tuple(failures),
        remarks=tuple(remarks),
    )


def _no_owner(out: Path, labels: Path, n_files: int, *, is_hidden: bool) -> str:
    """Say that no annotation file belongs to a subject."""
    called = "be called like the subjects ('cmr-planes inspect -v' lists them)"
    if is_hidden:
        called += ", or like the originals with --pseudonymise KEYFILE"
    return f"{labels}: none of {n_files} annotation files belongs to a subject of {out}; folders, zips or files must {called}"


def _label_subject(
    targets: Iterable[TargetView], files: Sequence[LabelFile], classes: ClassMap | None, salt: str
) -> tuple[dict[CardiacView, ViewLabels], list[str], list[str]]:
    """Return a subject's labels by view, what could not be used, and what is incomplete."""
    annotations, failures = read_annotations(files, classes)
    if not annotations:
        return {}, failures, []
    try:
        matched = match(annotations, list(targets), lambda uid, frame: instance_digest(uid, frame, salt))
    except AnnotationError as error:
        return {}, [*failures, str(error)], []
    return dict(matched.views), failures, list(matched.remarks)


def _views_by_subject(catalogue: Catalogue) -> dict[str, list[CardiacView]]:
    """Return the views that each subject has."""
    table = catalogue.views()
    views: dict[str, list[CardiacView]] = {}
    for subject, view in zip(table.subject, table.view, strict=True):
        views.setdefault(subject, []).append(CardiacView(view))
    return views


def target_of(attributes: ViewAttributes) -> TargetView:
    """Return a stored view as what annotations are laid on."""
    return TargetView(
        view=attributes.view,
        planes=attributes.planes,
        phases=attributes.phases,
        frame_numbers=attributes.frame_numbers,
        instance_keys=attributes.instance_digests,
        instance_numbers=attributes.instance_numbers,
    )
