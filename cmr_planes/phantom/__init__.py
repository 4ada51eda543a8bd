"""Synthetic cardiac MR with known truth, written as DICOM. No real data are read here."""
