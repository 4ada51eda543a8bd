"""nnU-Net on the annotated people of a study, from random weights and from positions: the column beside its transfer modes.

    cmr-planes export acdc.h5 -o nnUNet_raw --to nnunet --dataset Dataset501_ACDC --split people.csv
    nnUNetv2_plan_and_preprocess -d 501 -c 2d
    python benchmarks/nnunet_column.py splits acdc_split.csv
    cmr-train pretext --data acdc.h5 --split acdc_split.csv --plans PREPROCESSED/nnUNetPlans.json --out runs/pretext
    cmr-train export runs/pretext weights --to nnunet
    python benchmarks/nnunet_column.py train 0 scratch --epochs 10 --iterations 36
    python benchmarks/nnunet_column.py train 0 positions --epochs 10 --iterations 36 --weights weights/pretrained_weights.pth
    python benchmarks/nnunet_column.py score

nnU-Net's folders are its variables ``nnUNet_raw``, ``nnUNet_preprocessed`` and ``nnUNet_results``; PREPROCESSED is the data set's
folder in the second. ``people.csv`` names the training and test people of the split, the latter as ``validation``, so that the
images of all lie in ``imagesTr``.

``splits`` makes one fold of each number of annotated people and seed: those that ``cmr-train study`` draws with this seed, and the
test people as nnU-Net's validation cases. ``train`` trains one fold and segments the test people with the last weights; the
validation decides nothing. nnU-Net's own settings hold, but for the epochs and their iterations, the seed, and the validation
during the training, which takes one batch. ``score`` prints the Dice that ``cmr-train evaluate`` would give, the mean over
structures, phases, people and seeds, with intervals over people and seeds as in a study's report.
"""

import argparse
import csv
import json
import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

import nibabel
import numpy as np
import torch
from numpy.typing import NDArray

from cmr_planes.system.participant_sets import ParticipantSet
from cmr_train.data.splits import choose_participants, read_split_file
from cmr_train.evaluation.metrics import Metric, score_volume
from cmr_train.evaluation.scores import MEAN, POOLED, ScoredVolume, ScoreTable
from cmr_train.evaluation.statistics import crossed_interval

DATASET = "Dataset501_ACDC"
NUMBERS, N_SEEDS = (1, 2, 5), 5
STRUCTURES = {1: "LV", 2: "Myo", 3: "RV"}
STARTS = ("scratch", "positions")
FOLDS = [(number, seed) for number in NUMBERS for seed in range(N_SEEDS)]


def main() -> None:
    """Make the folds, train one, or score those that are trained."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    jobs = parser.add_subparsers(dest="job", required=True)
    jobs.add_parser("splits").add_argument("split", type=Path)
    training = jobs.add_parser("train")
    training.add_argument("fold", type=int)
    training.add_argument("start", choices=STARTS)
    training.add_argument("--epochs", type=int, default=1000)
    training.add_argument("--iterations", type=int, default=250)
    training.add_argument("--weights", type=Path)
    training.add_argument("--device", default="cuda")
    jobs.add_parser("score").add_argument("--csv", type=Path)
    arguments = parser.parse_args()
    if arguments.job == "splits":
        write_splits(arguments.split)
    elif arguments.job == "train":
        train(arguments.fold, arguments.start, (arguments.epochs, arguments.iterations), arguments.weights, arguments.device)
    else:
        print_scores(arguments.csv)


def folder(name: str) -> Path:
    """Return the data set's part of one of nnU-Net's three folders."""
    return Path(os.environ[f"nnUNet_{name}"], DATASET)


def write_splits(path: Path) -> None:
    """Write nnU-Net's folds: the annotated people of each number and seed, and the test people."""
    sets = read_split_file(path)
    annotated, test = (
        sorted(key for key, its_set in sets.items() if its_set is chosen) for chosen in (ParticipantSet.TRAIN, ParticipantSet.TEST)
    )
    folds = [{"train": cases(choose_participants(annotated, number, seed=seed)), "val": cases(test)} for number, seed in FOLDS]
    (folder("preprocessed") / "splits_final.json").write_text(json.dumps(folds, indent=1), encoding="utf-8")
    for index, (number, seed) in enumerate(FOLDS):
        print(f"fold {index}: {number} annotated, seed {seed}")


