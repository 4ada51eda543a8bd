"""A run on disk: its folder, its checkpoints, and the loaded run. Training does not belong here."""
