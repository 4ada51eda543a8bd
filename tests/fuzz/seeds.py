"""Whole inputs that mutations start from: written by the phantom and by the tests' own writers, never real."""

import io
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from cmr_planes.annotations.model import TargetView
from cmr_planes.errors import Finding, NoteCode
from cmr_planes.extraction.options import ExtractOptions
from cmr_planes.extraction.plan import PLAN_NAME, make_plan, prepare
from cmr_planes.geometry import BoxLayout
from cmr_planes.phantom.dicom_model import TransferSyntax
from cmr_planes.phantom.enhanced_writer import write_enhanced
from cmr_planes.phantom.small_study import SimpleStudy, encode_study, simple_study
from cmr_planes.shards.catalogue_writer import write_catalogue
from cmr_planes.shards.records import InstanceRef, ViewLabels
from cmr_planes.shards.schema import Codec
from cmr_planes.views import CardiacView, Structure
from tests.fuzz.zip_records import pack
from tests.helpers.labels import (
    ACDC,
    cvi42_contour,
    cvi42_workspace,
    dicom_seg,
    heart_labels,
    make_target,
    polygons,
    recode,
    save_nifti,
    write_labels,
)
from tests.helpers.records import make_subject, rejected_subject, write_shard

LAYOUT = BoxLayout(size=3, gap=6)
"""Boxes that suit the small images."""
CONFIGURATION = {"box": 3.0}
"""The configuration of the small catalogue."""


def _study(**changes: Any) -> SimpleStudy:
    settings: dict[str, Any] = {"n_slices": 3, "n_frames": 8, "rows": 32, "columns": 32, "spacing_mm": (10.0, 10.0)}
    return simple_study(**{**settings, "slice_distance_mm": 20.0, **changes})


def _slice(n_frames: int = 2) -> SimpleStudy:
    return _study(n_frames=n_frames, n_slices=1, views=("sax",), private_bytes=64)


@cache
def classic_files() -> list[bytes]:
    """One file a vendor's way of writing."""
    words = {"SpecificCharacterSet": "ISO_IR 100", "SeriesDescription": "Vierkammer \u00e4"}
    studies = (_slice(1), _study(n_frames=1, views=("4ch",), overrides=words))
    return [encode_study(study)[0].data for study in studies]


def enhanced_files() -> list[bytes]:
    """Multi-frame instances of one and of two planes."""
    study = _study(n_frames=3, rows=16, columns=16)
    parts = list(study.series.values())
    return [
        write_enhanced(study.study, parts[:1]).data,
        write_enhanced(study.study, parts[:2], cycle_positions={1: "END_SYSTOLE"}).data,
    ]


def pixel_files() -> list[bytes]:
    """Files in every transfer syntax that the phantom writes, and an Enhanced one."""
    files = [encode_study(_slice(1), transfer_syntax=syntax)[0].data for syntax in TransferSyntax]
    study = _study(n_frames=3, views=("4ch",))
    return [
        *files,
        *(write_enhanced(study.study, list(study.series.values())[:1], transfer_syntax=one).data for one in TransferSyntax),
    ]


def subjects() -> list[bytes]:
    """Zips of whole studies: classic, with unusual but right headers, and Enhanced."""
    study = _study()
    plain = {f"{index:03d}": file.data for index, file in enumerate(encode_study(study))}
    odd = _study(overrides={"TriggerTime": None, "FrameOfReferenceUID": None, "SeriesDescription": ""}, n_frames=9)
    enhanced = {key: write_enhanced(study.study, [series]).data for key, series in study.series.items()}
    return [pack(plain), pack({f"{index:03d}": file.data for index, file in enumerate(encode_study(odd))}), pack(enhanced)]


def zips() -> list[bytes]:
    """A small zip as UK Biobank has them."""
    files = encode_study(_slice())
    return [pack({**{f"1.2.{index}.dcm": file.data for index, file in enumerate(files)}, "manifest.csv": manifests()[0]})]


