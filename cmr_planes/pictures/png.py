"""Figures as PNG."""

import io

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure


def encode_png(figure: Figure) -> bytes:
    """Return a figure as PNG, in its own resolution and background; equal figures give equal bytes."""
    FigureCanvasAgg(figure)
    file = io.BytesIO()
    figure.savefig(file, format="png", facecolor=figure.get_facecolor(), metadata={"Software": None})
    return file.getvalue()
