"""Cross-check of UK Biobank's manifest with the headers.

The manifest in a zip (``manifest.cvs`` or ``manifest.csv``, sometimes with a prefix) is a table written without quotes: dates such
as ``Aug 30, 2015 9:12:33 AM`` bring a comma of their own, columns differ between batches, and one is called ``series discription``.
It is never needed: headers decide. Its patient ids and dates are never read beyond this module, and no sentence holds any.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from cmr_planes.dicom.archive import Archive
from cmr_planes.dicom.frames import FrameHeader
from cmr_planes.dicom.listing import is_member_candidate
from cmr_planes.errors import UnreadableFileError
from cmr_planes.system.text import counted, either, part

MANIFEST_LIMIT = 8 << 20
"""Bytes that are read of a manifest; one of a thousand files has about 200 kB."""

_NAME = re.compile(r"manifest\.c[sv][vs]$", re.IGNORECASE)
_DATE = re.compile(r"\b([A-Z][a-z]{2,8} \d{1,2}), (\d{4})\b")


@dataclass(frozen=True, slots=True)
class ManifestRow:
    """What is used of a row."""

    filename: str
    series: str
    """The series description; empty if the manifest has no such column."""


def is_manifest(name: str) -> bool:
    """Tell whether a zip member is a manifest, by its name."""
    return _NAME.search(name) is not None


def read_manifest(archive: Archive, name: str) -> list[ManifestRow]:
    """Read a manifest from a zip; empty if it cannot be read."""
    try:
        return parse_manifest(archive.member(name).head(MANIFEST_LIMIT)[:MANIFEST_LIMIT])
    except UnreadableFileError:
        return []


def parse_manifest(raw: bytes) -> list[ManifestRow]:
    r"""Parse a manifest.

    Parameters
    ----------
    raw
        The table: a header line with a column ``filename``, then one line a file, without quotes.

    Returns
    -------
        The rows, empty if there is no such header. A row with more commas than columns is read from both ends.

    Examples
    --------
    >>> parse_manifest(b"filename,date,series discription\n1.dcm,Aug 30, 2015 9:12:33 AM,CINE_segmented_SAX_b1\n")
    [ManifestRow(filename='1.dcm', series='CINE_segmented_SAX_b1')]
    """
    lines = raw.decode("utf-8-sig", "replace").splitlines()
    columns = [column.strip(' "').lower() for column in lines[0].split(",")] if lines else []
    if "filename" not in columns:
        return []
    name_index = columns.index("filename")
    series_index = next((index for index, column in enumerate(columns) if _is_series_description(column)), None)
    rows = []
    for line in lines[1:]:
        fields = [value.strip(' "') for value in _DATE.sub(r"\1 \2", line).split(",")]
        if len(fields) < len(columns):
            continue
        series = "" if series_index is None else fields[series_index - len(columns)]
        rows.append(ManifestRow(fields[name_index], series))
    return rows


def cross_check(rows: Sequence[ManifestRow], members: Iterable[str], frames: Sequence[FrameHeader]) -> list[str]:
    """Compare a manifest with what is in its zip.

    Parameters
    ----------
    rows
        The manifest.
    members
        Names of the zip's members.
    frames
        Headers that were read from the zip.

    Returns
    -------
        One sentence for each kind of disagreement: numbers of files and series, no names of files or persons.
    """
    if not rows:
        return []
    listed = {row.filename.rsplit("/", 1)[-1] for row in rows}
    present = {name.rsplit("/", 1)[-1] for name in members if is_member_candidate(name)}
    sentences = []
    if missing := len(listed - present):
        sentences.append(
            f"the manifest lists {counted(len(listed), 'file')}, {missing} of which {either(missing, 'is', 'are')} not "
            "in the zip; headers were followed"
        )
    if extra := len(present - listed):
        sentences.append(
            f"{part(extra, len(present), 'file')} in the zip {either(extra, 'is', 'are')} not in the manifest; headers "
            "were followed"
        )
    series_of = {row.filename.rsplit("/", 1)[-1]: row.series for row in rows if row.series}
    differing = 0
    for frame in frames:
        series = series_of.get(frame.file.member.rsplit("/", 1)[-1], "")
        differing += frame.frame_index == 0 and bool(series and frame.series_description) and series != frame.series_description
    if differing:
        sentences.append(
            f"the manifest names another series than the header for {part(differing, len(listed), 'file')}; headers were followed"
        )
    return sentences


def _is_series_description(column: str) -> bool:
    return column.startswith("series") and ("discription" in column or "description" in column)
