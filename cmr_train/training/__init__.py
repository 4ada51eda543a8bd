"""The loop and what goes into it: tasks, losses, state, transfer, validation, and what a run writes."""
