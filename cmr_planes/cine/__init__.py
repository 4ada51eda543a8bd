"""From frames to acquisitions, views, phases and chosen frames. Neither bytes nor the shard format belong here."""
