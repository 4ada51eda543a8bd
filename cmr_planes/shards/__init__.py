"""The public HDF5 format (version 1): records, writing, sealing, reading, verifying. How records are made does not belong here."""
