"""A catalogue of one view made from DICOM for a prediction."""

from collections.abc import Sequence
from pathlib import Path

import cmr_planes
from cmr_planes.system.progress import OnProgress, ignore_progress
from cmr_planes.views import CardiacView, PhaseChoice


def extract_view(
    sources: Sequence[Path], view: CardiacView, out: Path, *, phases: PhaseChoice, on_progress: OnProgress = ignore_progress
) -> Path:
    """Make a catalogue of one view.

    Parameters
    ----------
    sources
        Whatever ``cmr-planes extract`` takes.
    view
        The view that is needed. Its images are kept where no positions can be drawn on them, too.
    out
        The catalogue to make; its shards lie beside it.
    phases
        Which frames are needed.
    on_progress
        Called with the number of subjects done.

    Returns
    -------
        ``out``; subjects that could not be used are among its rejections.

    Raises
    ------
    SourceError
        There is no subject at a source.
    ShardError
        ``out`` cannot be written.
    """
    options = cmr_planes.ExtractOptions(views=(view,), phases=phases, keep_all=True)
    return cmr_planes.extract(sources, out, options, workers=1, on_progress=on_progress).out
