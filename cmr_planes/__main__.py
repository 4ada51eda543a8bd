"""``python -m cmr_planes``: the command where no script directory is on the path."""

from cmr_planes.cli import main

if __name__ == "__main__":
    main(prog_name="cmr-planes")
