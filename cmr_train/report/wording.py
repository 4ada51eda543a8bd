"""What the numbers say, in sentences: findings, and the figures' text alternatives."""

import math
from collections import Counter
from collections.abc import Callable, Sequence

from cmr_planes.system.text import counted, decimals, either, listed
from cmr_train.choices import PretextTarget, TransferMode, Weights
from cmr_train.evaluation.metrics import Metric
from cmr_train.evaluation.scores import MEAN
from cmr_train.report.analysis import Entry
from cmr_train.report.examples import Example, PretextExample
from cmr_train.report.learning import Learning, last_quarter_change, verdict
from cmr_train.report.results import RunResult, StudyResults
from cmr_train.report.tables import signed

MIN_TEST_SUBJECTS = 20
"""With fewer test subjects the findings of a study carry a caution."""
MIN_SEEDS = 3
"""With fewer seeds they do too."""

_PLACES = _ABOVE, _BELOW, _AROUND, _UNKNOWN = "lies above zero", "lies below zero", "includes zero", "does not exist"

_MEANINGS = {
    TransferMode.SCRATCH: "random first weights, no pretext",
    TransferMode.DECODER: "the weights of the pretext; the encoder stays as it is, the decoder and the head are trained",
    TransferMode.ALL: "the weights of the pretext; all of them are trained",
    TransferMode.MULTITASK: "the weights of the pretext; all are trained, on the pretext task and on the segmentation in turn",
}
"""What each method starts from and trains."""


def meanings(results: StudyResults) -> dict[str, str]:
    """Say what the names of the methods mean, and what the pretext has learnt; by name."""
    found = {mode.value: _MEANINGS[mode] for mode in results.modes}
    tasks = dict.fromkeys(run.config.traits.meaning for run in results.pretexts if run.config is not None)
    if not results.pretexts:
        return found
    learnt = f", to find {listed(tasks)}" if tasks else ""
    return {"pretext": f"a network trained beforehand without manual annotations{learnt}", **found}


def what_was_compared(results: StudyResults) -> str:
    """Return what the study did, in plain sentences."""
    modes, numbers = listed([code(mode) for mode in results.modes]), listed([f"{n:,}" for n in results.subjects])
    variants = f" in {len(results.variants)} variants" if len(results.variants) > 1 else ""
    n_tested = len(results.test_subjects)
    tested = "test subjects" if n_tested == 0 else either(n_tested, "test subject", counted(n_tested, "test subject"))
    also = ", another pretext" if results.pretexts and len(results.seeds) > 1 and results.has_pretext_per_seed else ""
    files = [repr(path.name) for path in results.other_test_set]
    where = f" of another catalogue, {' and the split file '.join(files)}" if files else ""
    scored = " Scored were the weights of each network's best validation." if results.weights is Weights.BEST else ""
    return (
        f"Networks that segment {results.view.title} images were trained with {modes} on {numbers} annotated "
        f"subject{'' if results.subjects == (1,) else 's'}, {counted(len(results.seeds), 'seed')} each{variants}. A seed is "
        f"another choice of annotated subjects{also} and other first weights. All were scored on the same {tested}{where}, who "
        f"{'was' if n_tested == 1 else 'were'} not trained on.{scored}"
    )


def pretexts_of_seeds(results: StudyResults) -> str:
    """Say whether the intervals hold the variance of the pretext."""
    if results.has_pretext_per_seed:
        return "Each seed starts from a pretext of its own, so that the intervals hold the variance of the pretext."
    return "All seeds of a variant start from one pretext, so that no interval holds the variance of the pretext."


def findings(results: StudyResults, found: Sequence[Entry], variant: str) -> tuple[str, ...]:
    """Return the main findings of a variant, the summary first: mean Dice over structures, against scratch."""
    dice = [e for e in found if (e.variant, e.metric, e.structure) == (variant, Metric.DICE, MEAN)]
    sentences = [_at(n, [e for e in dice if e.subjects == n and e.exists]) for n in results.subjects]
    compared = [e.difference for e in dice if e.difference is not None]
    if not compared:
        return ("No method could be compared with `scratch`.", *sentences)
    return (_caution(results) + _of_intervals([_place(each.low, each.high) for each in compared]), *sentences)


