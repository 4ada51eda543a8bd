"""From a catalogue to augmented batches."""
