"""A cohort of synthetic subjects on disk: DICOM files, and the truth beside them.

::

    DIR/dicom/…            what `cmr-planes extract` reads, in the layout asked for
    DIR/truth/subjects.csv       volumes, ejection fraction, ED and ES frames
    DIR/truth/planes.csv         planes and exact box centres
    DIR/truth/breath.csv         where the organs lay while each image was taken, and by how much its header is off
    DIR/truth/stated_planes.csv  the view planes as a table of planes for NIfTI images
    DIR/truth/labels/KEY/        NIfTI label maps of each view at ED and ES
    DIR/truth/cvi42/             contours of every third subject
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from cmr_planes.geometry.arrays import FloatArray
from cmr_planes.nifti.plane_table import COLUMNS as STATED_PLANE_COLUMNS
from cmr_planes.phantom.acquisition import Examination, Protocol, examine, image_series
from cmr_planes.phantom.dicom_model import CineSeries, DicomStudy, Vendor
from cmr_planes.phantom.dicom_writer import write_cine
from cmr_planes.phantom.layouts import VENDORS, ArchiveStyle, subject_key, write_subject
from cmr_planes.phantom.people import DEFAULT_FRACTIONS, Pathology, choose_pathology, sample_subject
from cmr_planes.phantom.quirks import Quirk, header_errors_mm, suffix, transfer_syntax, with_header_error, with_quirks
from cmr_planes.phantom.truth import (
    BREATH_COLUMNS,
    PLANE_COLUMNS,
    SUBJECT_COLUMNS,
    breath_rows,
    cvi42_workspace,
    plane_rows,
    stated_plane_rows,
    subject_row,
    write_truth_labels,
)
from cmr_planes.phantom.variety import sample_protocol, sample_scanner, sample_varied_subject
from cmr_planes.system.csv_text import csv_text
from cmr_planes.system.pool import starting_workers, worker_pool
from cmr_planes.system.progress import OnProgress, Progress, ignore_progress
from cmr_planes.system.whole_file import write_whole
from cmr_planes.views import CardiacView

CVI42_EVERY = 3
"""Every this many subjects have cvi42 contours."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CohortOptions:
    """What a cohort is like."""

    n_subjects: int = 20
    seed: int = 0
    layout: ArchiveStyle = ArchiveStyle.FOLDERS
    protocol: Protocol = field(default_factory=Protocol)
    quirks: tuple[Quirk, ...] = ()
    fractions: Mapping[Pathology, float] = field(default_factory=lambda: DEFAULT_FRACTIONS)
    """Parts of the cohort by pathology."""
    has_names: bool = True
    """Whether series have descriptions."""
    is_hard: bool = False
    """Whether people, scanners and prescriptions differ as :mod:`variety` has it; matrix, pixels and slices are drawn then."""
    private_bytes: int = 0
    """Size of the private group 0029 in each file."""


@dataclass(frozen=True, slots=True)
class SubjectTruth:
    """Rows of the truth's tables for one subject."""

    subject: dict[str, object]
    planes: list[dict[str, object]]
    stated_planes: list[tuple[object, ...]]
    breath: list[tuple[object, ...]]


def make_examination(options: CohortOptions, index: int) -> Examination:
    """Make a subject and prescribe the planes; the same for any number of other subjects.

    Parameters
    ----------
    options
        The cohort.
    index
        The subject's number, from 0.
    """
    anatomy, acquisition, appearance = np.random.SeedSequence([options.seed, index]).spawn(3)
    pathology = choose_pathology(index, options.seed, options.fractions)
    protocol = replace(options.protocol, vendors=VENDORS.get(options.layout, tuple(Vendor)))
    if options.is_hard:
        subject = sample_varied_subject(np.random.default_rng(anatomy), pathology)
        rng = np.random.default_rng(appearance)
        return examine(subject, sample_protocol(rng, subject, protocol), acquisition, scanner=sample_scanner(rng, subject))
    subject = sample_subject(np.random.default_rng(anatomy), pathology)
    protocol = replace(protocol, is_mixed=protocol.is_mixed or options.layout is ArchiveStyle.FLAT)
    return examine(subject, protocol, acquisition)