def cases(people: Sequence[str]) -> list[str]:
    """Return the names of their images."""
    return [f"{person}_{phase}" for person in people for phase in ("ED", "ES")]


def train(fold: int, start: str, length: tuple[int, int], weights: Path | None, device: str) -> None:
    """Train one fold and segment the test people."""
    from nnunetv2.run.load_pretrained_weights import load_pretrained_weights
    from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer

    if (weights is not None) != (start == "positions"):
        raise SystemExit("--weights belongs to 'positions', and only to it")
    seed = FOLDS[fold][1]
    np.random.seed(seed)  # noqa: NPY002  # nnU-Net draws from the global generators
    torch.manual_seed(seed)
    torch.backends.cudnn.benchmark = True
    plans = json.loads((folder("preprocessed") / "nnUNetPlans.json").read_text(encoding="utf-8"))
    description = json.loads((folder("preprocessed") / "dataset.json").read_text(encoding="utf-8"))
    trainer = nnUNetTrainer({**plans, "continue_training": False}, "2d", fold, description, device=torch.device(device))
    trainer.num_epochs, trainer.num_iterations_per_epoch = length
    trainer.num_val_iterations_per_epoch = 1
    trainer.output_folder = str(folder("results") / start / f"fold_{fold}")
    trainer.output_folder_base = str(folder("results") / start)
    trainer.initialize()
    if weights is not None:
        load_pretrained_weights(trainer.network, str(weights), verbose=False)
    trainer.run_training()
    trainer.perform_actual_validation()


def print_scores(table: Path | None) -> None:
    """Print one row for each number of annotated people, and write those of each seed."""
    dice = {
        (start, fold): scored.per_subject(Metric.DICE, POOLED, MEAN)
        for start in STARTS
        for fold in range(len(FOLDS))
        if (scored := ScoreTable(tuple(volumes(folder("results") / start / f"fold_{fold}" / "validation")))).volumes
    }
    print("| annotated people | seeds | scratch | positions | positions minus scratch (95 % interval) |\n|---|---|---|---|---|")
    for number in NUMBERS:
        values = {
            start: np.array([dice[start, fold] for fold, (of, _) in enumerate(FOLDS) if of == number and (start, fold) in dice]).T
            for start in STARTS
        }
        print("|", " | ".join([str(number), *row_of(values["scratch"], values["positions"])]), "|")
    if table is not None:
        with table.open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(("annotated_subjects", "seed", "start", "dice"))
            writer.writerows((*FOLDS[fold], start, f"{np.nanmean(scores):.6f}") for (start, fold), scores in dice.items())


def row_of(scratch: NDArray[np.float64], positions: NDArray[np.float64]) -> Iterator[str]:
    """Return the cells of a row; arrays of shape (people, seeds)."""
    yield str(scratch.shape[-1] if scratch.size else 0)
    for values in (scratch, positions):
        yield f"{np.nanmean(values):.3f}" if values.size else "–"
    if scratch.shape == positions.shape and scratch.size:
        low, high = crossed_interval(positions - scratch)
        yield f"{np.nanmean(positions - scratch):+.3f} ({low:+.3f} to {high:+.3f})"
    else:
        yield "–"


def volumes(predictions: Path) -> Iterator[ScoredVolume]:
    """Score the label maps of a folder against the manual ones, on the images' own pixels."""
    for path in sorted(predictions.glob("*.nii.gz")):
        person, phase = re.fullmatch(r"(.+)_(ED|ES)\.nii\.gz", path.name).groups()  # type: ignore[union-attr]
        truth, found = (nibabel.load(file) for file in (folder("raw") / "labelsTr" / path.name, path))
        maps = [np.asarray(image.dataobj).astype(np.uint8).transpose(2, 1, 0) for image in (truth, found)]
        rows_mm, columns_mm = truth.header.get_zooms()[1::-1]
        scores = score_volume(*maps, classes=list(STRUCTURES), spacing_mm=(rows_mm, columns_mm))
        for name, score in zip(STRUCTURES.values(), scores, strict=True):
            yield ScoredVolume(subject=person, phase=phase.lower(), structure=name, score=score)


if __name__ == "__main__":
    main()
