"""Scores, distances, volumes and statistics on arrays. Neither networks nor torch belong here."""