def make_subject(folder: Path, options: CohortOptions, index: int) -> SubjectTruth:
    """Write one subject's DICOM files and truth.

    Parameters
    ----------
    folder
        The cohort's folder.
    options
        The cohort.
    index
        The subject's number, from 0.

    Returns
    -------
        The subject's rows of the tables.
    """
    examination = make_examination(options, index)
    name = f"SYN-{index + 1:04d}"
    study = DicomStudy(
        name=f"{name} of {options.seed}", patient_id=name, vendor=examination.vendor, private_bytes=options.private_bytes
    )
    clean = [image_series(examination, index, number=index + 3) for index in range(len(examination.prescriptions))]
    study, series = with_quirks(study, clean, options.quirks)
    if not options.has_names:
        series = [replace(one, series_uid=one.uid_in(study), description="") for one in series]
    errors_mm = header_errors_mm(study, options.quirks)
    write_subject(
        folder / "dicom",
        options.layout,
        index,
        study,
        _with_header_errors(series, examination, errors_mm),
        syntax=transfer_syntax(options.quirks),
        suffix=suffix(options.quirks),
    )
    key = subject_key(options.layout, index) or name
    write_truth_labels(folder / "truth" / "labels" / key, examination)
    if index % CVI42_EVERY == 0 and options.layout is not ArchiveStyle.ENHANCED:
        target = folder / "truth" / "cvi42" / f"{key}.cvi42wsx"
        target.parent.mkdir(parents=True, exist_ok=True)
        write_whole(target, cvi42_workspace(examination, _instance_uids(study, series, examination)))
    return SubjectTruth(
        subject_row(key, study.study_uid, examination, options.quirks),
        plane_rows(key, study.study_uid, examination),
        stated_plane_rows(key, examination),
        breath_rows(key, study.study_uid, examination, errors_mm),
    )


def make_cohort(folder: Path, options: CohortOptions, *, n_workers: int, on_progress: OnProgress = ignore_progress) -> None:
    """Write a cohort; the same bytes for any number of workers.

    Parameters
    ----------
    folder
        Where to; made if need be.
    options
        The cohort.
    n_workers
        Processes.
    on_progress
        Called after each subject.
    """
    truths = []
    for truth in _all_subjects(folder, options, n_workers):
        truths.append(truth)
        on_progress(Progress(len(truths), options.n_subjects))
    target = folder / "truth"
    target.mkdir(parents=True, exist_ok=True)
    subjects, planes = [truth.subject for truth in truths], [row for truth in truths for row in truth.planes]
    write_whole(
        target / "subjects.csv", csv_text(SUBJECT_COLUMNS, ([row[name] for name in SUBJECT_COLUMNS] for row in subjects)).encode()
    )
    stated = [row for truth in truths for row in truth.stated_planes]
    write_whole(target / "stated_planes.csv", csv_text(STATED_PLANE_COLUMNS, stated).encode())
    write_whole(target / "breath.csv", csv_text(BREATH_COLUMNS, [row for truth in truths for row in truth.breath]).encode())
    write_whole(target / "planes.csv", csv_text(PLANE_COLUMNS, ([row[name] for name in PLANE_COLUMNS] for row in planes)).encode())


def _all_subjects(folder: Path, options: CohortOptions, n_workers: int) -> Iterator[SubjectTruth]:
    """Make all subjects, in order."""
    count = options.n_subjects
    if n_workers <= 1 or count <= 1:
        yield from (make_subject(folder, options, index) for index in range(count))
        return
    with worker_pool(min(n_workers, count)) as pool:
        with starting_workers():  # workers inherit this, and leave Ctrl-C to this process
            truths = pool.map(make_subject, [folder] * count, [options] * count, range(count))
        yield from truths


def _with_header_errors(
    series: Sequence[CineSeries], examination: Examination, errors_mm: Mapping[CardiacView, FloatArray]
) -> list[CineSeries]:
    """Return the series to write: those of a view whose headers are off, with headers that are."""
    views = {id(prescription.plane): prescription.view for prescription in examination.prescriptions}
    errors = [errors_mm.get(views[id(one.plane)]) for one in series]
    return [one if error is None else with_header_error(one, error) for one, error in zip(series, errors, strict=True)]


def _instance_uids(
    study: DicomStudy, series: list[CineSeries], examination: Examination
) -> dict[tuple[CardiacView, int, int], str]:
    """Return the SOPInstanceUID of each image that contours are drawn on, by view, slice and frame from 0.

    Where a plane was imaged twice, the later series counts.
    """
    uids: dict[tuple[CardiacView, int, int], str] = {}
    n_before: dict[CardiacView, int] = {}
    for prescription in examination.prescriptions:
        slice_index = n_before.get(prescription.view, 0)
        n_before[prescription.view] = slice_index + 1
        takes = [
            one for one in series if one.plane is prescription.plane and len(one.frames) > 1 and "InlineVF" not in one.description
        ]
        for take in takes:
            for frame, file in enumerate(write_cine(study, take)):
                if frame in (0, examination.es_frame):
                    uids[prescription.view, slice_index, frame] = file.sop_instance_uid
    return uids
