"""Task 1: learn where the nine positions are, from images that nobody has annotated."""

from pathlib import Path

from cmr_planes.shards.catalogue import Catalogue
from cmr_train.choices import Head
from cmr_train.compute.devices import prepare
from cmr_train.compute.distributed import check_batch, joined, world_from_environment
from cmr_train.config import RunConfig
from cmr_train.models.initial_weights import initialise
from cmr_train.runs.run import make_network
from cmr_train.training.session import Reporter, Session, carry_out, open_folder
from cmr_train.training.state import make_state
from cmr_train.training.tasks import choose_images, make_tasks


def pretext(config: RunConfig, out: Path, *, resume: bool = False, overwrite: bool = False, reporter: Reporter) -> bool:
    """Train a network on the positions of one view.

    Parameters
    ----------
    config
        What to do; of a run that is resumed, :func:`cmr_train.training.session.config_to_resume`.
    out
        The run's folder.
    resume
        Go on with the run that is there; begin if there is none.
    overwrite
        Remove the run that is there.
    reporter
        Who is told how it goes.

    Returns
    -------
        Whether the run is finished; if not, it was stopped by a signal and may be resumed.

    Raises
    ------
    CmrPlanesError
        It cannot be done; the sentence says why.
    """
    world = world_from_environment()
    check_batch(world, config.training.batch_size)
    compute = prepare(config.runtime, world.local_rank)
    with joined(world, compute.device), Catalogue(config.data.data) as catalogue:
        session = Session(config=config, out=out, catalogue=catalogue, compute=compute, world=world, reporter=reporter)
        images = choose_images(session, Head.POSITIONS)
        tasks, validation = make_tasks(session, {Head.POSITIONS: images})
        saved = open_folder(session, images.split, resume=resume, overwrite=overwrite)
        model = make_network(config)
        initialise(model, config.training.seed)
        return carry_out(session, make_state(model, config, compute), tasks, validation, saved)
