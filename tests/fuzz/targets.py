"""Everything that reads files of others, each driven through the entry points that the commands use."""

import contextlib
import os
import struct
import zipfile
from collections.abc import Sequence
from pathlib import Path
from random import Random

from cmr_planes.annotations.files import LabelFile, find_label_files
from cmr_planes.annotations.matching import annotated_frames, match
from cmr_planes.annotations.model import LabelFormat
from cmr_planes.annotations.reading import read_annotations
from cmr_planes.cine.series_names import load_names
from cmr_planes.dicom.headers import HeaderScan
from cmr_planes.dicom.manifest import cross_check, parse_manifest
from cmr_planes.discovery.nifti_sets import find_nifti_subjects
from cmr_planes.discovery.subjects import SubjectSource, find_subjects
from cmr_planes.errors import AnnotationError, CmrPlanesError, SourceError, UnreadablePixelsError
from cmr_planes.extraction.annotating import target_of
from cmr_planes.extraction.options import ExtractOptions
from cmr_planes.extraction.plan import make_plan
from cmr_planes.extraction.source_format import format_of
from cmr_planes.extraction.subject import ExtractedSubject, extract_subject
from cmr_planes.shards.catalogue import Catalogue
from cmr_planes.shards.catalogue_writer import is_catalogue
from cmr_planes.shards.label_files import read_label_file
from cmr_planes.shards.label_summary import labels_to_json, summarise_labels
from cmr_planes.shards.records import SubjectRecord
from cmr_planes.shards.schema import Codec, check_subject_key
from cmr_planes.shards.summary import summarise
from cmr_planes.shards.summary_json import to_json
from cmr_planes.shards.verify import verify_catalogue
from cmr_planes.views import CardiacView
from tests.fuzz import bytewise, dicom_tree, hdf5_objects, nifti_fields, seeds
from tests.fuzz.harness import FindingError, Target, check_messages, check_sentences
from tests.fuzz.text_trees import mutate_json, mutate_xml
from tests.fuzz.zip_records import inner_mutation, mutation, pack, unpack
from tests.helpers.headers import decode_frames, read_subject
from tests.helpers.labels import refresh_catalogue
from tests.helpers.records import write_shard

_OPTIONS = ExtractOptions(layout=seeds.LAYOUT)
_NIFTI_OPTIONS = ExtractOptions(layout=seeds.LAYOUT, nifti=True)
_MAX_FRAMES = 3


def _source(*paths: Path) -> SubjectSource:
    return SubjectSource(key="SYN-0001", participant="SYN-0001", paths=paths, root=paths[0].parent)


def _file(folder: Path, data: bytes, name: str = "image") -> Path:
    path = folder / name
    path.write_bytes(data)
    return path


def _scan(path: Path) -> HeaderScan:
    scan = read_subject(_source(path))
    check_sentences(item.sentence for item in scan.unreadable)
    check_sentences(finding.sentence for finding in scan.notes)
    return scan


def _header(data: bytes, folder: Path) -> str:
    scan = _scan(_file(folder, data))
    if scan.n_files != 1 or (scan.frames and scan.unreadable):
        raise FindingError(f"{len(scan.frames)} frames, {len(scan.unreadable)} unreadable of {scan.n_files} files")
    return "frames" if scan.frames else "unreadable" if scan.unreadable else "no image"


def _pixels(data: bytes, folder: Path) -> str:
    scan = _scan(_file(folder, data))
    word = "no frames"
    for frame in scan.frames[:_MAX_FRAMES]:
        try:
            (image,) = decode_frames([frame])
            word = str(image.dtype)
        except UnreadablePixelsError as error:
            check_sentences([str(error)])
            word = "unreadable"
    return word


def _stored(record: SubjectRecord, folder: Path) -> str:
    """Check what an extraction says, and that it can be stored."""
    check_messages(record.findings)
    write_shard(folder / "00000.h5", [record], codec=Codec.GZIP, configuration={})
    return " ".join(view.view.value for view in record.views) or record.findings[-1].code.value


def _subject(data: bytes, folder: Path) -> str:
    return _stored(extract_subject(_source(_file(folder, data, "SYN-0001.zip")), _OPTIONS, ()).record, folder)


def _zip(data: bytes, folder: Path) -> str:
    path = _file(folder, data, "9000001_20209_2_0.zip")
    with contextlib.suppress(CmrPlanesError):
        find_label_files(path)
    (subject,) = find_subjects([path])
    _scan(path)
    return _stored(extract_subject(subject, _OPTIONS, ()).record, folder)


