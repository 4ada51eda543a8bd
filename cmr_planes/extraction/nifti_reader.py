"""One subject's NIfTI files, as public sets have them: the slices of each view, as cines or as one image per phase."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

from cmr_planes.annotations.model import Annotation, LabelVolume
from cmr_planes.cine.view_selection import MISSING_CODES
from cmr_planes.discovery.nifti_sets import SetFile, files_of, stated_phases
from cmr_planes.discovery.subjects import SubjectSource
from cmr_planes.errors import AnnotationError, CmrPlanesError, Finding, NoteCode, RejectionCode, StudyError
from cmr_planes.extraction.nifti_phases import name_phases
from cmr_planes.extraction.nifti_place import HALF_TURN, HeartAxes, heart_axes, order_slices, settle_matrix, side_sentences
from cmr_planes.extraction.nifti_slices import NiftiSlice
from cmr_planes.extraction.options import ExtractOptions
from cmr_planes.extraction.subject_views import ReadSlice, SubjectViews
from cmr_planes.geometry import LPS_AXES, PatientAxes, UnboundedPlane, middle_slice
from cmr_planes.nifti.grids import VolumeGrid, size_remark
from cmr_planes.nifti.images import VolumeFrames, join_frames, read_nifti_frames
from cmr_planes.nifti.plane_table import PlaneTable, StatedPlanes
from cmr_planes.nifti.volumes import LPS_FROM_RAS, WorldAxes, read_volume_grid
from cmr_planes.system.text import counted, either
from cmr_planes.views import TARGET_VIEWS, CardiacPhase, CardiacView, PhaseChoice


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _View:
    """The images of a view, as its files have them."""

    volume: VolumeFrames
    frame_numbers: tuple[int, ...]
    """The number of each frame in its cine, from 1."""
    named: tuple[CardiacPhase, ...] = ()
    """The phase of each frame where the files are of one phase each; empty for a cine."""
    stated: Mapping[CardiacPhase, int] = field(default_factory=dict)
    """The frames, from 0, that are known to be ED and ES."""
    remarks: tuple[tuple[NoteCode, str], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Files:
    """A subject's files and what its label maps say."""

    images: Sequence[SetFile]
    labels: Sequence[SetFile]
    annotations: tuple[Annotation, ...]

    def read(self, file: SetFile, name: str) -> VolumeFrames:
        """Read a volume; where its header has two matrices, take the one of the label maps. Raises StudyError."""
        volume = read_nifti_frames(file.path, name, is_annotated=bool(self.labels))
        if volume.grid.other_affine_ras is None:
            return volume
        affine, reason = settle_matrix(volume.grid, volume.shape, self._label_grids())
        grid = replace(volume.grid, affine_ras=affine, remarks=(*volume.grid.remarks[:-1], f"{volume.grid.remarks[-1]}; {reason}"))
        return replace(volume.placed(LPS_FROM_RAS @ affine), grid=grid)

    def _label_grids(self) -> list[VolumeGrid]:
        grids = []
        for file in self.labels:
            try:
                grids.append(read_volume_grid(file.path))
            except AnnotationError:
                continue  # said where its labels are read
        return grids


@contextmanager
def open_nifti(source: SubjectSource, options: ExtractOptions, annotations: Sequence[Annotation]) -> Iterator[SubjectViews]:
    """Read the images of a subject.

    Parameters
    ----------
    source
        The subject's images and label maps, as :func:`cmr_planes.discovery.nifti_sets.find_nifti_subjects` finds them.
    options
        Which phases are wanted, and which coordinates the files have.
    annotations
        What the label maps say: they tell end-diastole from end-systole, base from apex, and left from right where names and
        headers do not.

    Yields
    ------
        The views. Images are kept without positions too: such sets are for their labels.
    """
    files = files_of(source)
    subject = _Files(
        images=[file for file in files if not file.name.is_label],
        labels=[file for file in files if file.name.is_label],
        annotations=tuple(annotations),
    )
    found: dict[CardiacView, _View] = {}
    missing: dict[CardiacView, Finding] = {}
    for view in TARGET_VIEWS:
        of_view = [file for file in subject.images if file.name.view is view]
        try:
            if of_view:
                found[view] = _read_view(of_view, view, subject, options.phases)
            else:
                sentence = (
                    f"no {view.title} image among {len(subject.images)} NIfTI images; check the folder and the names of its files"
                )
                missing[view] = Finding(view.value, MISSING_CODES[view], sentence)
        except CmrPlanesError as error:
            missing[view] = Finding(view.value, error.code, str(error))
    stated = _stated_planes(source, options.planes)
    missing |= dict(_plane_faults(stated, options.planes, missing))
    yield _oriented(found, missing, _with_frames(subject.annotations, found), stated, options.world)


