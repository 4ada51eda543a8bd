"""A run on disk: its folder, its weights, and how both are read again."""
