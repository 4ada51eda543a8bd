"""The ``cmr-planes`` command."""


def main() -> None:
    """Run the command line."""
