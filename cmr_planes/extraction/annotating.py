"""Manual annotations brought to a catalogue's images: files to subjects, contours and label maps to images."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from cmr_planes.annotations.brightness import contrast_sentences
from cmr_planes.annotations.classes import ClassMap
from cmr_planes.annotations.files import LabelFile, find_label_files
from cmr_planes.annotations.matching import match
from cmr_planes.annotations.model import TargetView
from cmr_planes.annotations.ownership import assign_files
from cmr_planes.annotations.reading import LabelSource, read_annotations
from cmr_planes.discovery.pseudonyms import Pseudonyms
from cmr_planes.errors import AnnotationError, Finding, NoteCode, RejectionCode, SourceError
from cmr_planes.extraction.options import CONFIGURATION_FIELD, check_pseudonym_key
from cmr_planes.extraction.run_log import RunLog
from cmr_planes.shards.catalogue import Catalogue
from cmr_planes.shards.label_merging import CatalogueLabels
from cmr_planes.shards.opening import follow_link
from cmr_planes.shards.records import ViewLabels
from cmr_planes.shards.schema import configuration_digest, instance_digest
from cmr_planes.shards.view_attributes import ViewAttributes
from cmr_planes.system.names import PathLike
from cmr_planes.system.progress import OnMessage, OnProgress, Progress, ignore_message, ignore_progress
from cmr_planes.system.run_lock import only_run
from cmr_planes.system.text import counted
from cmr_planes.views import CardiacView

BATCH = 32
"""Subjects whose labels are held in memory before they are written."""


@dataclass(frozen=True, slots=True)
class AnnotationFinding:
    """What was found about the annotations of a subject."""

    number: int
    """The subject's place in the catalogue, from 1."""
    subject: str
    """The subject's key."""
    finding: Finding
    """A rejection of annotations that could not be used, or a note on what is incomplete; names neither files nor persons."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AnnotateSummary:
    """What became of annotations."""

    n_files: int
    """Annotation files."""
    n_without_subject: int
    """Files that name no subject of the catalogue."""
    n_subjects: int
    """Subjects that got labels."""
    n_images: int
    """Images that got labels."""
    findings: tuple[AnnotationFinding, ...]
    """What was found, in the catalogue's order of subjects."""

    @property
    def left_out(self) -> tuple[AnnotationFinding, ...]:
        """Files that could not be read, and subjects whose annotations could not be used."""
        return tuple(row for row in self.findings if row.finding.is_rejection)

    @property
    def incomplete(self) -> tuple[AnnotationFinding, ...]:
        """What annotations do not cover, and parts of them that were not used."""
        return tuple(row for row in self.findings if not row.finding.is_rejection)


@dataclass(frozen=True, slots=True, eq=False)
class _LabelledSubject:
    """A subject with annotation files."""

    number: int
    """Its place in the catalogue, from 1."""
    key: str
    labels: Mapping[CardiacView, ViewLabels]
    """Empty where no annotation could be used."""
    findings: tuple[Finding, ...]

    @property
    def n_images(self) -> int:
        """Images that got labels."""
        return sum(int(view_labels.annotated.sum()) for view_labels in self.labels.values())


def assign_labels(
    source: LabelSource, keys: Sequence[str], participants: Sequence[str], pseudonyms: Pseudonyms | None
) -> dict[str, list[LabelFile]]:
    """Find annotation files and whose they are; raises SourceError where there are none."""
    return _assign(find_label_files(source.path, source.label_format), keys, participants, pseudonyms)


def _assign(
    files: Sequence[LabelFile], keys: Sequence[str], participants: Sequence[str], pseudonyms: Pseudonyms | None
) -> dict[str, list[LabelFile]]:
    """Give subjects their files; with ``pseudonyms`` keys and participants are such, and files bear the original names."""
    people = dict(zip(keys, participants, strict=True))
    return assign_files(files, keys, people) if pseudonyms is None else assign_files(files, keys, people, pseudonyms.spellings)


def annotate(
    catalogue: PathLike,
    labels: LabelSource | PathLike,
    *,
    pseudonyms: Pseudonyms | None = None,
    log: PathLike | None = None,
    log_keys: bool = False,
    on_progress: OnProgress = ignore_progress,
    on_message: OnMessage = ignore_message,
) -> AnnotateSummary:
    """Add manual annotations to a catalogue, as label maps beside its images.

    Images and masks stay as they are; labels of images that have some already are replaced. Bad annotations never raise: they end
    as findings of the summary.

    Parameters
    ----------
    catalogue
        The catalogue, ``out.h5``. It is left as it was if nothing of the annotations can be used.
    labels
        The annotations: a folder, a zip or a file, or a :class:`LabelSource` that also states their format or classes.
    pseudonyms
        Those with which the catalogue was made, where the annotation files bear the original names.
    log
        A file to which one JSON object per event is appended; None for none.
    log_keys
        Whether the log names subjects by their keys.
    on_progress
        Called with the number of subjects done, and the number of those that have annotation files.
    on_message
        Called with what the user should know, in a sentence.

    Returns
    -------
        What was added and what was not.

    Raises
    ------
    SourceError
        There are no annotation files, or none belongs to a subject of the catalogue.
    ShardError
        The catalogue cannot be read or written.
    InUseError
        Another run works on the catalogue.
    """
    out = follow_link(Path(catalogue))
    source = labels if isinstance(labels, LabelSource) else LabelSource(path=Path(labels))
    with (
        only_run(out, on_message=on_message),
        nullcontext() if log is None else RunLog(Path(log), with_keys=log_keys) as run_log,
    ):
        return _annotate(out, source, pseudonyms, run_log, on_progress)


