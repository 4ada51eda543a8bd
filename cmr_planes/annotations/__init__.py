"""Manual labels: readers of their formats, and their placement on given planes. Neither HDF5 nor catalogues belong here."""