def _listing(data: bytes, folder: Path) -> str:
    for number, name in enumerate(data.split(b"\0")):
        path = folder / "S" / os.fsdecode(name)
        if ".." in path.parts or not path.is_relative_to(folder / "S"):
            continue
        with contextlib.suppress(OSError):  # a name that the file system does not take
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(seeds.classic_files()[number % 2])
    n_subjects = []
    for find in (find_subjects, find_nifti_subjects):
        subjects = []
        with contextlib.suppress(SourceError):
            subjects = find([folder / "S"])
        for subject in subjects:
            check_subject_key(subject.key)
        if len({subject.key for subject in subjects}) < len(subjects):
            raise FindingError("two subjects have one key")
        n_subjects.append(len(subjects))
    return "{} by DICOM, {} by NIfTI".format(*n_subjects)


def _manifest(data: bytes, folder: Path) -> str:
    rows = parse_manifest(data)
    check_sentences(cross_check(rows, ["1.2.0.dcm", "1.2.1.dcm", "x/y"], ()))
    members = unpack(seeds.zips()[0]) | {"manifest.csv": data}
    return f"{len(_scan(_file(folder, pack(members), 'a.zip')).notes)} notes"


def _annotations(files: Sequence[LabelFile]) -> str:
    annotations, failures = read_annotations(files, None)
    check_sentences(failures)
    target = seeds.target_view()
    if not annotations:
        return "unreadable"
    annotated_frames(annotations, target, lambda uid, _: uid)
    try:
        matched = match(annotations, [target], lambda uid, _: uid)
    except AnnotationError as error:
        check_sentences([str(error)])
        return "not placed"
    check_sentences(matched.remarks)
    return "placed"


def _annotation(name: str, label_format: LabelFormat):  # a function of bytes and folder
    def drive(data: bytes, folder: Path) -> str:
        is_compressed = name.endswith(".nii") and data[:2] == b"\x1f\x8b"
        path = _file(folder, data, f"{name}.gz" if is_compressed else name)
        return _annotations([LabelFile(path, "", (path.name,), label_format)])

    return drive


def _images(data: bytes, folder: Path) -> str:
    with contextlib.suppress(zipfile.BadZipFile, ValueError, OSError, NotImplementedError, struct.error, EOFError, RuntimeError):
        for name, content in unpack(data).items():
            if "/" not in name and name:
                _file(folder, content, name)
    (subject,) = find_nifti_subjects([folder])
    extracted: ExtractedSubject = extract_subject(
        subject, _NIFTI_OPTIONS, format_of(_NIFTI_OPTIONS).label_files(_NIFTI_OPTIONS, [subject])[subject.key]
    )
    return _stored(extracted.record, folder)


def _names(data: bytes, folder: Path) -> str:
    table = load_names(_file(folder, data, "names.toml"))
    for name in ("CINE_segmented_SAX_b3", "4ch " * 2000, "a" * 4000):
        table.view(name)
        table.exclusions(name)
    return "read"


def _plan(data: bytes, folder: Path) -> str:
    (folder / "out.shards").mkdir()
    _file(folder, data, "out.shards/plan.json")
    _file(folder, seeds.zips()[0], "SYN-0001.zip")
    plan = make_plan([folder / "SYN-0001.zip"], folder / "out.h5", _OPTIONS)
    return f"{plan.n_subjects} subjects"


def _catalogue(data: bytes, folder: Path) -> str:
    for name, content in unpack(data).items():
        (folder / name).parent.mkdir(exist_ok=True)
        _file(folder, content, name)
    out = folder / "out.h5"
    steps = (_inspect, _read_all, verify_catalogue, _read_labels, refresh_catalogue)
    failures = []
    is_catalogue(out)
    for step in steps:
        try:
            step(out)
        except CmrPlanesError as error:
            check_sentences([str(error)])
            failures.append(type(error).__name__)
    return f"{len(failures)} of {len(steps)} refused"


def _inspect(out: Path) -> None:
    with Catalogue(out) as catalogue:
        subjects, views = catalogue.subjects(), catalogue.views()
        summary = summarise(subjects, views, catalogue.rejections(), catalogue.notes())
        to_json(summary, with_keys=True)
        for labels in summarise_labels(catalogue.annotations(), views):
            labels_to_json(labels)
        catalogue.versions()


