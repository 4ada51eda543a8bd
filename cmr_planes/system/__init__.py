"""The machine: whole files, locks, checksums, process pools, JSON and CSV text. Hearts, subjects and formats do not belong here."""
