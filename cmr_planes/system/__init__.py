"""The machine: whole files, locks, checksums, JSON text, process pools. Nothing here knows a heart, a subject or a format."""
