"""Losses, loop, state, transfer, validation, and the metrics of a run. What a particular job does belongs in recipes."""
