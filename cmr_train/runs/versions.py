"""The versions of what a result depends on."""

import platform
from importlib.metadata import PackageNotFoundError, version

PACKAGES = ("cmr-planes", "torch", "numpy", "scipy", "h5py")
"""Packages whose versions a run records."""


def versions() -> dict[str, str]:
    """Return the versions of what a result depends on."""
    found = {"python": platform.python_version()}
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "not installed"
    return found
