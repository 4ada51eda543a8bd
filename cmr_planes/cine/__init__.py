"""From frames to cine slices, views, phases and chosen frames. No bytes are read here, and nothing is stored."""
