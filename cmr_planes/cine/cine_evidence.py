"""Which acquisitions are cines of the heart: the evidence of headers and names."""

import posixpath
from collections import Counter
from dataclasses import replace

from cmr_planes.cine.acquisitions import CineSlice, CineStudy
from cmr_planes.cine.series_names import NameTable
from cmr_planes.dicom.frames import FrameHeader
from cmr_planes.fates import Fate, PlaneFate

_EXCLUDED_IMAGE_TYPES = frozenset(
    {"P", "PHASE", "PHASE MAP", "PHASE_MAP", "VELOCITY", "PCA", "LOCALIZER", "T1 MAP", "T2 MAP", "T1_MAP", "T2_MAP"}
)


def keep_cines(study: CineStudy, names: NameTable) -> CineStudy:
    """Keep the acquisitions that are cines.

    Parameters
    ----------
    study
        All acquisitions of a study.
    names
        What series names mean.

    Returns
    -------
        The same study without the acquisitions that are no cine; they are counted in ``excluded`` and have a row each in
        ``passed_over``. Those that are left carry the view that their name hints at.
    """
    kept: list[CineSlice] = []
    excluded = Counter(study.excluded)
    passed_over: list[PlaneFate] = []
    for cine in study.slices:
        fate, reason = _exclusion(cine.header, names)
        if fate is None:
            kept.append(replace(cine, name_view=names.view(*_names(cine.header))))
            continue
        excluded[reason] += len(cine.frames)
        number = cine.header.series_number
        passed_over.append(PlaneFate(series_number=number, view="", n_frames=len(cine.frames), fate=fate, sentence=reason))
    return replace(
        study, slices=tuple(kept), excluded=dict(sorted(excluded.items())), passed_over=(*study.passed_over, *passed_over)
    )


def _names(frame: FrameHeader) -> tuple[str, str, str]:
    """Return the names to look at, most telling first: description, protocol, folder."""
    folder = posixpath.basename(posixpath.dirname(frame.file.member)) if frame.file.member else frame.file.path.parent.name
    return frame.series_description, frame.protocol_name, folder


def _exclusion(frame: FrameHeader, names: NameTable) -> tuple[Fate | None, str]:
    """Return why a series cannot be a cine view, or None and an empty text."""
    if frame.modality not in ("", "MR"):
        return Fate.NOT_CINE, "not MR"
    if _EXCLUDED_IMAGE_TYPES.intersection(frame.image_type):
        return Fate.NOT_CINE, "image type"
    word = names.exclusion(frame.series_description or frame.protocol_name)
    return (None, "") if word is None else (Fate.EXCLUDED_NAME, word.reason)
