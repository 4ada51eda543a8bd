"""``cmr-train predict``: segment new scans."""

import math
from collections import Counter
from collections.abc import Sequence
from itertools import takewhile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cmr_planes.errors import CatalogueFinding, ExitCode, RejectionCode
from cmr_planes.system.text import counted, decimals
from cmr_planes.terminal.console import print_json, remark, reports_errors, say
from cmr_planes.terminal.numbers import Number
from cmr_planes.terminal.options import EnumChoice, UserPath, json_option, quiet_option, verbose_option
from cmr_planes.terminal.progress import shown
from cmr_planes.terminal.tables import Kind, Table, print_table, table
from cmr_planes.views import PhaseChoice
from cmr_train.choices import DeviceKind, MapFormat, Weights
from cmr_train.cli.options import device_option, people_key_option, unfinished_option, weights_option

if TYPE_CHECKING:
    from cmr_train.evaluation.volumes import VentricularFunction
    from cmr_train.recipes.predict import PredictedSubject, Prediction

LISTED = 20
"""Subjects whose volumes are printed; ``volumes.csv`` has all."""

_MEASURES = ("LV EDV, ml", "LV ESV, ml", "LV EF, %", "LV mass, g", "RV EDV, ml", "RV ESV, ml", "RV EF, %")
_DOUBT = "doubt"


@click.command()
@click.argument("paths", metavar="RUN... SOURCE...", nargs=-1, required=True, type=UserPath(exists=True))
@click.option("-o", "--out", required=True, type=UserPath(file_okay=False), help="Folder of the results.")
@click.option(
    "--phases",
    type=EnumChoice([*PhaseChoice]),
    default=PhaseChoice.ED_ES.value,
    show_default=True,
    help="Frames of DICOM and NIfTI: end-diastole and end-systole, or all.",
)
@click.option(
    "--rotate",
    "rotate_deg",
    type=Number(float, low=0, high=45),
    default=0.0,
    help="Also average over images rotated by this many degrees either way, such as 10.  [default: none]",
)
@click.option("--largest-component", is_flag=True, help="Keep only the largest connected part of each structure.")
@click.option(
    "--like",
    type=UserPath(),
    help="NIfTI image of the same slices on whose grid label maps are written; {subject} in its path stands for the subject's key."
    "  [default: the grid of the source]",
)
@click.option(
    "--format",
    "formats",
    type=EnumChoice([*MapFormat]),
    multiple=True,
    default=(MapFormat.NIFTI.value,),
    show_default=True,
    help="Write label maps as NIfTI, or as DICOM SEG with a report (SR) of the volumes; may be given twice for both.",
)
@click.option("--anonymous", is_flag=True, help="Leave patient, study and references to the images out of DICOM files.")
@click.option("--pictures/--no-pictures", default=True, show_default=True, help="Draw contact sheets.")
@device_option
@weights_option
@click.option("--overwrite", is_flag=True, help="Delete the folder's predictions of another run, other data or other options.")
@unfinished_option("Use")
@people_key_option
@json_option()
@verbose_option("Print subjects' keys, and why subjects were left out.")
@quiet_option
@reports_errors(interrupted="files that are written are kept; the same command starts over")
def predict(
    paths: tuple[Path, ...],
    *,
    out: Path,
    phases: PhaseChoice,
    rotate_deg: float,
    largest_component: bool,
    like: Path | None,
    formats: tuple[MapFormat, ...],
    anonymous: bool,
    pictures: bool,
    device: DeviceKind,
    weights: Weights,
    overwrite: bool,
    unfinished: bool,
    people_key: Path | None,
    as_json: bool,
    verbose: bool,
) -> ExitCode:
    """Segment SOURCE with RUN: what 'cmr-planes extract' takes, DICOM or NIfTI, or one catalogue (.h5).

    The arguments that come first and hold a config.json, or a network that 'cmr-train export' wrote, are RUNs; ONNX needs no torch.
    The probabilities of several are averaged on each image's own pixels; they must be of one view, task and set of structures.

    Writes label maps as NIfTI in the scanner's coordinates, contact sheets as PNG and, for short-axis stacks, volumes.csv: volumes
    of both ventricles in ml, ejection fraction in %, mass of the left ventricle in g (1.05 g/ml). A cell is empty where a structure
    was not found, or is not smaller at end-systole. The column doubt says why, and what else to look at. File names hold subjects'
    keys. Exit code 3 if no subject has the view of RUN. For research only; not a medical device.

    With --format seg, DICOM files refer to the source images and hold the patient and study that these name: they are for the
    archive that the images came from. --anonymous leaves all of that out. SOURCE must be DICOM, and pip install 'cmr-planes[seg]'
    is needed. Exit code 3 if no DICOM file could be written.

    \b
    Example:
      cmr-train predict runs/finetune-sax new_scans/ -o segmented
      cmr-train predict runs/finetune-sax out.h5 -o segmented --no-pictures
      cmr-train predict runs/finetune-sax new_scans/ -o segmented --format nifti --format seg
      cmr-train predict studies/sax/cells/multitask-n10-s* new_scans/ -o segmented
    """  # noqa: D301  # click keeps the lines of a paragraph that begins with \b
    from cmr_train.recipes.predict import predict as predict_sources

    runs, sources = _split_arguments(paths)
    if anonymous and MapFormat.SEG not in formats:
        raise click.UsageError("--anonymous is for DICOM files: give --format seg too; NIfTI files name no patient")
    with shown("extract", "subjects") as on_extract, shown("predict", "subjects") as on_progress:
        prediction = predict_sources(
            runs,
            sources,
            out,
            phases=phases,
            rotate_deg=rotate_deg,
            largest_component=largest_component,
            like=like,
            formats=formats,
            anonymous=anonymous,
            pictures=pictures,
            device=device,
            weights=weights,
            overwrite=overwrite,
            unfinished=unfinished,
            people_key=people_key,
            on_extract=on_extract,
            on_progress=on_progress,
            on_message=remark,
        )
    network = "the run" if len(prediction.runs) == 1 else "any of the runs"
    if prediction.n_seen is None:
        say(f"whether {network} has seen these subjects in its training cannot be determined from their keys", style="yellow")
    elif prediction.n_seen:
        say(f"{counted(prediction.n_seen, 'subject')} that {network} has seen in its training", style="yellow")
    if as_json:
        print_json(_to_json(prediction, with_keys=verbose))
    else:
        _print(prediction, out, with_keys=verbose)
    is_empty = all(subject.no_dicom for subject in prediction.subjects)  # also where there are none
    return ExitCode.NOTHING_USABLE if is_empty else ExitCode.DONE


