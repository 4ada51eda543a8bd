"""Studies as a PACS has them: a stack of 4Ch slices, Enhanced MR, and much else beside the cines."""

import io
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import pydicom

from cmr_planes.phantom.dicom_model import CineSeries, DicomFile
from cmr_planes.phantom.dicom_writer import write_cine
from cmr_planes.phantom.enhanced_writer import write_enhanced
from cmr_planes.phantom.quirks import Quirk, with_quirks
from cmr_planes.phantom.small_study import SimpleStudy, encode_study
from tests.helpers.cohorts import small_study

CLASSIC, ENHANCED, FULL = "SYN-0001", "SYN-0002", "SYN-0003"
"""Patients: one with three slices of 4Ch, of which only images tell the right one; one with Enhanced MR; one with a full protocol."""


def pacs_studies() -> dict[str, list[bytes]]:
    """The files of three patients' studies."""
    return {CLASSIC: _data(_classic()), ENHANCED: _data(_enhanced()), FULL: _data(_full())}


def study_uid(data: bytes) -> str:
    return str(pydicom.dcmread(io.BytesIO(data), stop_before_pixels=True).StudyInstanceUID)


def write_beside(folder: Path, studies: Mapping[str, Sequence[bytes]], named: Mapping[str, str]) -> Path:
    """Write the files of studies into folders that are called as ``named`` says by StudyInstanceUID."""
    for files in studies.values():
        place = folder / named[study_uid(files[0])]
        place.mkdir(parents=True)
        for number, data in enumerate(files):
            (place / f"{number:04d}.dcm").write_bytes(data)
    return folder


def _data(files: Sequence[DicomFile]) -> list[bytes]:
    return [file.data for file in files]


def _classic() -> list[DicomFile]:
    """A study whose 4Ch is a stack of three slices, 10 mm apart, a series each."""
    study = small_study(CLASSIC)
    first = study.series["4ch"]
    others = {
        f"4ch {shift_mm}": replace(
            first,
            plane=replace(first.plane, position_mm=first.plane.position_mm + shift_mm * first.plane.normal),
            number=first.number + shift_mm + 40,
            key=f"{shift_mm}",
        )
        for shift_mm in (-10, 10)
    }
    return encode_study(replace(study, series={**study.series, **others}))


def _enhanced() -> list[DicomFile]:
    study = small_study(ENHANCED)
    return [write_enhanced(study.study, [series]) for series in study.series.values()]


def _full() -> list[DicomFile]:
    """A study with repeats, late enhancement, localisers, inline results, and flow in the aorta."""
    study = small_study(FULL, n_frames=8)
    order = [
        *(study.series[key] for key in ("2ch", "3ch", "4ch")),
        *(s for key, s in study.series.items() if key.startswith("sax")),
    ]
    wanted = [Quirk.REPEATED, Quirk.LATE_ENHANCEMENT, Quirk.LOCALISER, Quirk.INLINE_VF]
    spoilt, series = with_quirks(study.study, order, wanted)
    return [file for one in (*series, *_flow(study)) for file in write_cine(spoilt, one)]


def _flow(study: SimpleStudy) -> list[CineSeries]:
    """Magnitude and phase of flow through three planes."""
    base = study.series["sax1"]
    made = []
    for index, vessel in enumerate(("AO", "PA", "MV")):
        for kind, image_type in (("", ("ORIGINAL", "PRIMARY", "M", "ND")), ("_P", ("DERIVED", "PRIMARY", "P", "ND"))):
            made.append(
                replace(
                    base,
                    plane=replace(base.plane, position_mm=base.plane.position_mm + (30 + 12 * index) * base.plane.normal),
                    description=f"flow_tp_{vessel}{kind}",
                    number=60 + 2 * index + bool(kind),
                    key=f"flow {vessel}{kind}",
                    image_type=image_type,
                )
            )
    return made
