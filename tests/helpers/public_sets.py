"""Small phantom cohorts in the layouts of Kaggle DSB2016 and ACDC, and the real subjects of ACDC where they are at hand."""

import gzip
import importlib.util
import itertools
import shutil
import tarfile
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np

from cmr_planes.phantom.acquisition import Examination, Protocol, image_series
from cmr_planes.phantom.cohort import CohortOptions, make_examination
from cmr_planes.phantom.dicom_model import DicomStudy
from cmr_planes.phantom.dicom_writer import write_cine
from cmr_planes.phantom.truth import label_stack
from cmr_planes.views import CardiacView
from tests.helpers.archive_nifti import PLACEHOLDER, write
from tests.helpers.labels import ACDC, recode

PROTOCOL = Protocol(n_slices=5, slice_gap_mm=6.0, rows=80, columns=88, spacing_mm=3.2, n_frames=8)
"""Few slices and frames, of few pixels, over the whole heart."""
REAL_ACDC = Path(__file__).parents[3] / "shared" / "acdc"
"""Where the training set of ACDC lies beside a checkout, if it does."""


def examination_of(number: int, seed: int, protocol: Protocol = PROTOCOL) -> Examination:
    """Return one of the phantoms of a seed, from number 1 on."""
    return make_examination(CohortOptions(seed=seed, protocol=protocol), number - 1)


def write_dsb2016(folder: Path, sets: Mapping[str, Iterable[int]], seed: int = 5) -> Path:
    """Write ``<set>/<id>/study/{2ch,4ch,sax}_<n>/IM-<n>-<frame>.dcm``, as Kaggle has them: no SeriesInstanceUID, no 3Ch."""
    for name, numbers in sets.items():
        for number in numbers:
            examination = examination_of(number, seed)
            study = DicomStudy(name=f"{number} of {seed}", patient_id=f"SYN-{number:04d}", overrides={"SeriesInstanceUID": None})
            for place, prescription in enumerate(examination.prescriptions):
                if prescription.view is CardiacView.THREE_CHAMBER:
                    continue
                series = image_series(examination, place, number=place + 3)
                target = folder / name / str(number) / "study" / f"{prescription.view.value}_{series.number}"
                target.mkdir(parents=True)
                for file in write_cine(study, series):
                    (target / f"IM-{series.number:05d}-{file.instance_number:04d}.dcm").write_bytes(file.data)
    return folder


def write_acdc(folder: Path, spacings_mm: Mapping[int, float], seed: int = 77) -> Path:
    """Write ``patient001/{Info.cfg, patient001_4d, _frame01, _frame01_gt, …}.nii.gz`` for phantoms by number, each of a pixel size.

    The matrix in each header is the placeholder of ACDC's files; millimetres are in ``pixdim`` alone.
    """
    for number, spacing_mm in spacings_mm.items():
        examination = examination_of(number, seed, replace(PROTOCOL, spacing_mm=spacing_mm))
        stack = [
            image_series(examination, place, number=place).frames
            for place, prescription in enumerate(examination.prescriptions)
            if prescription.view is CardiacView.SAX
        ]
        cine = np.stack(stack).transpose(3, 2, 0, 1).astype(np.int16)  # i along a row, j down, slices from the base, frames
        distance_mm = PROTOCOL.slice_thickness_mm + PROTOCOL.slice_gap_mm
        header = {"sform": PLACEHOLDER, "pixdim": (spacing_mm, spacing_mm, distance_mm)}
        key = f"patient{number:03d}"
        fractions = examination.subject.cycle.frame_fractions(PROTOCOL.n_frames)
        write(folder / key / f"{key}_4d.nii.gz", cine, **header)
        for frame in (0, examination.es_frame):
            labels = label_stack(examination, CardiacView.SAX, float(fractions[frame])).transpose(2, 1, 0)
            stem = folder / key / f"{key}_frame{frame + 1:02d}"
            write(stem.with_suffix(".nii.gz"), cine[..., frame], **header)
            write(stem.with_name(f"{stem.name}_gt.nii.gz"), recode(labels, ACDC), **header)
        (folder / key / "Info.cfg").write_text(
            f"ED: 1\nES: {examination.es_frame + 1}\nGroup: NOR\nHeight: 170.0\nNbFrame: {PROTOCOL.n_frames}\nWeight: 70.0\n"
        )
    return folder


def unpack_real_acdc(folder: Path) -> Path:
    """Unpack ACDC's first two subjects, which stand first in the archive, and its one whole cine; return the folder of subjects."""
    spec = importlib.util.spec_from_file_location("unpack", REAL_ACDC / "unpack.py")
    assert spec is not None
    assert spec.loader is not None
    unpack = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(unpack)
    parts = unpack.Parts(sorted(REAL_ACDC.glob(unpack.ARCHIVE + "*")))
    with tarfile.open(fileobj=parts, mode="r|xz") as archive:
        wanted = itertools.takewhile(lambda member: "patient003" not in member.name, archive)
        for member in wanted:
            stream = archive.extractfile(member)
            if stream is None or "patient" not in member.name:
                continue
            path = folder / member.name
            path.parent.mkdir(parents=True, exist_ok=True)
            if path.suffix == ".vox":
                path.with_suffix(".nii.gz").write_bytes(gzip.compress(unpack.nifti(stream.read()), compresslevel=1))
            else:
                path.write_bytes(stream.read())
    parts.file.close()
    cine = folder / "training" / "patient090"
    cine.mkdir(parents=True)
    shutil.copy(REAL_ACDC / "patient090_4d.nii.gz", cine)
    (cine / "Info.cfg").write_text("ED: 4\nES: 11\n")
    return folder / "training"
