"""From a catalogue to augmented batches: selection, splits, preprocessing. Networks and losses do not belong here."""