def _of_intervals(places: Sequence[str]) -> str:
    """Say where the intervals of all comparisons with scratch lie."""
    interval = "the 95 % interval of the paired difference in Dice"
    numbers = Counter(places)
    if len(places) == 1:
        return f"Against `scratch`, {interval} {places[0]}."
    many = f"comparisons of a pretrained method with `scratch`, {interval}"
    if len(numbers) == 1:
        return f"In each of {len(places)} {many} {places[0]}."
    return f"In {len(places)} {many} {listed([f'{place} in {numbers[place]}' for place in _PLACES if numbers[place]])}."


def _place(low: float, high: float) -> str:
    """Say where an interval lies."""
    if math.isnan(low):
        return _UNKNOWN
    return _ABOVE if low > 0 else _BELOW if high < 0 else _AROUND


def is_too_small(results: StudyResults) -> bool:
    """Tell whether a study has too few test subjects or seeds for its findings to hold elsewhere."""
    return len(results.test_subjects) < MIN_TEST_SUBJECTS or len(results.seeds) < MIN_SEEDS


def _caution(results: StudyResults) -> str:
    """Return what has to be read before the summary of a small study; empty for others."""
    if not is_too_small(results):
        return ""
    sizes = f"{counted(len(results.test_subjects), 'test subject')}, {counted(len(results.seeds), 'seed')}"
    return f"Too small to conclude from ({sizes}; {MIN_TEST_SUBJECTS} and {MIN_SEEDS} are few already); in these runs alone: "


def trend_alt(found: Sequence[Entry], names: Sequence[str]) -> str:
    """Say what a figure of a metric against the number of subjects shows, with its numbers."""
    title = "Dice" if found[0].metric is Metric.DICE else "Mean contour distance in mm"
    sentences = [f"{title} against the number of annotated subjects."]
    for name in names:
        series = _series([entry for entry in found if entry.structure == name], lambda entry: entry.mode.value)
        sentences.append(f"{'Mean of structures' if name == MEAN else name}: {series}.")
    return " ".join(sentences)


def variants_alt(found: Sequence[Entry]) -> str:
    """Say what the figure of the variants shows, with its numbers."""
    sentences = ["Dice, mean of structures, against the number of annotated subjects."]
    for mode in dict.fromkeys(entry.mode for entry in found):
        series = _series([entry for entry in found if entry.mode is mode], lambda entry: entry.variant)
        sentences.append(f"{mode.value}: {series}.")
    return " ".join(sentences)


def learning_alt(found: Sequence[Learning]) -> str:
    """Say what the learning curves show, with their numbers."""
    return "Dice on the validation set against iterations. " + " ".join(
        f"{method.mode.value} with {counted(method.subjects, 'subject')} ends at {decimals(method.final, 3)}: {method.verdict}."
        for method in found
    )


def example_alt(example: Example) -> str:
    """Say what a figure of segmentations shows, with each network's Dice."""
    panels = listed(
        [
            f"{mode.value} with {counted(n, 'subject')} {decimals(panel.dice, 2)}"
            for (n, mode), panel in sorted(example.panels.items(), key=lambda item: (item[0][0], [*TransferMode].index(item[0][1])))
        ]
    )
    return (
        f"Contours on slice {example.slice_number}, {_phase(example.phase)}, of the {example.rank} test subject (mean Dice of all "
        f"networks {decimals(example.mean_dice, 2)}): the image, the manual contours, and those of each network. "
        f"Dice of the subject: {panels}."
    )