def _read_labels(out: Path) -> None:
    read_label_file(out.parent / "out.labels" / "00000.h5")


def _read_all(out: Path) -> None:
    with Catalogue(out) as catalogue:
        index = catalogue.index()
        subjects = {index.subject(row) for row in range(min(len(index), 100))} | {"SYN-0001"}
        for key in sorted(subjects)[:4]:
            for view in CardiacView:
                for read in (catalogue.image, catalogue.positions, catalogue.labels):
                    with contextlib.suppress(CmrPlanesError):
                        read(key, view, 0, 0)
                with contextlib.suppress(CmrPlanesError):
                    target_of(catalogue.view_attributes(key, view))
                with contextlib.suppress(CmrPlanesError):
                    catalogue.labelled_structures(key, view)


def _run(data: bytes, folder: Path) -> str:
    from cmr_train.runs.run import load_run

    for name, content in unpack(data).items():
        if name and "/" not in name:
            _file(folder, content, name)
    load_run(folder)
    return "loaded"


def _mutate_volume(data: bytes, rng: Random) -> bytes:
    """Change a NIfTI file, or the text beside it."""
    return nifti_fields.mutate(data, rng) if data[:2] in (b"\x1f\x8b", b"\x5c\x01") else _TEXT(data, rng)


def _mutate_of_run(data: bytes, rng: Random) -> bytes:
    return _CHECKPOINT(data, rng) if data[:2] == b"PK" else mutate_json(data, rng)


def _mutate_study(data: bytes, rng: Random) -> bytes:
    """Change the same element in all files of a study, in some, or in one."""
    try:
        files = unpack(data)
    except (zipfile.BadZipFile, ValueError, OSError, NotImplementedError, struct.error, EOFError, RuntimeError):
        return data
    names = sorted(files)
    for _ in range(rng.choice((1, 1, 2, 3))):
        scope = rng.choice((names, names[: len(names) // 2], names[::2], names[:8], names[-16:], [rng.choice(names)]))
        step = rng.randrange(1 << 30)
        same = rng.random() < 0.6
        for number, name in enumerate(scope):
            files[name] = dicom_tree.mutate(files[name], Random(step if same else step + number))
    return pack(files)


_TEXT = bytewise.stacked(*bytewise.ANY_TEXT)
_BYTES = bytewise.stacked(*bytewise.ANY_BYTES)
_CHECKPOINT = mutation(bytewise.stacked(*bytewise.ANY_BYTES, *bytewise.ANY_TEXT))
_CATALOGUE = inner_mutation(lambda data, rng: hdf5_objects.mutate(data, rng) if data[:4] == b"\x89HDF" else _TEXT(data, rng))

TARGETS = {
    target.name: target
    for target in (
        Target("classic-header", seeds.classic_files, dicom_tree.mutate, _header),
        Target("enhanced-header", seeds.enhanced_files, dicom_tree.mutate, _header),
        Target("pixels", seeds.pixel_files, dicom_tree.mutate, _pixels, is_isolated=True),
        Target("subject", seeds.subjects, _mutate_study, _subject),
        Target("zip", seeds.zips, mutation(dicom_tree.mutate), _zip),
        Target("listing", seeds.listings, _TEXT, _listing),
        Target("manifest", seeds.manifests, _TEXT, _manifest),
        Target("cvi42", seeds.workspaces, mutate_xml, _annotation("SYN-0001.cvi42wsx", LabelFormat.CVI42)),
        Target("sunnybrook", seeds.contour_files, _TEXT, _annotation("IM-0001-0002-icontour-manual.txt", LabelFormat.SUNNYBROOK)),
        Target(
            "nifti-labels", seeds.label_volumes, nifti_fields.mutate, _annotation("patient001_frame01_gt.nii", LabelFormat.NIFTI)
        ),
        Target("nifti-images", seeds.image_volumes, inner_mutation(_mutate_volume), _images),
        Target("dicom-seg", seeds.segmentations, dicom_tree.mutate, _annotation("seg_ED.dcm", LabelFormat.DICOM_SEG)),
        Target("names", seeds.name_tables, _TEXT, _names),
        Target("plan", seeds.plans, mutate_json, _plan),
        Target("catalogue", seeds.catalogues, _CATALOGUE, _catalogue, is_isolated=True),
        Target("run", seeds.runs, inner_mutation(_mutate_of_run), _run, is_isolated=True),
    )
}
"""By name."""
