"""The ``cmr-train`` command."""


def main() -> None:
    """Run the command line."""
