"""Pretrain on all images of a catalogue, fine-tune on its annotated subjects, score, and segment new scans.

python examples/train_and_predict.py out.h5 new_scans/ results [quick]

Run it again to resume it. Both trainings have the paper's settings, or those of the preset quick.
"""

import sys
from pathlib import Path
from typing import Any

import cmr_train


def main(data: str, scans: str, results: str, preset: str = "paper", **settings: Any) -> None:  # noqa: ANN401  # of any setting
    """Run the four jobs, and print Dice of the test set."""
    runs = Path(results) / "runs"
    pretrained = cmr_train.pretext(data, runs / "pretext", preset=preset, resume=True, **settings)
    run = cmr_train.finetune(data, runs / "finetune", pretext=pretrained, mode="all", preset=preset, resume=True, **settings)
    table = cmr_train.evaluate(run, out=runs / "finetune").table
    for structure in table.structures:
        dice = table.per_subject(cmr_train.Metric.DICE, "ed", structure)
        print(f"{structure} at end-diastole: Dice {dice.mean():.3f} over {len(dice)} subjects")
    prediction = cmr_train.predict(run, scans, Path(results) / "segmented")
    print(f"{len(prediction.subjects)} subjects segmented, {len(prediction.left_out)} findings; see {results}/segmented")


if __name__ == "__main__":
    main(*sys.argv[1:])