def listings() -> list[bytes]:
    """Names of files of folders as users have them, one after another with a zero between."""
    names = (
        "SYN-0001/study/sax_5/1.dcm SYN-0002/1 9000001_20208_2_0.zip 9000001_20209_2_0/1.dcm visit 1/1.2.840.10008.1/IM-0001 "
        "patient001_frame01.nii.gz SYN-0003/sa_ED.nii SYN-0003/la_2ch_ED.nii"
    )
    return [names.replace(" ", "\0").encode(), b"SYN-0001.zip\0SYN-0001/visit 1/a\0SYN-0001/visit 2/a\0.b/c\0SYN_1/sa.nii"]


def manifests() -> list[bytes]:
    """Manifests with and without the comma in the date."""
    names = [f"1.2.{index}.dcm" for index in range(2)]
    rows = "".join(f'{name},SYN-0001,"Aug 30, 2015 9:12:33 AM",CINE_segmented_SAX_b1\n' for name in names)
    return [
        f"filename,patientid,date,series discription\n{rows}".encode(),
        b"\xef\xbb\xbf" + f"filename,series description\n{names[0]},x\n".encode(),
    ]


@cache
def target_view() -> TargetView:
    """A view on which annotations are laid."""
    series = _study().series
    return make_target(CardiacView.SAX, [series[f"sax{level}"].plane for level in (1, 2, 3)])


def _labels() -> np.ndarray:
    """True labels of :func:`target_view`, shape (slice, row, column)."""
    return np.stack([heart_labels(plane, _study().centre_mm) for plane in target_view().planes])


def workspaces() -> list[bytes]:
    """cvi42 workspaces with contours on two images."""
    images = {
        f"uid-0-{level}": [cvi42_contour(name, points) for name, points in polygons(_labels()[level], CardiacView.SAX).items()]
        for level in (0, 1)
    }
    return [cvi42_workspace(images)]


def contour_files() -> list[bytes]:
    """Sunnybrook contours."""
    return [b"12.5 13\n20.25 13\n20 22.5\n13 21\n", b"1 1\r\n30 1\r\n30 30\r\n1 30\r\n"]


def label_volumes() -> list[bytes]:
    """NIfTI label maps of one moment and of several, plain and compressed."""
    values = recode(_labels(), ACDC)
    cine = np.stack([values, values], axis=-1)
    return [_nifti(each, suffix) for each in (values, cine, values.astype(np.float32)) for suffix in (".nii", ".nii.gz")]


def image_volumes() -> list[bytes]:
    """Containers of NIfTI images of a subject with label maps beside them."""
    series = _study().series
    views = {"sa": [series[f"sax{level}"] for level in (1, 2, 3)], "la_2ch": [series["2ch"]], "la_4ch": [series["4ch"]]}
    files: dict[str, bytes] = {}
    cine: dict[str, bytes] = {}
    for name, parts in views.items():
        planes, frames = [part.plane for part in parts], np.stack([part.frames for part in parts])
        cine[f"{name}.nii"] = _nifti(np.moveaxis(frames, 1, 3), ".nii", planes)
        for phase, frame in (("ED", 0), ("ES", 3)):
            files[f"{name}_{phase}.nii"] = _nifti(frames[:, frame], ".nii", planes)
    files["label_sa_ED.nii.gz"] = _nifti(_labels(), ".nii.gz")
    cine["Info.cfg"] = b"ED: 1\nES: 4\n"
    return [pack(files, deflated=False), pack(cine, deflated=False)]


def _nifti(values: np.ndarray, suffix: str, planes: Sequence[object] = ()) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        data = save_nifti(Path(folder) / f"x{suffix}", values, planes or target_view().planes).read_bytes()
    return data if suffix == ".nii" else data[:4] + bytes(4) + data[8:]  # without the time


def segmentations() -> list[bytes]:
    """DICOM segmentations, binary and fractional."""
    series = replace(_study(), series={key: one for key, one in _study().series.items() if key in ("sax1", "sax2")})
    sources = [file.data for file in encode_study(series)][::8]
    labels, structures = _labels()[:2], (Structure.LV, Structure.MYO)
    return [dicom_seg(sources, labels, structures, ("LV", "Myocardium"), kind=kind) for kind in ("BINARY", "FRACTIONAL")]


def name_tables() -> list[bytes]:
    """A site's TOML file."""
    return [b'[views]\nsax = ["kurzachse", "\\\\bsa\\\\b"]\n4ch = ["vierkammer"]\n[exclude]\nlocaliser = ["uebersicht", "loc.*"]\n']


