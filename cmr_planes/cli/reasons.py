"""The table of reasons that several commands print."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich.table import Table

from cmr_planes.views import CardiacView

if TYPE_CHECKING:
    from cmr_planes.shards.summary import Reason
from cmr_planes.terminal.tables import Kind, table


def reasons_table(title: str, reasons: "Sequence[Reason]") -> Table:
    """Build the table of how often something was left out or noted, and why."""
    rows = [(each.code, CardiacView(each.view).title if each.view else "whole subject", each.count) for each in reasons]
    return table(title, {"reason": Kind.TEXT, "view": Kind.TEXT, "times": Kind.NUMBER}, rows)
