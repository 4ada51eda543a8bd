"""The machine: whole files, locks, checksums, pools, JSON and CSV text, counts in words. No hearts, subjects or formats here."""