def _annotate(
    out: Path, source: LabelSource, pseudonyms: Pseudonyms | None, run_log: RunLog | None, on_progress: OnProgress
) -> AnnotateSummary:
    """Lay the annotations on the catalogue's images, a batch of subjects at a time, and write the catalogue again."""
    findings: list[AnnotationFinding] = []
    n_subjects = n_images = 0
    batch: dict[str, Mapping[CardiacView, ViewLabels]] = {}
    with Catalogue(out) as catalogue:
        stored = CatalogueLabels(catalogue)
        files = find_label_files(source.path, source.label_format)
        assigned = _files_by_subject(stored, source, files, pseudonyms)
        salt = configuration_digest(stored.configuration) if pseudonyms is None else pseudonyms.instance_salt
        for done, subject in enumerate(_labelled_subjects(catalogue, stored, assigned, source.classes, salt), start=1):
            rows = [AnnotationFinding(subject.number, subject.key, finding) for finding in subject.findings]
            if run_log is not None:
                _log_findings(run_log, rows)
            findings += rows
            if subject.labels:
                batch[subject.key] = subject.labels
                n_subjects += 1
                n_images += subject.n_images
            if len(batch) >= BATCH:
                stored.add(batch)
                batch = {}
            on_progress(Progress(done, len(assigned)))
    if batch:
        stored.add(batch)
    if n_subjects:
        stored.refresh()
    if run_log is not None:
        run_log.write("annotate", "done", {"n_subjects": n_subjects, "n_images": n_images, "n_files": len(files)})
    owned = {id(file) for of_subject in assigned.values() for file in of_subject}
    return AnnotateSummary(
        n_files=len(files),
        n_without_subject=sum(id(file) not in owned for file in files),
        n_subjects=n_subjects,
        n_images=n_images,
        findings=tuple(findings),
    )


def _files_by_subject(
    stored: CatalogueLabels, source: LabelSource, files: Sequence[LabelFile], pseudonyms: Pseudonyms | None
) -> dict[str, list[LabelFile]]:
    """Return the annotation files of each subject with images; raises SourceError where no file belongs to any."""
    if pseudonyms is not None:
        check_pseudonym_key(stored.out, stored.configuration, pseudonyms)
    subjects = stored.subjects
    rows = zip(subjects.key, subjects.participant, subjects.n_images.tolist(), strict=True)
    people = {key: person for key, person, n_images in rows if n_images}
    assigned = _assign(files, list(people), list(people.values()), pseudonyms)
    if not assigned:
        is_hidden = bool(stored.configuration.get(CONFIGURATION_FIELD))
        raise SourceError(_no_owner(stored.out, source.path, len(files), is_hidden=is_hidden))
    return assigned


def _labelled_subjects(
    catalogue: Catalogue,
    stored: CatalogueLabels,
    assigned: Mapping[str, Sequence[LabelFile]],
    classes: ClassMap | None,
    salt: str,
) -> Iterator[_LabelledSubject]:
    """Lay annotations on one subject after the other, in the catalogue's order."""
    views: dict[str, list[CardiacView]] = {}
    for key, view in zip(stored.views.subject, stored.views.view, strict=True):
        views.setdefault(key, []).append(CardiacView(view))
    for number, key in enumerate(stored.subjects.key, start=1):
        if key in assigned:
            targets = (target_of(catalogue.view_attributes(key, view)) for view in views[key])
            labels, findings = _label_subject(targets, assigned[key], classes, salt)
            findings += [Finding("", NoteCode.LABELS, sentence) for sentence in _doubts(catalogue, key, labels)]
            yield _LabelledSubject(number, key, labels, tuple(findings))


def _doubts(catalogue: Catalogue, key: str, labels: Mapping[CardiacView, ViewLabels]) -> Iterator[str]:
    """Say which labels may not lie on their images."""
    for view, view_labels in labels.items():
        phases = catalogue.view_attributes(key, view).phases
        yield from contrast_sentences(view, phases, view_labels, partial(catalogue.image, key, view))


def _log_findings(run_log: RunLog, rows: Iterable[AnnotationFinding]) -> None:
    """Write down what was found about a subject."""
    for row in rows:
        values = {**run_log.subject(row.number, row.subject), "sentence": row.finding.sentence}
        run_log.write("annotate", row.finding.code.value, values)


def _no_owner(out: Path, labels: Path, n_files: int, *, is_hidden: bool) -> str:
    """Say that no annotation file belongs to a subject."""
    names = "bear the names of the subjects, which the catalogue's table /subjects lists"
    if is_hidden:
        names += ", or the original names, for which the key file of the pseudonyms is needed"
    return (
        f"{labels}: none of the {counted(n_files, 'annotation file')} belongs to a subject of {out}; folders, zips "
        f"or files must {names}"
    )


def _label_subject(
    targets: Iterable[TargetView], files: Sequence[LabelFile], classes: ClassMap | None, salt: str
) -> tuple[Mapping[CardiacView, ViewLabels], list[Finding]]:
    """Return a subject's labels by view, and what could not be used or is incomplete."""
    annotations, failures = read_annotations(files, classes)
    findings = [Finding("", RejectionCode.UNUSABLE_LABELS, sentence) for sentence in failures]
    if not annotations:
        return {}, findings
    try:
        matched = match(annotations, list(targets), lambda uid, frame: instance_digest(uid, frame, salt))
    except AnnotationError as error:
        return {}, [*findings, Finding("", error.code, str(error))]
    return matched.views, [*findings, *(Finding("", NoteCode.LABELS, sentence) for sentence in matched.remarks)]


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
