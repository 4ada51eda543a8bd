"""How a subject's files lie on disk: the layouts in which real archives come."""

import io
import zipfile
from collections.abc import Iterable, Sequence
from enum import StrEnum
from pathlib import Path

from cmr_planes.phantom.dicom_model import CineSeries, DicomFile, DicomStudy, TransferSyntax, Vendor
from cmr_planes.phantom.dicom_writer import write_cine, write_files
from cmr_planes.phantom.enhanced_writer import write_enhanced

FIRST_EID = 9_000_001
"""UK Biobank's own numbers end below 6,500,000: no participant has these."""

_ZIP_TIME = (1980, 1, 1, 0, 0, 0)


class ArchiveStyle(StrEnum):
    """A way to lay files out."""

    FOLDERS = "folders"
    """A folder per subject, a folder a series in it."""
    UKB = "ukb"
    """UK Biobank: two zips a subject, each with a manifest."""
    DSB2016 = "dsb2016"
    """Kaggle Data Science Bowl 2016: ``train/<id>/study/sax_5/IM-00001-0001.dcm``."""
    FLAT = "flat"
    """All files of all subjects in one folder, without extension."""
    ENHANCED = "enhanced"
    """A folder per subject, one multi-frame instance a series."""


def subject_key(layout: ArchiveStyle, index: int) -> str:
    """Return the key under which ``cmr-planes extract`` finds a subject, from 0; empty where it depends on the StudyInstanceUID.

    Examples
    --------
    >>> subject_key(ArchiveStyle.FOLDERS, 0), subject_key(ArchiveStyle.UKB, 1), subject_key(ArchiveStyle.DSB2016, 2)
    ('SYN-0001', '9000002_2', '3')
    """
    if layout is ArchiveStyle.UKB:
        return f"{FIRST_EID + index}_2"
    if layout is ArchiveStyle.DSB2016:
        return str(index + 1)
    return "" if layout is ArchiveStyle.FLAT else f"SYN-{index + 1:04d}"


def write_subject(
    folder: Path,
    layout: ArchiveStyle,
    index: int,
    study: DicomStudy,
    series: Sequence[CineSeries],
    *,
    syntax: TransferSyntax = TransferSyntax.EXPLICIT_LITTLE,
    suffix: str = ".dcm",
) -> None:
    """Write one subject's files.

    Parameters
    ----------
    folder
        The cohort's folder.
    layout
        How to lay them out.
    index
        The subject's number, from 0.
    study, series
        What to write.
    syntax, suffix
        How files are encoded and named.
    """
    key = subject_key(layout, index)
    if layout is ArchiveStyle.UKB:
        _write_biobank(folder, FIRST_EID + index, study, series, syntax, suffix)
        return
    for one in series:
        if layout is ArchiveStyle.ENHANCED:
            write_files(folder / key, [write_enhanced(study, [one], transfer_syntax=syntax)], suffix=suffix)
            continue
        files = write_cine(study, one, transfer_syntax=syntax)
        if layout is ArchiveStyle.FLAT:
            write_files(folder, files, suffix="" if suffix == ".dcm" else suffix)
        elif layout is ArchiveStyle.DSB2016:
            _write_kaggle(folder / "train" / key / "study", one, files, suffix)
        else:
            name = f"{one.number:03d}_{one.description}".rstrip("_")
            write_files(folder / key / name, files, suffix=suffix)


def _write_kaggle(folder: Path, series: CineSeries, files: Iterable[DicomFile], suffix: str) -> None:
    """Write a series as Kaggle's folders have it; there is no 3Ch."""
    name = series.description.lower()
    kind = next((view for view in ("2ch", "3ch", "4ch") if view in name), "sax")
    if kind == "3ch":
        return
    target = folder / f"{kind}_{series.number}"
    target.mkdir(parents=True, exist_ok=True)
    for file in files:
        (target / f"IM-{series.number:05d}-{file.instance_number:04d}{suffix}").write_bytes(file.data)


def _write_biobank(
    folder: Path, eid: int, study: DicomStudy, series: Sequence[CineSeries], syntax: TransferSyntax, suffix: str
) -> None:
    """Write the long-axis and the short-axis zip of one visit."""
    folder.mkdir(parents=True, exist_ok=True)
    long_axis = [one for one in series if "SAX" not in one.description]
    short_axis = [one for one in series if "SAX" in one.description]
    for field, part in ((20208, long_axis), (20209, short_axis)):
        files = [file for one in part for file in write_cine(study, one, transfer_syntax=syntax)]
        with zipfile.ZipFile(folder / f"{eid}_{field}_2_0.zip", "w") as archive:
            for file in files:
                _add(archive, f"{file.sop_instance_uid}{suffix}", file.data)
            _add(archive, "manifest.cvs" if eid % 2 else "manifest.csv", _manifest(eid, files, suffix).encode())


def _add(archive: zipfile.ZipFile, name: str, data: bytes) -> None:
    """Add a member whose bytes depend on its name and content only."""
    info = zipfile.ZipInfo(name, _ZIP_TIME)
    info.compress_type = zipfile.ZIP_DEFLATED
    info.external_attr = 0o600 << 16
    archive.writestr(info, data, compresslevel=1)


def _manifest(eid: int, files: Iterable[DicomFile], suffix: str) -> str:
    """Return a manifest with the real ones' defects: a comma in the date, and a misspelt column."""
    text = io.StringIO()
    text.write("filename,patientid,studyid,date,series discription\n")
    for file in files:
        name = f"{file.sop_instance_uid}{suffix}"
        text.write(f"{name},{eid},0,Jan 2, 2020 9:12:33 AM,{file.series_description}\n")
    return text.getvalue()


VENDORS = {ArchiveStyle.UKB: (Vendor.SIEMENS,), ArchiveStyle.DSB2016: (Vendor.SIEMENS,)}
"""Scanners of the archives that have one kind only; the others have all."""