def _stated_planes(source: SubjectSource, table: PlaneTable | None) -> StatedPlanes:
    """Return what a table states about a subject: nothing without a table, or without a row."""
    return StatedPlanes() if table is None else table.subjects.get(source.key, StatedPlanes())


def _plane_faults(
    stated: StatedPlanes, table: PlaneTable | None, missing: Mapping[CardiacView, Finding]
) -> Iterator[tuple[CardiacView, Finding]]:
    """Say of each view that has neither image nor stated plane why the table does not state one."""
    if table is None:
        return
    reason = "; ".join(stated.faults) or "it has no row for this subject and view"
    for view, finding in missing.items():
        if view not in stated.planes:
            sentence = f"{finding.sentence}; the table of planes does not state the {view.title} plane: {reason}"
            yield view, Finding(view.value, RejectionCode.STATED_PLANES, sentence)


def _read_view(files: Sequence[SetFile], view: CardiacView, subject: _Files, choice: PhaseChoice) -> _View:
    """Read a view: a cine where all frames are wanted, else single phases where there are such files."""
    singles = [file for file in files if file.name.phase is not None or file.name.frame_number is not None]
    cines = [file for file in files if file not in singles]
    if singles and not (cines and choice is PhaseChoice.ALL):
        phases, remark = name_phases(singles, view, subject.annotations)
        volumes = [subject.read(file, f"the {view.title} volume at {phase.value.upper()}") for phase, (file, _) in phases.items()]
        return _View(
            volume=_joined(volumes, view),
            frame_numbers=tuple(number for _, number in phases.values()),
            named=tuple(phases),
            stated={phase: index for index, phase in enumerate(phases)},
            remarks=(*([(NoteCode.LABELS, remark)] if remark else []), *_remarks(volumes)),
        )
    if len(cines) > 1:
        raise StudyError(
            RejectionCode.AMBIGUOUS_VIEW,
            f"{len(cines)} volumes are called like the {view.title} view and none says its phase; keep one",
        )
    volume = subject.read(cines[0], f"the {view.title} volume")
    n_frames = len(volume.images)
    stated = {phase: number - 1 for phase, number in stated_phases(cines).items() if 1 <= number <= n_frames}
    stated |= _found_in_cine(singles, volume, view, subject)
    return _View(volume=volume, frame_numbers=tuple(range(1, n_frames + 1)), stated=stated, remarks=_remarks([volume]))


def _found_in_cine(singles: Sequence[SetFile], cine: VolumeFrames, view: CardiacView, subject: _Files) -> dict[CardiacPhase, int]:
    """Return which frames of a cine, from 0, the images of single phases are, voxel by voxel."""
    found: dict[CardiacPhase, int] = {}
    for file in singles:
        if file.name.phase is not None:
            single = subject.read(file, f"the {view.title} volume at {file.name.phase.value.upper()}")
            frame = cine.index_of(single)
            found |= {} if frame is None else {file.name.phase: frame}
    return found


def _joined(volumes: Sequence[VolumeFrames], view: CardiacView) -> VolumeFrames:
    """Return the volumes of ED and ES as one; raises StudyError where they are not of one place."""
    if not all(volumes[0].is_on_grid(volume.affine_lps_mm, volume.shape) for volume in volumes[1:]):
        raise StudyError(
            RejectionCode.INVALID_PLANE,
            f"the {view.title} volumes of the phases differ in matrix or place; they must be of one view",
        )
    return join_frames(volumes)


def _remarks(volumes: Sequence[VolumeFrames]) -> tuple[tuple[NoteCode, str], ...]:
    """Return what is to be said of the headers and values of a view's volumes, each thing once."""
    remarks: list[tuple[NoteCode, str]] = []
    for volume in volumes:
        size = size_remark(volume.grid.sizes_mm, volume.shape)
        remarks += [(NoteCode.NIFTI_GEOMETRY, f"of the NIfTI header, {remark}") for remark in volume.grid.remarks]
        remarks += [] if size is None else [(NoteCode.NO_SIZES, size)]
    n_not_finite = sum(volume.n_not_finite for volume in volumes)
    if n_not_finite:
        remarks.append(
            (
                NoteCode.NOT_A_NUMBER,
                f"{counted(n_not_finite, 'voxel')} "
                f"{either(n_not_finite, 'holds no number (NaN) and was', 'hold no number (NaN) and were')} set to 0",
            )
        )
    return tuple(dict.fromkeys(remarks))


