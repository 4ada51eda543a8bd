"""The catalogue and its shards: the public HDF5 format (version 1)."""
