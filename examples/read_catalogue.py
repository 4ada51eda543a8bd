"""Read a catalogue with h5py alone: every image, its mask, and where it lies in the patient.

python examples/read_catalogue.py out.h5
"""

import sys

import h5py
import hdf5plugin  # noqa: F401  # registers the default filter; not needed after `cmr-planes extract --codec gzip`


def main(path: str) -> None:
    """Print a line for every view of every subject."""
    with h5py.File(path, locking=False) as catalogue:
        for key, subject in catalogue["data"].items():
            for view, group in subject.items():
                n_phases, n_slices, rows, columns = group["image"].shape
                affine = group.attrs["affine_lps_mm"][0]
                mask = group["positions"][0, 0] if "positions" in group else None
                labelled = 0 if mask is None else (mask > 0).mean()
                print(
                    f"{key} {view}: {n_phases} phases, {n_slices} slices of {rows} × {columns}; first pixel at "
                    f"{affine[:3, 3].round(1).tolist()} mm (LPS); {labelled:.1%} of the first image is a position"
                )


if __name__ == "__main__":
    main(sys.argv[1])
