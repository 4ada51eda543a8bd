"""``cmr-planes extract``: from DICOM to position masks."""

import shlex
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import click

from cmr_planes.annotations.classes import ClassMap
from cmr_planes.annotations.reading import LabelSource
from cmr_planes.cine.series_names import load_names
from cmr_planes.cli.options import file_reader, pseudonymise_option, read_classes
from cmr_planes.cli.pacs_options import SourceOrAddress
from cmr_planes.cli.pulled_source import PACS_FIELDS, pulled_source_options, with_pulled_source
from cmr_planes.cli.reasons import VIEWS_LACKING, closing_sentence, reasons_table
from cmr_planes.discovery.participants import read_participants
from cmr_planes.errors import ExitCode, NoteCode, in_order
from cmr_planes.extraction.job import ExtractSummary
from cmr_planes.extraction.job import extract as run_extraction
from cmr_planes.extraction.options import ExtractOptions
from cmr_planes.extraction.plan import ExtractionPlan, make_plan
from cmr_planes.geometry import BoxLayout, BoxUnits
from cmr_planes.nifti.plane_table import read_plane_table
from cmr_planes.nifti.volumes import WorldAxes
from cmr_planes.shards.records import SubjectOutcome
from cmr_planes.shards.schema import Codec
from cmr_planes.shards.summary import CatalogueSummary
from cmr_planes.shards.summary_json import to_json
from cmr_planes.system.text import counted, duration, either, file_size, part
from cmr_planes.terminal.console import is_quiet, print_json, remark, reports_errors
from cmr_planes.terminal.numbers import Number
from cmr_planes.terminal.options import (
    EnumChoice,
    UserPath,
    choose_scheduler,
    json_option,
    log_option,
    quiet_option,
    scheduler_file_option,
    scheduler_option,
)
from cmr_planes.terminal.progress import shown
from cmr_planes.terminal.sections import SectionedCommand
from cmr_planes.terminal.tables import Kind, Table, print_table, table
from cmr_planes.views import STORED_VIEWS, TARGET_VIEWS, CardiacView, PhaseChoice

_DEFAULTS = ExtractOptions()

PIXEL_SIZES_MM = (1.5, 2.2)
"""Pixel sizes on which boxes of 11 pixels lie as in the paper, whose images have 1.8 mm."""


def _in_each_unit(length: str) -> str:
    """Return a default length of the boxes in each unit: "11 px or 20 mm"."""
    return " or ".join(f"{getattr(BoxLayout.default(units), length):g} {units.value}" for units in BoxUnits)


def _views(context: click.Context, parameter: click.Parameter, value: str) -> tuple[CardiacView, ...]:  # noqa: ARG001  # click's signature
    """Read a comma-separated list of views."""
    names = [name.strip().lower() for name in value.split(",")]
    unknown = [name for name in names if name not in STORED_VIEWS]
    if unknown:
        raise click.BadParameter(f"{unknown[0]!r} is not one of {', '.join(STORED_VIEWS)}")
    if not {*names} & {*TARGET_VIEWS}:
        raise click.BadParameter(f"{', '.join(names)} has no positions; give one of {', '.join(TARGET_VIEWS)} too")
    return tuple(view for view in STORED_VIEWS if view in names)


def _out(context: click.Context, parameter: click.Parameter, value: Path) -> Path:  # noqa: ARG001  # click's signature
    """Accept a path that ends in ``.h5``; where there is none, say how the command may have been meant."""
    sources = [str(source) for source in context.params.get("sources") or ()]
    if not sources:
        is_out = value.suffix == ".h5"
        command = shlex.join(["cmr-planes", "extract", *(["studies", str(value)] if is_out else [str(value), "out.h5"])])
        raise click.UsageError(f"Missing {'SOURCE' if is_out else 'OUT.h5'}: {command}")
    if value.is_dir():
        raise click.BadParameter(f"{str(value)!r} is a folder; OUT.h5, the catalogue to write, comes last")
    if value.suffix != ".h5":
        raise click.BadParameter(
            f"{value.name!r} must end in .h5; the shards go into a folder of the same name that ends in .shards"
        )
    return value