def plans() -> list[bytes]:
    """The plan that stands among shards."""
    with tempfile.TemporaryDirectory() as name:
        (Path(name) / "SYN-0001.zip").write_bytes(zips()[0])
        plan = make_plan([Path(name) / "SYN-0001.zip"], Path(name) / "out.h5", ExtractOptions(layout=LAYOUT))
        prepare(plan)
        return [(plan.shard_folder / PLAN_NAME).read_bytes()]


def catalogues() -> list[bytes]:
    """Containers of a catalogue with its shard and its labels: as we write them, and in HDF5's oldest form without checksums."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "out.shards").mkdir()
        shard = folder / "out.shards" / "00000.h5"
        subject = make_subject(1, n_slices=2, matrix=(48, 48), spacing_mm=7.0, layout=LAYOUT)
        refs = tuple(tuple(InstanceRef(f"2.25.{phase}{level}", 0, level + 1) for level in range(2)) for phase in range(2))
        sax = next(view for view in subject.views if view.view is CardiacView.SAX)
        views = tuple(replace(view, instances=refs) if view is sax else view for view in subject.views)
        note = Finding("sax", NoteCode.LOW_AGREEMENT, "the images disagree")
        records = [replace(subject, views=views, findings=(*subject.findings, note)), rejected_subject(2)]
        write_shard(shard, records, codec=Codec.GZIP, configuration=CONFIGURATION)
        write_catalogue(folder / "out.h5", [shard], configuration=CONFIGURATION, versions={"cmr-planes": "0"})
        drawn = np.zeros((2, 2, len(Structure)), dtype=np.bool_)
        drawn[0, 0, :3] = True
        labels = np.zeros((2, 2, 48, 48), dtype=np.uint8)
        labels[0, 0, 10:20, 10:20] = 1
        write_labels(
            folder / "out.h5", {subject.key: {CardiacView.SAX: ViewLabels(labels=labels, structures=drawn, source="nifti")}}
        )
        files = {path.relative_to(folder).as_posix(): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}
    old = {path: _oldest_form(data) if path.endswith(".h5") else data for path, data in files.items()}
    return [pack(files), pack(old)]


def _oldest_form(data: bytes) -> bytes:
    """Return an HDF5 file's objects in the library's oldest format, whose parts carry no checksums."""
    target = io.BytesIO()
    with h5py.File(io.BytesIO(data), "r") as source, h5py.File(target, "w", libver=("earliest", "v108")) as copy:
        _copy_group(source, copy)
    return target.getvalue()


def _copy_group(source: h5py.Group, target: h5py.Group) -> None:
    for name in source:
        link = source.get(name, getlink=True)
        if isinstance(link, h5py.ExternalLink):
            target[name] = link
        elif isinstance(source[name], h5py.Group):
            _copy_group(source[name], target.create_group(name))
        else:
            dataset = source[name]
            made = target.create_dataset(name, data=dataset[()], dtype=dataset.dtype, chunks=dataset.chunks)
            made.attrs.update(dataset.attrs)
    target.attrs.update(source.attrs)


def runs() -> list[bytes]:
    """Containers of a finished run of the trainer with a tiny network."""
    from cmr_train.choices import Recipe
    from cmr_train.presets import configure
    from cmr_train.runs.checkpoint import save_checkpoint
    from cmr_train.runs.files import write_json
    from cmr_train.runs.folder import CONFIG_NAME, FINAL_NAME, SPLIT_NAME
    from cmr_train.runs.run import make_network

    config = configure(Recipe.PRETEXT, rows=16, columns=16, base_channels=2, levels=1, device="cpu")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        identity = {"path": "/data/out.h5", "sha256": "0" * 64, "origin": "1" * 64, "pseudonyms": ""}
        write_json(folder / CONFIG_NAME, {"config": config.to_json(), "catalogues": {config.head.value: identity}})
        write_json(folder / SPLIT_NAME, {"train": ["SYN-0001"], "validation": [], "test": ["SYN-0002"]})
        save_checkpoint(folder / FINAL_NAME, {"model": make_network(config).state_dict(), "iteration": 3})
        files = {path.name: path.read_bytes() for path in sorted(folder.iterdir())}
    return [pack(files, deflated=False)]
