"""Mutated inputs for everything that is read; see docs/fuzzing.md."""
