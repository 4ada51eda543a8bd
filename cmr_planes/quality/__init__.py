"""What a reader examines to judge a catalogue: contact sheets, planes in space, and the page of a cohort with its table."""