def _layout(units: BoxUnits, box: float | None, gap: float | None) -> BoxLayout:
    """Return the box layout that the options ask for."""
    default = BoxLayout.default(units)
    try:
        return BoxLayout(size=default.size if box is None else box, gap=default.gap if gap is None else gap, units=units)
    except ValueError as error:
        raise click.UsageError(f"{error} (--box, --gap, --units)") from error


def _labels(path: Path | None, classes: ClassMap | None, sources: tuple[Path, ...], *, is_nifti: bool) -> LabelSource | None:
    """Return where annotations come from; those of NIfTI images lie beside them."""
    if is_nifti and path is not None:
        raise click.UsageError("--annotations does not go with --nifti, which takes the label maps beside the images")
    if path is None and not is_nifti:
        if classes is not None:
            raise click.UsageError("--classes needs --annotations or --nifti")
        return None
    return LabelSource(path=sources[0] if path is None else path, classes=classes)


_SECTIONS = {
    "Images and positions": ("views", "phases", "units", "box", "gap", "min_agreement", "align", "keep_all", "names", "codec"),
    "Annotations and NIfTI": ("annotations", "classes", "nifti", "planes", "world"),
    "Participants": ("participants", "pseudonyms"),
    "Machine": ("shard_size", "workers", "scheduler", "scheduler_file"),
    "PACS as SOURCE": PACS_FIELDS,
}
"""Headings in the help, and the parameters below them."""


