"""One subject to its record, many subjects to shards: readers, options, plan, workers, run log. Nothing is printed here."""
