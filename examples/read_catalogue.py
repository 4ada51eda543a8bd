"""Read a catalogue: every view of every subject, its mask, and where it lies in the patient.

python examples/read_catalogue.py out.h5
"""

import sys

from cmr_planes import Catalogue


def main(path: str) -> None:
    """Print a line for the first image of every view of every subject."""
    with Catalogue(path) as catalogue:
        for image in catalogue.images():
            if image.phase_index or image.slice_index:
                continue
            mask = image.positions
            share = 0 if mask is None else (mask > 0).mean()
            rows, columns = image.image.shape
            corner_mm = image.plane.position_mm.round(1).tolist()
            print(
                f"{image.subject} {image.view.title}: {rows} × {columns}; first pixel at {corner_mm} mm (LPS); "
                f"{share:.1%} of the image is a position"
            )


if __name__ == "__main__":
    main(sys.argv[1])
