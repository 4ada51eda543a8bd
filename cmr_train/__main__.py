"""``python -m cmr_train``, as ``torchrun`` calls it."""

from cmr_train.cli import main

if __name__ == "__main__":
    main(prog_name="cmr-train")
