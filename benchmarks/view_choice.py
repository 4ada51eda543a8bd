"""Count how often the right views are chosen, on studies of random hearts made in memory.

    python -m benchmarks.view_choice [--hearts 100] [--kind TEXT] [--markdown]

Each cell is right / wrong / refused. A choice is right if SAX, 2Ch and 4Ch are all there, of planes that were made as such, and no
short-axis level is lost; refused if a view is missing and none is wrong. "named", "blank" and "misleading" are the series
descriptions, from headers alone; "seen" can also ask what a short-axis image shows at a point.
"""

import argparse

from rich.console import Console
from rich.table import Table

from cmr_planes.cine.view_selection import select_views
from tests.helpers.study_kinds import KINDS, Kind
from tests.helpers.view_tally import tally

COLUMNS = ("named", "blank", "misleading", "named, seen", "blank, seen")


def cell(kind: Kind, column: str, n_hearts: int) -> str:
    """Return one cell of the table, empty where a column does not apply."""
    names, _, seen = column.partition(", ")
    if (names == "misleading" and not kind.misleading) or (seen and not kind.seen):
        return ""
    counts = tally(kind, names, n_hearts, select_views, seen=bool(seen))
    return f"{counts['right']} / {counts['wrong']} / {counts['refused']}"


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--hearts", type=int, default=100, help="hearts per cell")
    parser.add_argument("--kind", default="", help="only kinds whose title contains this")
    parser.add_argument("--markdown", action="store_true", help="print the table for a page")
    arguments = parser.parse_args()
    kinds = [kind for kind in KINDS if arguments.kind in kind.title]
    rows = [(kind.title, *(cell(kind, column, arguments.hearts) for column in COLUMNS)) for kind in kinds]
    if arguments.markdown:
        for row in (("kind", *COLUMNS), ("---",) * (1 + len(COLUMNS)), *rows):
            print("| " + " | ".join(row) + " |")
        return
    table = Table("kind", *COLUMNS)
    for row in rows:
        table.add_row(*row)
    Console(width=160).print(table)


if __name__ == "__main__":
    main()