def _split_arguments(paths: Sequence[Path]) -> tuple[Sequence[Path], Sequence[Path]]:
    """Return which arguments are runs and which sources: the first is a run, and the further ones as long as they look like one."""
    from cmr_train.interchange.exported_network import weights_file
    from cmr_train.runs.folder import is_run

    def is_network(path: Path) -> bool:
        return is_run(path) or weights_file(path) is not None

    n_runs = 1 + sum(1 for _ in takewhile(is_network, paths[1:]))
    runs, sources = paths[:n_runs], paths[n_runs:]
    if not sources:
        found = "" if n_runs == 1 else f": {str(paths[-1])!r} is a run"
        raise click.UsageError(f"Missing argument 'SOURCE...'{found}")
    late = next(filter(is_network, sources), None)
    if late is not None:
        raise click.UsageError(f"{str(late)!r} is a run; give all runs before the sources")
    return runs, sources


def _to_json(prediction: "Prediction", *, with_keys: bool) -> dict[str, Any]:
    """Return what was done; subjects' keys only if they were asked for."""
    from cmr_train.recipes.predict import volume_values

    subjects: list[dict[str, Any]] = []
    for number, subject in enumerate(prediction.subjects, start=1):
        key = {"key": subject.subject} if with_keys else {}
        removed = {f"{structure.name.lower()}_removed_voxels": n for structure, n in subject.removed_voxels.items()}
        empty = {"n_empty_slices": subject.n_empty_slices} if subject.n_empty_slices else {}
        dice = {} if math.isnan(subject.runs_dice) else {"runs_dice": subject.runs_dice}
        values = {**dice, **removed, **volume_values(subject)}
        dicom = {"n_dicom_files": subject.n_dicom_files, "no_dicom": subject.no_dicom} if prediction.has_dicom else {}
        subjects.append(
            {
                "subject": number,
                **key,
                "phases": list(subject.phases),
                "n_slices": subject.n_slices,
                **empty,
                **values,
                **dicom,
            }
        )
    left_out = [
        {
            **({"subject": rejection.subject} if with_keys else {}),
            "view": rejection.view,
            "code": rejection.code.value,
            "sentence": rejection.sentence,
        }
        for rejection in prediction.left_out
    ]
    return {
        "runs": list(prediction.runs),
        "view": prediction.view.value,
        "task": prediction.head.value,
        "weights": prediction.weights.value,
        "n_seen": prediction.n_seen,
        "subjects": subjects,
        "left_out": left_out,
    }


