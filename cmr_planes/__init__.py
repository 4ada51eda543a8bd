"""Anatomical positions from the view planes of cardiac MR: DICOM in, label maps in HDF5 out."""
