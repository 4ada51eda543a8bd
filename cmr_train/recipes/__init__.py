"""What can be done: each recipe is read from top to bottom."""