def pretext_end(run: RunResult) -> str:
    """Say where a pretext's learning ended, and whether it has come to its plateau."""
    config = run.config
    name = f"Pretext {run.name}"
    if config is not None and config.pretext is not None and config.pretext.target is not PretextTarget.BOXES:
        name += f" (target {config.pretext.target})"
    if run.curve is None or MEAN not in run.curve.dice:
        return f"{name} was never validated while it trained: whether it came to its plateau cannot be said."
    dice = run.curve.dice[MEAN]
    change = last_quarter_change(run.curve.iterations, dice)
    value = decimals(float(dice[-1]), 3)
    has_dice = config is None or config.has_classes(config.head)
    score = f"a mean Dice of {value}" if has_dice else f"a score of {value} (explained share of the variance)"
    end = f"{name} ends at {score} on the validation set after {counted(run.curve.iterations[-1], 'iteration')}"
    if math.isnan(change):
        return f"{end}; whether that is its plateau cannot be said from so few validations."
    return f"{end}: {verdict(change)} ({signed(change)} over the last quarter)."


def positions_alt(example: PretextExample, name: str) -> str:
    """Say what a figure of positions shows."""
    found, true = ({*labels[labels > 0].tolist()} for labels in (example.predicted, example.truth))
    return (
        f"Slice {example.slice_number}, {_phase(example.phase)}, of the median test subject of pretext {name} (mean Dice "
        f"{decimals(example.mean_dice, 2)}): the image, its {counted(len(true), 'true box', 'true boxes')}, and the predicted "
        f"ones, of which {len(found & true)} of {len(true)} classes are there."
    )


def _at(subjects: int, row: Sequence[Entry]) -> str:
    """Say who is best at one number of subjects, and whether surely so."""
    where = f"With {counted(subjects, 'annotated subject')}"
    if not row:
        return f"{where}, no network has ended."
    winner = max(row, key=lambda entry: entry.spread.mean)
    if len(row) > 1 and len({round(entry.spread.mean, 3) for entry in row}) == 1:
        return f"{where}, all methods have the same mean Dice, {winner.spread.mean:.3f}."
    sentence = f"{where}, {code(winner.mode)} has the highest mean Dice, {winner.spread.mean:.3f}"
    scratch = next((entry for entry in row if entry.mode is TransferMode.SCRATCH), None)
    if winner is scratch:
        others = [entry for entry in row if entry is not scratch and entry.difference is not None]
        if not others:
            return f"{sentence}; there is nothing to compare it with."
        nearest = max(others, key=lambda entry: entry.spread.mean)
        return f"{sentence}; the nearest is {code(nearest.mode)}, with {_difference(nearest)}."
    if winner.difference is None or scratch is None:
        return f"{sentence}; there is no network from `scratch` to compare it with."
    return f"{sentence}, against {scratch.spread.mean:.3f} from {code(scratch.mode)}: {_difference(winner)}."


def _difference(entry: Entry) -> str:
    found = entry.difference
    if found is None:
        return "not compared"
    if math.isnan(found.low):
        return f"a difference of {signed(found.mean)}, with no interval from a single pair"
    side = "above zero" if found.low > 0 else "below zero" if found.high < 0 else "including zero"
    interval = f"95 % interval {signed(found.low)} to {signed(found.high)}, {side}"
    return f"a paired difference of {signed(found.mean)} ({interval})"


def _series(row: Sequence[Entry], name: Callable[[Entry], str]) -> str:
    """List values by line of a figure."""
    lines: dict[str, list[str]] = {}
    for entry in row:
        if entry.exists:
            n_decimals = 3 if entry.metric is Metric.DICE else 1
            lines.setdefault(name(entry), []).append(f"{decimals(entry.spread.mean, n_decimals)} at {entry.subjects:,}")
    return "; ".join(f"{label} {', '.join(values)}" for label, values in lines.items()) or "no values"


def _phase(name: str) -> str:
    return {"ed": "end-diastole", "es": "end-systole"}.get(name, f"frame {name}")


def code(mode: TransferMode) -> str:
    """Write the name of a method as code: it is no English word in a sentence."""
    return f"`{mode.value}`"
