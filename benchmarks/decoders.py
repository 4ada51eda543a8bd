"""Whether multitask keeps both tasks: a table of a finished study whose variants differ in the decoder or the loss.

    cmr-train study examples/studies/decoders.toml
    python benchmarks/decoders.py studies/decoders

One row for each variant and number of annotated participants, one value per seed. The columns: Dice of the structures on the
validation set at the end of ``all`` and of ``multitask``, and Dice of the positions at the end of ``multitask`` and of the pretext.
A row holds if, in every seed, ``multitask`` is at most 0.02 below ``all`` and keeps at least half of the pretext's Dice of the
positions.
"""

import argparse
import math
from collections.abc import Iterator, Sequence
from pathlib import Path

from rich.console import Console

from cmr_train.choices import TransferMode
from cmr_train.evaluation.scores import MEAN
from cmr_train.report.results import Curve, StudyResults, read_study

TOLERANCE, KEPT_SHARE = 0.02, 0.5
POSITIONS = f"positions_{MEAN}"
HEAD = ("variant", "annotated", "all", "multitask", "positions in multitask", "positions of the pretext", "holds")


def main() -> None:
    """Print the table as Markdown."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("study", type=Path)
    print_table(read_study(parser.parse_args().study))


def print_table(results: StudyResults) -> None:
    """Print one row for each variant and number of participants."""
    console = Console(width=200, highlight=False)
    for row in (HEAD, ["---"] * len(HEAD), *table_rows(results)):
        console.print(f"| {' | '.join(row)} |", markup=False)


def table_rows(results: StudyResults) -> Iterator[tuple[str, ...]]:
    """Return the cells of each row."""
    pretexts = {run.name: last(run.curve, MEAN) for run in results.pretexts}
    for variant in results.variants:
        for subjects in results.subjects:
            whole = results.select(variant, subjects, TransferMode.ALL)
            both = results.select(variant, subjects, TransferMode.MULTITASK)
            alone, dice = ([last(cell.run.curve, MEAN) for cell in cells] for cells in (whole, both))
            positions = [last(cell.run.curve, POSITIONS) for cell in both]
            pretext = [pretexts.get(cell.pretext or "", math.nan) for cell in both]
            holds = all(
                mine >= other - TOLERANCE and kept >= KEPT_SHARE * before
                for mine, other, kept, before in zip(dice, alone, positions, pretext, strict=True)
            )
            values = (alone, dice, positions, pretext[:1])
            yield (variant, str(subjects), *map(listed, values), "yes" if holds else "no")


def last(curve: Curve | None, name: str) -> float:
    """Return the last value of a curve; NaN where there is none."""
    return math.nan if curve is None or name not in curve.dice else float(curve.dice[name][-1])


def listed(values: Sequence[float]) -> str:
    """Return values with three decimals."""
    return ", ".join("–" if math.isnan(value) else f"{value:.3f}" for value in values)


if __name__ == "__main__":
    main()
