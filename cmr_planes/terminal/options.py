"""Options that commands of both programs share."""

from pathlib import Path

import click

from cmr_planes.terminal.console import QUIET


def _quiet(context: click.Context, parameter: click.Parameter, value: bool) -> None:  # noqa: ARG001  # click's signature
    """Keep whether to be quiet where the console looks for it."""
    context.meta[QUIET] = value


quiet_option = click.option(
    "-q", "--quiet", is_flag=True, expose_value=False, callback=_quiet, help="Print results and errors only, no progress."
)
"""``--quiet``, for commands that show progress."""


log_option = click.option(
    "--log",
    metavar="FILE",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Append to this file what became of each subject: a JSON object a line, with keys only with -v.",
)
"""``--log``, for commands that go through subjects."""