@click.command(cls=SectionedCommand, sections=_SECTIONS)
@click.argument("sources", metavar="SOURCE...", nargs=-1, type=SourceOrAddress())
@click.argument("out", metavar="OUT.h5", type=UserPath(), callback=_out)
@click.option(
    "--views",
    default=",".join(_DEFAULTS.views),
    show_default=True,
    callback=_views,
    metavar="NAME,NAME,…",
    help="Views to store; 3ch has no positions.",
)
@click.option(
    "--phases",
    type=EnumChoice([*PhaseChoice]),
    default=_DEFAULTS.phases.value,
    show_default=True,
    help="Cardiac phases to keep: end-diastole and end-systole, or every frame.",
)
@click.option(
    "--units",
    type=EnumChoice([*BoxUnits]),
    default=_DEFAULTS.layout.units.value,
    show_default=True,
    help="Unit of --box and --gap.",
)
@click.option("--box", type=Number(float, "PX|MM"), help=f"Edge of a box.  [default: {_in_each_unit('size')}]")
@click.option(
    "--gap", type=Number(float, "PX|MM"), help=f"Distance of adjacent boxes along a line.  [default: {_in_each_unit('gap')}]"
)
@click.option(
    "--min-agreement",
    type=Number(float, low=-1, high=1),
    help="Reject views whose images correlate less than X (-1 to 1) along a common line.  [default: reject none for that]",
)
@click.option("--align", is_flag=True, help="Draw boxes where the lines are once breath-holds are aligned by their images.")
@click.option("--keep-all", is_flag=True, help="Keep images on which no positions can be drawn.")
@click.option(
    "--names",
    type=UserPath(exists=True, dir_okay=False),
    callback=file_reader(load_names, _DEFAULTS.names),
    help="TOML table of series names.  [default: the built-in one]",
)
@click.option(
    "--codec",
    type=EnumChoice([*Codec]),
    default=_DEFAULTS.codec.value,
    show_default=True,
    help="HDF5 filter of the images.",
)
@click.option(
    "--annotations",
    metavar="LABELS",
    type=UserPath(exists=True),
    help="Annotations of the subjects: annotated frames are kept as ED and ES, and labels stored.  [default: none]",
)
@click.option("--nifti", is_flag=True, help="SOURCE holds NIfTI images and label maps of a public set (ACDC, M&Ms), not DICOM.")
@click.option(
    "--planes",
    metavar="PLANES.csv",
    type=UserPath(exists=True, dir_okay=False),
    callback=file_reader(read_plane_table, None),
    help="With --nifti: table of the 2Ch, 4Ch or SAX planes that the files do not hold, for positions on their images."
    "  [default: none]",
)
@click.option(
    "--world",
    type=EnumChoice([*WorldAxes]),
    default=None,
    help="Coordinates of NIfTI files.  [default: ras, the standard's, unless labels show that they are lps]",
)
@click.option(
    "--classes",
    callback=read_classes,
    metavar="MAP",
    help="Structures of the values of annotations, as in 'annotate'.  [default: by name]",
)
@click.option(
    "--participants",
    metavar="TABLE.csv",
    type=UserPath(exists=True, dir_okay=False),
    callback=file_reader(read_participants, None),
    help="Table of subjects' keys and participants (key, participant), where names and headers do not link visits to persons."
    "  [default: none]",
)
@pseudonymise_option
@click.option(
    "--shard-size", type=Number(int, low=1), default=_DEFAULTS.shard_size, show_default=True, help="Subjects in one shard."
)
@click.option("--workers", type=Number(int, low=1), default=None, help="Processes.  [default: one per core]")
@scheduler_option
@scheduler_file_option
@click.option("--resume/--overwrite", default=True, show_default=True, help="Resume an OUT.h5 of the same options, or start over.")
@click.option("--retry-left-out", is_flag=True, help="Try all subjects again that were left out, not only changed ones.")
@click.option("--dry-run", is_flag=True, help="Print the plan, and do nothing.")
@click.option("--strict", is_flag=True, help="Exit with 1 if anything was left out.")
@json_option()
@log_option
@quiet_option
@click.option("-v", "--verbose", count=True, help="Name what is left out as it happens, with the subjects' keys; -vv notes too.")
@pulled_source_options
@reports_errors(interrupted="shards that are sealed are kept, and the same command resumes from there")
@with_pulled_source
def extract(
    *,
    sources: tuple[Path, ...],
    out: Path,
    units: BoxUnits,
    box: float | None,
    gap: float | None,
    annotations: Path | None,
    classes: ClassMap | None,
    workers: int | None,
    scheduler: str | None,
    scheduler_file: Path | None,
    resume: bool,
    retry_left_out: bool,
    dry_run: bool,
    strict: bool,
    as_json: bool,
    log: Path | None,
    verbose: int,
    **choices: Any,  # noqa: ANN401  # the fields of ExtractOptions that need no conversion
) -> ExitCode:
    """Make position masks from the DICOM files under SOURCE and store them in OUT.h5.

    SOURCE is a folder of subjects, a folder of zips (UK Biobank's among them), one study, or several of these. Images go into
    shards in OUT.shards beside OUT.h5. An interrupted run resumes where it stopped; new subjects are added to the
    catalogue. The address of a PACS may stand in the place of SOURCE, as in 'pull': studies come into OUT.pull, which is removed
    at the end.

    \b
    Example:
      cmr-planes extract studies/ out.h5
      cmr-planes extract biobank/20208 biobank/20209 out.h5 --workers 16
      cmr-planes extract clinic/ out.h5 --units mm --names clinic.toml
      cmr-planes extract sunnybrook/ out.h5 --annotations sunnybrook/
      cmr-planes extract biobank/ out.h5 --scheduler tcp://10.0.0.1:8786
      cmr-planes extract dicomweb+https://pacs.example/dicom-web out.h5 --since 2024-01-01
      cmr-planes extract --nifti ACDC/database/training acdc.h5
      cmr-planes extract --nifti MnM2/dataset mnm2.h5 --planes planes.csv
    """  # noqa: D301  # click needs the escape
    cluster = _cluster(scheduler, scheduler_file, workers)
    if choices["planes"] is not None and not choices["nifti"]:
        raise click.UsageError("--planes goes with --nifti: DICOM headers say where the planes lie")
    labels = _labels(annotations, classes, sources, is_nifti=choices["nifti"])
    if choices["world"] is not None and not choices["nifti"]:
        raise click.UsageError("--world needs --nifti: DICOM's coordinates are LPS")
    options = ExtractOptions(layout=_layout(units, box, gap), labels=labels, **choices)
    if dry_run:
        plan = make_plan(sources, out, options, overwrite=not resume, retry_left_out=retry_left_out)
        _print_plan(plan, as_json=as_json, with_keys=verbose > 0)
        return ExitCode.DONE
    with shown("extract", "subjects") as on_progress:
        summary = run_extraction(
            sources,
            out,
            options,
            workers=workers,
            scheduler=cluster,
            overwrite=not resume,
            retry_left_out=retry_left_out,
            log=log,
            log_keys=verbose > 0,
            on_progress=on_progress,
            on_outcome=partial(_print_outcome, verbose=verbose),
            on_message=remark,
        )
    _print_summary(summary, units=units, as_json=as_json)
    if not summary.contents.n_images:
        return ExitCode.NOTHING_USABLE
    return ExitCode.FAILED if strict and summary.contents.rejections else ExitCode.DONE


