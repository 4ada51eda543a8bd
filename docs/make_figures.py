"""Draw the README's figures from the demo's catalogue: `make demo`, then `python docs/make_figures.py demo/out.h5 docs/images`."""

import io
import sys
from pathlib import Path

from PIL import Image

from cmr_planes.pictures.contact_sheet import Panel, draw_sheet
from cmr_planes.pictures.png import encode_png
from cmr_planes.shards.catalogue import Catalogue
from cmr_planes.views import CardiacView

PANELS = {CardiacView.SAX: [(0, 2), (0, 5), (1, 5)], CardiacView.FOUR_CHAMBER: [(0, 0), (1, 0)]}
"""Phase and slice of the images of each figure."""


def main(catalogue_path: str, folder: str) -> None:
    """Write one PNG a view."""
    with Catalogue(catalogue_path) as catalogue:
        subject = catalogue.subjects().key[0]
        for view, places in PANELS.items():
            attributes = catalogue.view_attributes(subject, view)
            panels = [
                Panel(
                    image=catalogue.image(subject, view, phase, level),
                    plane=attributes.planes[level],
                    centres_px=attributes.boxes.centres_px[level],
                    boxes=attributes.boxes.boxes[level],
                    title=f"{attributes.phases[phase].upper()}" + (f", slice {level + 1}" if view is CardiacView.SAX else ""),
                )
                for phase, level in places
            ]
            path = Path(folder) / f"{view.value}.png"
            png = encode_png(draw_sheet(view, panels, heading=f"{view.title}: positions from the view planes"))
            Image.open(io.BytesIO(png)).convert("P", palette=Image.Palette.ADAPTIVE, colors=128).save(path, optimize=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
