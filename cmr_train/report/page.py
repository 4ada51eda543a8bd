"""The report of a study as one page, and the files that are written."""

from pathlib import Path
from typing import Any

from cmr_planes.pages.rendering import part, render
from cmr_planes.system.names import PathLike
from cmr_planes.system.whole_file import write_whole
from cmr_train.report import tables, wording
from cmr_train.report.analysis import entries, paper_rows
from cmr_train.report.results import read_study
from cmr_train.report.sections import Picture, make_sections

HTML_NAME, MARKDOWN_NAME, TABLE_NAME, FIGURES = "report.html", "report.md", "table.csv", "figures"
"""Files and folder of the report, in the study's folder."""


def write_report(folder: PathLike) -> Path:
    """Write the report of a study into its folder; the same folder gives the same bytes.

    Parameters
    ----------
    folder
        The study's folder, as ``cmr-train study`` makes it; runs may be missing or have failed.

    Returns
    -------
        The path of ``report.html``. Beside it lie ``report.md`` with its ``figures``, and ``table.csv``.

    Raises
    ------
    CheckpointError
        The folder is not a study's.
    ShardError
        A file cannot be written.
    """
    folder = Path(folder)
    results = read_study(folder)
    found, paper = entries(results), paper_rows(results.view)
    sections = (*make_sections(results, found, paper),)
    content = {
        "title": results.name,
        "note": results.note,
        "compared": wording.what_was_compared(results),
        "meanings": wording.meanings(results),
        "is_too_small": wording.is_too_small(results),
        "findings": {variant: wording.findings(results, found, variant) for variant in results.variants},
        "ended": sum(cell.run.table is not None for cell in results.cells),
        "planned": len(results.cells),
        "sections": sections,
    }
    pictures = [part for section in sections for part in section.parts if isinstance(part, Picture)]
    (folder / FIGURES).mkdir(exist_ok=True)
    for path in (folder / FIGURES).glob("*.png"):
        if path.stem not in {picture.name for picture in pictures}:
            path.unlink()
    for picture in pictures:
        write_whole(folder / FIGURES / f"{picture.name}.png", picture.png)
    write_whole(folder / TABLE_NAME, tables.entries_csv(results, found, paper).encode())
    write_whole(folder / MARKDOWN_NAME, _render("report.md.j2", content).encode())
    write_whole(folder / HTML_NAME, _render("report.html.j2", content).encode())
    return folder / HTML_NAME


def _render(template: str, content: dict[str, Any]) -> str:
    return render(
        "cmr_train.report",
        template,
        content | {"js": part("cmr_train.report", "report.js")},
        tests={"picture": lambda each: isinstance(each, Picture)},
        filters={"one_line": _one_line},
    )


def _one_line(text: str) -> str:
    """Make a text safe for a cell of a Markdown table."""
    return " ".join(text.split()).replace("|", "\\|").replace("<", "&lt;")