def _cluster(scheduler: str | None, scheduler_file: Path | None, workers: int | None) -> str | Path | None:
    """Return the scheduler to use, None for this machine alone."""
    cluster = choose_scheduler(scheduler, scheduler_file)
    if cluster is not None and workers is not None:
        raise click.UsageError("--workers is for this machine alone; a cluster has the workers that were started for it")
    return cluster


def _print_outcome(outcome: SubjectOutcome, *, verbose: int) -> None:
    """Print what was left out of a subject with -v, and what was noted with -vv."""
    if not verbose:
        return
    for finding in in_order(outcome.findings):
        if finding.is_rejection or verbose > 1:
            view = f" {CardiacView(finding.view).title}" if finding.view else ""
            remark(f"{outcome.subject}{view}: {finding.code.value}: {finding.sentence}")


def _print_plan(plan: ExtractionPlan, *, as_json: bool, with_keys: bool) -> None:
    """Say what a run would do."""
    keys = [subject.key for batch in plan.pending for subject in batch.subjects]
    if as_json:
        counts = {"n_subjects": plan.n_subjects, "n_pending_subjects": len(keys), "n_shards": len(plan.batches)}
        print_json({**counts, "n_pending_shards": len(plan.pending), **({"pending": keys} if with_keys else {})})
        return
    if with_keys:
        for key in keys:
            click.echo(key)
    click.echo(
        f"would extract {part(len(keys), plan.n_subjects, 'subject')} into "
        f"{part(len(plan.pending), len(plan.batches), 'shard')} in {plan.shard_folder}"
    )


def _print_summary(summary: ExtractSummary, *, units: BoxUnits, as_json: bool) -> None:
    """Print what the catalogue holds now, and what this run did."""
    contents = summary.contents
    if as_json:
        run = {
            "n_subjects": summary.n_new_subjects,
            "n_retried": summary.n_retried_subjects,
            "n_images": summary.n_new_images,
            "seconds": round(summary.seconds, 3),
        }
        counts = {"n_shards": summary.n_shards, "n_bytes": summary.n_bytes, "this_run": run}
        print_json({**counts, **to_json(contents, with_keys=False)})
        return
    if contents.views:
        print_table(_summary_table(summary))
    if contents.rejections:
        print_table(reasons_table("Left out", contents.rejections))
    if contents.n_images:
        click.echo(_this_run(summary))
    click.echo("; ".join([closing_sentence(contents, summary.n_shards), *_progress_since(summary)]))
    if is_quiet():
        return
    for sentence in _lacking(contents, units):
        click.echo(sentence)
    is_for_show = contents.n_images and contents.n_used == contents.n_subjects
    words = ["show", str(summary.out), "-o", "pictures"] if is_for_show else ["inspect", "-v", str(summary.out)]
    click.echo(f"Look at it: {shlex.join(['cmr-planes', *words])}")