def _print(prediction: "Prediction", out: Path, *, with_keys: bool) -> None:
    """Print volumes, what was left out, and where the files are."""
    subjects, view = prediction.subjects, prediction.view.title
    rows = [
        _volume_row(subject.subject if with_keys else number, subject.function)
        for number, subject in enumerate(subjects, start=1)
        if subject.function is not None
    ]
    if rows:
        subject_kind = Kind.TEXT if with_keys else Kind.NUMBER
        columns = {"subject": subject_kind, **dict.fromkeys(_MEASURES, Kind.NUMBER)}
        print_table(table("Volumes", columns, [row for row, _ in rows[:LISTED]]))
        doubtful = [(row[0], doubt) for row, doubt in rows[:LISTED] if doubt]
        if doubtful:
            print_table(table("Doubts about volumes", {"subject": subject_kind, _DOUBT: Kind.SENTENCE}, doubtful))
    if prediction.left_out:
        print_table(_left_out(prediction.left_out, with_keys=with_keys))
    if not subjects:
        without_grid = any(rejection.code is RejectionCode.OTHER_GRID for rejection in prediction.left_out)
        reason = "has an image of its slices to write a label map like" if without_grid else f"has images of view {view}"
        say(f"no subject {reason}; there is nothing to segment", style="red")
        return
    n_removed = sum(sum(subject.removed_voxels.values()) for subject in subjects)
    if n_removed:
        n_cleaned = sum(any(subject.removed_voxels.values()) for subject in subjects)
        click.echo(f"{n_removed:,} voxels outside the largest parts of structures were removed, in {counted(n_cleaned, 'subject')}")
    _print_dicom(subjects, with_keys=with_keys)
    n_images = sum(len(subject.phases) * subject.n_slices for subject in subjects)
    click.echo(f"{counted(len(subjects), 'subject')} segmented, {counted(n_images, 'image')} of view {view}; see {out}")


def _print_dicom(subjects: Sequence["PredictedSubject"], *, with_keys: bool) -> None:
    """Print how many DICOM files were written, and why some subjects have none."""
    without = [subject for subject in subjects if subject.no_dicom]
    if with_keys:
        for subject in without:
            say(f"{subject.subject} has no DICOM files: {subject.no_dicom}", style="yellow")
    else:
        for sentence, count in Counter(subject.no_dicom for subject in without).items():
            say(f"{counted(count, 'subject')} without DICOM files: {sentence}", style="yellow")
    n_files = sum(subject.n_dicom_files for subject in subjects)
    if n_files:
        click.echo(f"{counted(n_files, 'DICOM file')} of {counted(len(subjects) - len(without), 'subject')}")


def _volume_row(subject: object, function: "VentricularFunction") -> tuple[tuple[object, ...], str]:
    """Return the cells of a subject, and what is doubtful about them."""
    lv, rv = function.lv, function.rv
    values = (
        lv.end_diastolic_ml,
        lv.end_systolic_ml,
        lv.ejection_fraction_percent,
        function.lv_mass_g,
        rv.end_diastolic_ml,
        rv.end_systolic_ml,
        rv.ejection_fraction_percent,
    )
    return (subject, *(decimals(value, 1) for value in values)), ", ".join(function.doubts)


def _left_out(rejections: Sequence[CatalogueFinding], *, with_keys: bool) -> Table:
    """Lay out why subjects were left out: every sentence with the keys, else how often each reason."""
    if with_keys:
        rows: list[tuple[object, ...]] = [(rejection.subject, rejection.code.value, rejection.sentence) for rejection in rejections]
        columns = {"subject": Kind.TEXT, "reason": Kind.TEXT, "what was found": Kind.SENTENCE}
        return table("Left out", columns, rows)
    counts = Counter(rejection.code.value for rejection in rejections)
    return table("Left out", {"reason": Kind.TEXT, "subjects": Kind.NUMBER}, list(counts.items()))
