"""Synthetic cardiac MR with known truth, written as DICOM."""
