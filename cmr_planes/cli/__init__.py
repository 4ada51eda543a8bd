"""The ``cmr-planes`` command: one command a file, loaded when it is called.

Only click is imported here, so that ``cmr-planes --help`` answers at once.
"""

import click

from cmr_planes.terminal.lazy import HELP_NAMES, LazyCommand, LazyGroup

COMMANDS = {
    "extract": LazyCommand("cmr_planes.cli.extract", "Make position masks from DICOM: the main job."),
    "pull": LazyCommand("cmr_planes.cli.pull", "Fetch studies from a PACS: DICOMweb, or query and C-GET."),
    "annotate": LazyCommand("cmr_planes.cli.annotate", "Add manual annotations: cvi42, NIfTI, DICOM SEG, Sunnybrook."),
    "inspect": LazyCommand("cmr_planes.cli.inspect", "Count what a catalogue holds, and what was left out and why."),
    "show": LazyCommand("cmr_planes.cli.show", "Draw images with their lines and boxes as contact sheets."),
    "report": LazyCommand("cmr_planes.cli.report", "Write a page about the quality of a cohort, and its table."),
    "export": LazyCommand("cmr_planes.cli.export", "Write images and label maps as NIfTI for other programs."),
    "push": LazyCommand("cmr_planes.cli.push", "Send segmentations and reports to a PACS."),
    "verify": LazyCommand("cmr_planes.cli.verify", "Find shards that are missing or damaged."),
    "phantom": LazyCommand("cmr_planes.cli.phantom", "Write a synthetic cohort with known truth, as DICOM."),
}
"""The commands in the order in which they are listed."""


class PlanesGroup(LazyGroup):
    """The commands of ``cmr-planes``."""

    lazy = COMMANDS


@click.command(cls=PlanesGroup, context_settings={"help_option_names": [*HELP_NAMES], "max_content_width": 100})
@click.version_option(None, "-V", "--version", package_name="cmr-planes", message="%(prog)s %(version)s")
def main() -> None:
    """Anatomical position masks from the view planes of cardiac MR.

    \b
    Example:
      cmr-planes extract studies/ out.h5
      cmr-planes inspect out.h5
      cmr-planes show out.h5 -o pictures
    """  # noqa: D301  # click keeps the lines of a paragraph that begins with \b
