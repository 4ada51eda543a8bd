"""The table and the sentence of what was left out, which several commands print."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from cmr_planes.system.text import counted
from cmr_planes.terminal.tables import Kind, Table, table
from cmr_planes.views import CardiacView

if TYPE_CHECKING:
    from cmr_planes.shards.summary import CatalogueSummary, ReasonCount


VIEWS_LACKING = {"no_sax": CardiacView.SAX, "no_2ch": CardiacView.TWO_CHAMBER, "no_4ch": CardiacView.FOUR_CHAMBER}
"""Codes of views that a whole set may lack, as ACDC has no long axis."""


def reasons_table(title: str, reasons: "Sequence[ReasonCount]") -> Table:
    """Build the table of how often something was left out or noted, and why."""
    rows = [(reason.code, CardiacView(reason.view).title if reason.view else "whole subject", reason.count) for reason in reasons]
    return table(title, {"reason": Kind.TEXT, "view": Kind.TEXT, "times": Kind.NUMBER}, rows)


def closing_sentence(summary: "CatalogueSummary", n_shards: int) -> str:
    """Say in one sentence what a catalogue holds and what was left out.

    Returns
    -------
        For example ``"6 subjects with 94 images in 1 shard; 1 view left out (low_agreement)"``.
    """
    lacking = [code for code, count in summary.view_codes if code in VIEWS_LACKING and count == summary.n_used]
    view_codes = [(code, count) for code, count in summary.view_codes if code not in lacking]
    n_views, n_labels = (sum(count for _, count in codes) for codes in (view_codes, summary.label_codes))
    images = f"{counted(summary.n_used, 'subject')} with {counted(summary.n_images, 'image')} in {counted(n_shards, 'shard')}"
    parts = [images if summary.n_images else "no images"]
    if summary.n_used < summary.n_subjects:
        n_subjects = summary.n_subjects - summary.n_used
        parts.append(f"{counted(n_subjects, 'subject')} left out{_codes(summary.subject_codes)}")
    if lacking:
        parts.append(f"no subject has a {' or '.join(VIEWS_LACKING[code].title for code in lacking)} view ({', '.join(lacking)})")
    if n_views:
        parts.append(f"{counted(n_views, 'view')} left out{_codes(view_codes)}")
    if n_labels:
        parts.append(f"labels of {counted(n_labels, 'subject')} left out{_codes(summary.label_codes)}")
    return "; ".join(parts if len(parts) > 1 else [*parts, "nothing left out"])


def _codes(codes: Sequence[tuple[str, int]]) -> str:
    """List codes in brackets, with their numbers where there are several."""
    if not codes:
        return ""
    return f" ({codes[0][0] if len(codes) == 1 else ', '.join(f'{code} {count:,}' for code, count in codes)})"