def _with_frames(annotations: Sequence[Annotation], views: Mapping[CardiacView, _View]) -> tuple[Annotation, ...]:
    """Give label maps that name a phase, and lie on a cine of which that frame is known, its number."""

    def dated(volume: LabelVolume) -> LabelVolume:
        phase = volume.time_point.phase
        if phase is None or volume.time_point.frame_number is not None:
            return volume
        for view, found in views.items():
            is_of_view = volume.view in (view, None) and found.volume.is_on_grid(volume.affine_lps_mm, volume.labels.shape)
            if is_of_view and not found.named and phase in found.stated:
                number = found.frame_numbers[found.stated[phase]]
                return replace(volume, time_point=replace(volume.time_point, frame_number=number))
        return volume

    return tuple(replace(one, volumes=tuple(dated(volume) for volume in one.volumes)) for one in annotations)


def _oriented(
    found: Mapping[CardiacView, _View],
    missing: Mapping[CardiacView, Finding],
    annotations: tuple[Annotation, ...],
    stated: StatedPlanes,
    world: WorldAxes | None,
) -> SubjectViews:
    """Settle which coordinates the files have and which end of the stack is the base."""
    sax = found.get(CardiacView.SAX)
    axes = HeartAxes() if sax is None else heart_axes(annotations, sax.volume.planes)
    has_sides = sax is not None and sax.volume.grid.has_directions
    is_turned = world is WorldAxes.LPS or (world is None and has_sides and axes.is_turned)
    if is_turned:
        found = {view: replace(one, volume=one.volume.turned(HALF_TURN)) for view, one in found.items()}
        annotations = tuple(_turned(annotation) for annotation in annotations)
        axes = axes.turned()
        stated = _turned_planes(stated)
    sentences = side_sentences(axes, is_turned=is_turned and world is None) if has_sides else []
    slices = {view: _slices(one, view, axes) for view, one in found.items()}
    return SubjectViews(
        views={view: of_view for view, (of_view, _) in slices.items()},
        missing=missing,
        findings=tuple(Finding("", NoteCode.NIFTI_GEOMETRY, sentence) for sentence in sentences),
        view_findings={
            view: tuple(Finding(view.value, code, sentence) for code, sentence in (*one.remarks, *slices[view][1]))
            for view, one in found.items()
        },
        named_phases={view: one.named for view, one in found.items() if one.named},
        source_headers={view: one.volume.grid.header for view, one in found.items()},
        stated_planes=stated.planes,
        unsized=frozenset(view for view, one in found.items() if not one.volume.has_heart_size),
        axes=stated.axes or LPS_AXES,
        annotations=annotations,
        keeps_images=True,
    )


def _turned(annotation: Annotation) -> Annotation:
    """Return what a label map says with x and y taken the other way round."""
    volumes = (replace(volume, affine_lps_mm=HALF_TURN @ volume.affine_lps_mm) for volume in annotation.volumes)
    return replace(annotation, volumes=tuple(volumes))


def _turned_planes(stated: StatedPlanes) -> StatedPlanes:
    """Return what a table states, in the files' coordinates, with x and y taken the other way round."""
    turn = HALF_TURN[:3, :3]
    planes = {view: UnboundedPlane(turn @ plane.centre_mm, turn @ plane.normal) for view, plane in stated.planes.items()}
    axes = stated.axes and PatientAxes.from_directions(turn @ stated.axes.left, turn @ stated.axes.anterior)
    return replace(stated, planes=planes, axes=axes)


def _slices(found: _View, view: CardiacView, axes: HeartAxes) -> tuple[tuple[ReadSlice, ...], list[tuple[NoteCode, str]]]:
    """Return the slices of a view, of SAX all from base to apex, of a long-axis view the middle one; and what is to be said."""
    volume = found.volume
    has_directions = volume.grid.has_directions
    how = ""
    if view is CardiacView.SAX:
        order, how = order_slices(volume.planes, axes, has_directions=has_directions)
        how = f"; its slices are {how}, base first"
    else:
        order = [middle_slice(volume.planes)]
    remark = (
        "the file has no directions (no matrix, or one that is parallel to the patient's axes, as no image of the heart is): "
        f"anterior, left and head are not known{how}"
    )
    slices = tuple(
        NiftiSlice(
            plane=volume.planes[index],
            images=volume.images[:, index],
            scaling=volume.rescale,
            label=f"slice {index + 1} of the {view.title} volume",
            frame_numbers=found.frame_numbers,
            stated_phases=(_of_phase(found.stated, CardiacPhase.ED), _of_phase(found.stated, CardiacPhase.ES)),
            has_directions=has_directions,
            source_index=index,
        )
        for index in order
    )
    return slices, [] if has_directions else [(NoteCode.NO_DIRECTIONS, remark)]


def _of_phase(stated: Mapping[CardiacPhase, int], phase: CardiacPhase) -> tuple[int, ...]:
    return (stated[phase],) if phase in stated else ()