def _lacking(contents: CatalogueSummary, units: BoxUnits) -> Iterator[str]:
    """Say why there are no positions, and whether the pixels' sizes ask for boxes in mm."""
    codes = {code for code, _ in contents.subject_codes}
    if not contents.n_images and _lacks_planes_only(contents):
        if codes == {"no_2ch", "no_4ch"}:
            yield (
                f"None of {counted(contents.n_subjects, 'subject')} has long-axis images, which UK Biobank keeps in a field of "
                "their own (20208): give the folders of all views."
            )
        yield "Positions need SAX, 2Ch and 4Ch; --keep-all keeps the images that there are, without positions."
    n_with_positions = sum(view.n_with_positions for view in contents.views)
    n_unsized = sum(note.count for note in contents.notes if note.code == NoteCode.NO_SIZES)
    if contents.n_images and not n_with_positions and not n_unsized:
        yield "No positions: they need SAX, 2Ch and 4Ch of one subject. Labels can be used by 'cmr-train finetune'."
    if n_unsized:
        yield (
            f"The voxel sizes of {counted(n_unsized, 'view')} are not those of a heart ({NoteCode.NO_SIZES.value}): millimetres "
            "are not known. These images have no positions, and distances and volumes are wrong; restore pixdim in the headers."
        )
    if units is BoxUnits.PIXELS:
        sizes = {view.view.title: view.spacing_mm.median for view in contents.views if view.n_with_positions and view.spacing_mm}
        odd = [f"{title} {size:.2f}" for title, size in sizes.items() if not PIXEL_SIZES_MM[0] <= size <= PIXEL_SIZES_MM[1]]
        if odd:
            yield f"Boxes are measured in pixels, whose size is not the paper's 1.8 mm ({', '.join(odd)}): consider --units mm."


def _lacks_planes_only(contents: CatalogueSummary) -> bool:
    """Tell whether all subjects were left out for views that they do not have, though they have some."""
    codes = {code for code, _ in contents.subject_codes}
    return 0 < len(codes) < len(VIEWS_LACKING) and codes <= VIEWS_LACKING.keys()


def _progress_since(summary: ExtractSummary) -> list[str]:
    """Say what this run added to an earlier one; nothing for a first run."""
    n_before = summary.contents.n_subjects - summary.n_new_subjects
    n_added = summary.n_new_subjects - summary.n_retried_subjects
    if not (n_before or summary.n_retried_subjects):
        return []
    retried = f", {summary.n_retried_subjects:,} tried again" if summary.n_retried_subjects else ""
    return [f"{n_before:,} {either(n_before, 'was', 'were')} there already, {n_added:,} added{retried}"]


def _summary_table(summary: ExtractSummary) -> Table:
    """Lay out the counts."""
    annotated = {of_view.view: of_view for of_view in summary.labels}
    rows = [
        (
            view.view.title,
            view.n_subjects,
            view.n_with_positions if view.view in TARGET_VIEWS else None,
            view.n_images,
            annotated[view.view].n_images if view.view in annotated else None,
        )
        for view in summary.contents.views
    ]
    columns = {"view": Kind.TEXT, **dict.fromkeys(("subjects", "with positions", "images", "annotated images"), Kind.NUMBER)}
    return table(f"{summary.out.name}: {counted(summary.contents.n_subjects, 'subject')}", columns, rows)


def _this_run(summary: ExtractSummary) -> str:
    """Say what this run did."""
    size = f"{file_size(summary.n_bytes)} in {summary.out.stem}.shards"
    if not summary.n_new_subjects:
        return f"Nothing to do: {counted(summary.contents.n_subjects, 'subject')} there already; {size}"
    per_second = f"{summary.n_new_images / summary.seconds:,.0f} per second"
    return f"{counted(summary.n_new_images, 'image')} made in {duration(summary.seconds)} ({per_second}); {size}"
