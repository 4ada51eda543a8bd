"""One target guided by coverage: ``python -m tests.fuzz.guided TARGET SECONDS SEED FOLDER``, in a process of its own."""

import sys
from pathlib import Path
from random import Random

MAX_BYTES = 1 << 20
"""Longer inputs are not made."""


def main(name: str, seconds: str, seed: str, folder: str) -> None:
    """Fuzz one target; libFuzzer ends the process with a code other than 0 at the first finding, and writes its input to the folder."""
    import atheris  # the extra [fuzz]; the tests do without

    with atheris.instrument_imports(include=["cmr_planes", "cmr_train", "pydicom", "nibabel", "defusedxml", "zipfile"]):
        from tests.fuzz.harness import HangError, check
        from tests.fuzz.targets import TARGETS

    target = TARGETS[name]
    corpus = Path(folder) / "corpus"
    corpus.mkdir(parents=True, exist_ok=True)
    for number, data in enumerate(target.seeds):
        (corpus / f"seed-{number}").write_bytes(data)

    def one(data: bytes) -> None:
        try:
            check(target, data)
        except HangError as error:  # libFuzzer knows exceptions only
            raise TimeoutError(str(error)) from error

    def mutate(data: bytes, max_size: int, seed: int) -> bytes:
        mutated = target.mutate(data, Random(seed))
        return mutated if len(mutated) <= max_size else data

    options = [f"-max_total_time={seconds}", f"-seed={seed}", f"-max_len={MAX_BYTES}", "-timeout=60", "-rss_limit_mb=4096"]
    atheris.Setup([name, *options, "-print_final_stats=1", f"-artifact_prefix={folder}/", str(corpus)], one, custom_mutator=mutate)
    atheris.Fuzz()


if __name__ == "__main__":
    main(*sys.argv[1:])
