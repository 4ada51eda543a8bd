"""One examination of one person: what of a subject's files is used, and when they are refused."""

from collections.abc import Hashable, Sequence

import numpy as np

from cmr_planes.dicom.examinations import Origin, are_of_one_person, are_several_sets, divide
from cmr_planes.dicom.frames import FrameHeader
from cmr_planes.errors import Finding, NoteCode, RejectionCode, StudyError
from cmr_planes.geometry import ImagePlane
from cmr_planes.system.text import either, part

MAX_STRAY_SHARE = 0.1
"""Share of files without a known patient that another examination may have, and is skipped."""

_REMEDY = "give each person a folder or zip of their own"


def choose_examination(frames: Sequence[FrameHeader]) -> tuple[list[FrameHeader], list[Finding]]:
    """Keep the frames of one examination.

    Parameters
    ----------
    frames
        All frames of a subject, at least one.

    Returns
    -------
        The frames of the largest examination, and findings about identifiers.

    Raises
    ------
    StudyError
        The frames are of several persons, or nothing says that they are of one.
    """
    files = [frame for frame in frames if frame.frame_index == 0]
    planes = {id(frame.plane): frame.plane for frame in files if frame.plane is not None}  # files at one place share it
    places = {key: _place(plane) for key, plane in planes.items()}
    origins = [_origin(frame, places.get(id(frame.plane))) for frame in files]
    groups = sorted(divide(origins), key=lambda group: (-len(group), group))
    chosen = groups[0]
    findings = []
    if len(groups) > 1:
        _check_one_person(origins, groups)
        others = len(files) - len(chosen)
        sentence = (
            f"{len(groups)} studies lie together; the largest was used and {part(others, len(files), 'file')}, "
            f"{either(others, 'that of the other, was', 'those of the others, were')} skipped; give each study a folder "
            "of its own to use them all"
        )
        findings.append(Finding("", NoteCode.SEVERAL_STUDIES, sentence))
    elif are_several_sets(origins):
        raise StudyError(
            RejectionCode.SEVERAL_PERSONS,
            "the files hold several complete sets of views: most series are there more than once, at other places in the patient, "
            f"and no identifier tells the sets apart; {_REMEDY}",
        )
    kept = {id(files[index].file) for index in chosen}
    return [frame for frame in frames if id(frame.file) in kept], [*findings, *_uid_findings([origins[index] for index in chosen])]


def _check_one_person(origins: Sequence[Origin], groups: Sequence[Sequence[int]]) -> None:
    """Raise StudyError unless examinations are of one person, or the others are a few stray files that may be."""
    is_one = are_of_one_person([origins[group[0]].identity for group in groups])
    strays = len(origins) - len(groups[0])
    if is_one or (is_one is None and strays <= MAX_STRAY_SHARE * len(origins)):
        return
    if is_one is None:
        what = (
            f"the files are of {len(groups)} examinations (StudyInstanceUID, study date or study time differ), and PatientID does "
            "not say that these are one person's"
        )
    else:
        persons = len({origins[group[0]].identity.person for group in groups})
        what = f"the files are of {persons} persons (PatientID or PatientBirthDate differ)"
    raise StudyError(
        RejectionCode.SEVERAL_PERSONS,
        f"{what}: {part(strays, len(origins), 'file')} {either(strays, 'is', 'are')} not of the largest one; {_REMEDY}",
    )


def _uid_findings(origins: Sequence[Origin]) -> list[Finding]:
    """Say what StudyInstanceUID and PatientID lack."""
    uids = {origin.identity.study_uid for origin in origins}
    patients = {origin.identity.patient for origin in origins} - {b""}
    findings = []
    if b"" in uids:
        sentence = "StudyInstanceUID (0020,000D) is empty; all files were taken as one study"
        findings.append(Finding("", NoteCode.NO_STUDY_UID, sentence))
    elif len(uids) > 1:
        sentence = f"StudyInstanceUID (0020,000D) has {len(uids)} values in what is otherwise one study; it was taken as one"
        findings.append(Finding("", NoteCode.NO_STUDY_UID, sentence))
    if len(patients) > 1:
        sentence = f"PatientID (0010,0020) has {len(patients)} values in what is otherwise one study; it was taken as one person's"
        findings.append(Finding("", NoteCode.SEVERAL_PATIENT_IDS, sentence))
    return findings


def _place(plane: ImagePlane) -> Hashable:
    """Return where a plane lies, to the millimetre and the tenth of its normal."""
    return (*np.rint(plane.position_mm).tolist(), *np.round(plane.normal, 1).tolist())


def _origin(frame: FrameHeader, place: Hashable) -> Origin:
    """Return where a frame's file comes from."""
    return Origin(
        identity=frame.identity,
        series=(frame.series_number, frame.series_description),
        series_uid=frame.series_uid,
        instance_number=frame.instance_number,
        frame_of_reference=frame.frame_of_reference_uid,
        sop_instance_uid=frame.sop_instance_uid,
        place=place,
    )
