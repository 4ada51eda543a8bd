"""A catalogue of one view made from DICOM for a prediction: the one place where the trainer uses ``cmr_planes.extraction.job``."""

from collections.abc import Callable, Sequence
from pathlib import Path

from cmr_planes.extraction.job import finish, prepare
from cmr_planes.extraction.options import ExtractOptions
from cmr_planes.extraction.plan import make_plan
from cmr_planes.extraction.run import run_batches
from cmr_planes.views import CardiacView, PhaseChoice


def extract_view(
    sources: Sequence[Path], view: CardiacView, out: Path, *, phases: PhaseChoice, on_subjects: Callable[[int], None]
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
    on_subjects
        Called with the number of subjects that were done since the last call.

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
    n_shown = 0

    def on_progress(n_done: int) -> None:
        nonlocal n_shown
        on_subjects(n_done - n_shown)
        n_shown = n_done

    plan = make_plan(sources, out, ExtractOptions(views=(view,), phases=phases, keep_all=True))
    prepare(plan)
    run_batches(plan, n_workers=1, on_progress=on_progress)
    finish(plan)
    return out
