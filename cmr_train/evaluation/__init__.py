"""Scores, distances, volumes and statistics, on arrays. No network is run here."""
