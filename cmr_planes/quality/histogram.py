"""A distribution as bars, in SVG that stretches to any width. The page's script draws the same of the rows that it shows."""

from cmr_planes.quality.cohort import VIEWS
from cmr_planes.quality.distributions import Distribution
from cmr_planes.system.text import counted
from cmr_planes.views import CardiacView

HEIGHT, BAR, GAP, LEAST = 100, 10, 1, 2
"""In the units of the drawing: its height, the width of a bar and of the gap after it, and the height of a bar of one row."""


def draw_histogram(one: Distribution) -> dict[str, object]:
    """Draw a distribution.

    Returns
    -------
        ``svg``: the content of the drawing; ``width``: in its units; ``ticks``: what stands below, at the left and at the
        right; ``most``: rows of the highest bar; ``words``: the drawing in words.
    """
    totals = one.counts.sum(axis=0)
    most = int(totals.max())
    bars = [bar for place, total in enumerate(totals.tolist()) if total for bar in _stack(one, place, total, most)]
    ends = _number(one, one.start), _number(one, one.start + len(totals) * one.step - 1)
    n_rows, n_views = int(totals.sum()), int((one.counts.sum(axis=1) > 0).sum())
    words = (
        f"Histogram of {one.measure.title.lower()}: {counted(n_rows, 'row')} of {counted(n_views, 'view')} in "
        f"{counted(len(totals), 'bar')} from {ends[0]} to {ends[1]}{_unit(one)}; the highest has {counted(most, 'row')}, at "
        f"{_span(one, int(totals.argmax()))}. The table beside it has least, median and largest values."
    )
    return {
        "svg": "".join(bars),
        "width": len(totals) * BAR,
        "ticks": ends if len(totals) > 1 else ends[:1],
        "most": most,
        "words": words,
    }


def _stack(one: Distribution, place: int, total: int, most: int) -> list[str]:
    """Draw one bar: its views from the bottom up, and what a pointer reads of it."""
    height = max(LEAST, HEIGHT * total / most)
    bottom, bars = float(HEIGHT), []
    counts = one.counts[:, place].tolist()
    for view, count in enumerate(counts):
        if count:
            part = height * count / total
            bottom -= part
            bars.append(f'<rect class="v{view}" x="{place * BAR}" y="{bottom:.2f}" width="{BAR - GAP}" height="{part:.2f}"/>')
    words = ", ".join(f"{CardiacView(VIEWS[view]).title} {count:,}" for view, count in enumerate(counts) if count and view)
    title = f"<title>{_span(one, place)}: {words}</title>"
    bars.append(f'<rect class="over" x="{place * BAR}" y="0" width="{BAR}" height="{HEIGHT}">{title}</rect>')
    return bars


def _span(one: Distribution, place: int) -> str:
    """Say which values a bar counts."""
    least = one.start + place * one.step
    return _number(one, least) if one.step == 1 else f"{_number(one, least)} to {_number(one, least + one.step - 1)}"


def _number(one: Distribution, value: int) -> str:
    digits = one.measure.digits
    return f"{value / 10**digits:.{digits}f}".replace("-", "−")


def _unit(one: Distribution) -> str:
    return "" if not one.measure.unit else one.measure.unit if one.measure.unit == "°" else f" {one.measure.unit}"
