"""Hypothesis profiles: ``dev`` is quick, ``ci`` tries more examples and always the same ones (environment variable CI)."""

import os

from hypothesis import settings

settings.register_profile("dev", max_examples=50, deadline=None, print_blob=True)
settings.register_profile("ci", max_examples=100, derandomize=True, deadline=None, print_blob=True)
settings.load_profile("ci" if os.environ.get("CI", "").lower() in {"1", "true"} else "dev")
