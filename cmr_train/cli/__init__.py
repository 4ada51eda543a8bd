"""The ``cmr-train`` command: one module per command, loaded when it is called. Only click is imported here."""

import click

from cmr_planes.terminal.lazy import HELP_NAMES, LazyCommand, LazyGroup

COMMANDS = {
    "pretext": LazyCommand("cmr_train.cli.pretext", "Learn the nine positions, from unannotated images."),
    "finetune": LazyCommand("cmr_train.cli.finetune", "Learn to segment, from few annotated subjects."),
    "evaluate": LazyCommand("cmr_train.cli.evaluate", "Score a trained network, and compare it with another."),
    "predict": LazyCommand("cmr_train.cli.predict", "Segment new scans."),
    "export": LazyCommand("cmr_train.cli.export", "Write a network to give away, without the people it was trained on."),
    "study": LazyCommand("cmr_train.cli.study", "Compare all ways of transfer, as the paper does, and write the report."),
    "report": LazyCommand("cmr_train.cli.report", "Write a study's report again."),
}
"""The commands in the order in which they are listed."""


class TrainGroup(LazyGroup):
    """The commands of ``cmr-train``."""

    lazy = COMMANDS


@click.command(cls=TrainGroup, context_settings={"help_option_names": [*HELP_NAMES], "max_content_width": 100})
@click.version_option(None, "-V", "--version", package_name="cmr-planes", message="%(prog)s %(version)s")
def main() -> None:
    """Pretraining on anatomical positions, and transfer to segmentation.

    \b
    Example, in a folder that holds out.h5:
      cmr-train pretext --view sax
      cmr-train finetune --mode multitask --beta 10
    """  # noqa: D301  # click keeps the lines of a paragraph that begins with \b
