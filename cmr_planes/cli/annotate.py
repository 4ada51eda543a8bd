"""``cmr-planes annotate``: manual annotations added to a catalogue."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import click

from cmr_planes.annotations.classes import PRESETS, ClassMap
from cmr_planes.annotations.model import LabelFormat
from cmr_planes.annotations.reading import LabelSource
from cmr_planes.cli.options import pseudonymise_option, read_classes
from cmr_planes.discovery.pseudonyms import Pseudonyms
from cmr_planes.errors import ExitCode
from cmr_planes.extraction.annotating import AnnotateSummary, AnnotationFinding
from cmr_planes.extraction.annotating import annotate as run_annotation
from cmr_planes.system.text import counted, either, part
from cmr_planes.terminal.console import print_json, remark, reports_errors
from cmr_planes.terminal.options import CataloguePath, UserPath, json_option, log_option, quiet_option, verbose_option
from cmr_planes.terminal.progress import shown

LISTED = 20
"""Rows of a list that may be long; ``-v`` lists all."""

FORMATS = ("auto", *(known.value for known in LabelFormat))
"""What ``--format`` takes."""


@click.command()
@click.argument("catalogue", metavar="OUT.h5", type=CataloguePath())
@click.argument("labels", metavar="LABELS", type=UserPath(exists=True))
@click.option(
    "--format",
    "label_format",
    type=click.Choice(FORMATS, case_sensitive=False),
    default="auto",
    show_default=True,
    help="Format of the annotations; auto identifies it by the files' names.",
)
@click.option(
    "--classes",
    callback=read_classes,
    metavar="MAP",
    help=f"Structures of NIfTI values or DICOM SEG segments: {', '.join(PRESETS)}, or 1=RV,2=Myo,3=LV.  [default: by name]",
)
@pseudonymise_option
@click.option("--strict", is_flag=True, help="Exit with 1 if any annotation could not be used.")
@json_option()
@log_option
@quiet_option
@verbose_option("List every subject's findings, with the subjects' keys.")
@reports_errors(interrupted="labels that are written are kept, and the same command writes the others")
def annotate(
    catalogue: Path,
    *,
    labels: Path,
    label_format: str,
    classes: ClassMap | None,
    pseudonyms: Pseudonyms | None,
    strict: bool,
    as_json: bool,
    log: Path | None,
    verbose: bool,
) -> ExitCode:
    """Add the annotations under LABELS to OUT.h5, as label maps beside the images.

    LABELS is a folder, a zip or one file; folders, zips or files bear the names of the subjects. Contours find their image by SOP
    instance UID or InstanceNumber, label maps by where they lie in the patient. Images and masks are not changed. Labels of images
    that have some already are replaced. With --pseudonymise the files bear the subjects' original names. Exit code 3 if nothing
    could be used; OUT.h5 is then left as it was.

    \b
    Example:
      cmr-planes annotate out.h5 contours/
      cmr-planes annotate out.h5 labels/ --classes acdc
    """  # noqa: D301  # click keeps the lines of a paragraph that begins with \b
    source = LabelSource(path=labels, label_format=None if label_format == "auto" else LabelFormat(label_format), classes=classes)
    with shown("annotate", "subjects") as on_progress:
        summary = run_annotation(
            catalogue, source, pseudonyms=pseudonyms, log=log, log_keys=verbose, on_progress=on_progress, on_message=remark
        )
    if as_json:
        print_json(_to_json(summary, with_keys=verbose))
    else:
        _print(summary, verbose=verbose)
    if not summary.n_images:
        return ExitCode.NOTHING_USABLE
    return ExitCode.FAILED if strict and summary.left_out else ExitCode.DONE


def _print(summary: AnnotateSummary, *, verbose: bool) -> None:
    """Print what was added, what was left out and what is incomplete."""
    for title, findings in (("Left out", summary.left_out), ("Incomplete", summary.incomplete)):
        if findings:
            click.echo(f"{title}:")
        for subjects, sentence in _rows(findings, verbose=verbose):
            click.echo(f"  {subjects}: {sentence}")
    if summary.n_without_subject:
        click.echo(
            f"{part(summary.n_without_subject, summary.n_files, 'annotation file')} "
            f"{either(summary.n_without_subject, 'names', 'name')} no subject of the catalogue"
        )
    left_out = f"{counted(len(summary.left_out), 'finding')} left out"
    click.echo(f"{counted(summary.n_subjects, 'subject')} with {counted(summary.n_images, 'annotated image')}; {left_out}")


def _rows(findings: Sequence[AnnotationFinding], *, verbose: bool) -> list[tuple[str, str]]:
    """List findings one by one, or how many subjects have each."""
    if verbose:
        return [(f"subject {row.number} ({row.subject})", row.finding.sentence) for row in findings]
    counts = Counter(row.finding.sentence for row in findings)
    first = {row.finding.sentence: row.number for row in reversed(findings)}
    rows = [
        (f"subject {first[sentence]}" if count == 1 else f"subject {first[sentence]} and {count - 1:,} more", sentence)
        for sentence, count in counts.most_common(LISTED)
    ]
    others = len(counts) - LISTED
    return [*rows, ("and", f"{counted(others, 'other finding')}; -v lists all")] if others > 0 else rows


def _to_json(summary: AnnotateSummary, *, with_keys: bool) -> dict[str, object]:
    """Return the summary as JSON's types."""

    def listed(findings: Sequence[AnnotationFinding]) -> list[dict[str, object]]:
        return [
            {"subject_number": row.number, **({"subject": row.subject} if with_keys else {}), "sentence": row.finding.sentence}
            for row in findings
        ]

    return {
        "n_files": summary.n_files,
        "n_without_subject": summary.n_without_subject,
        "n_subjects": summary.n_subjects,
        "n_images": summary.n_images,
        "left_out": listed(summary.left_out),
        "incomplete": listed(summary.incomplete),
    }
