"""Study folders as ``cmr-train study`` leaves them, with made-up scores and untrained networks: for tests of the report."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np

from cmr_planes.views import CardiacView, PositionClass, position_name
from cmr_train.choices import Recipe, TransferMode
from cmr_train.config import VIEW_STRUCTURES, RunConfig
from cmr_train.data.splits import Split
from cmr_train.evaluation.metrics import Score
from cmr_train.evaluation.score_files import per_subject_csv
from cmr_train.evaluation.scores import ScoredVolume, ScoreTable
from cmr_train.models.initial_weights import initialise
from cmr_train.presets import configure
from cmr_train.runs.checkpoint import save_checkpoint
from cmr_train.runs.files import write_json
from cmr_train.runs.run import make_network

MODES = ("scratch", "decoder", "all", "multitask")
GAINS = {"scratch": 0.0, "decoder": 0.08, "all": 0.12, "multitask": 0.15}
"""Dice above scratch."""


def make_study(
    folder: Path,
    *,
    view: CardiacView = CardiacView.SAX,
    modes: Sequence[str] = MODES,
    subjects: Sequence[int] = (1, 5),
    seeds: int = 2,
    variants: Sequence[str] = ("default",),
    gains: Mapping[str, float] = GAINS,
    test_subjects: Sequence[str] = tuple(f"SYN-{number:04}" for number in range(1, 7)),
    missing: Sequence[str] = (),
    failed: Mapping[str, str] | None = None,
    empty: Sequence[str] = (),
    is_watched: bool = True,
    pretext_per_seed: bool = False,
    data: Path = Path("absent/out.h5"),
    name: str = "SAX, positions or not",
) -> Path:
    """Write a study; ``missing`` and ``failed`` name cells, ``empty`` those that found nothing at all."""
    study = folder / "study"
    structures = [each.title for each in VIEW_STRUCTURES[view]]
    cells = []
    for variant, mode, n, seed in product(variants, modes, subjects, range(seeds)):
        cell = f"{mode}-n{n}-s{seed}" if len(variants) == 1 else f"{variant}.{mode}-n{n}-s{seed}"
        pretext = None if mode == "scratch" else f"{variant}-s{seed}" if pretext_per_seed else variant
        run = study / "cells" / cell
        cells.append(
            {
                "name": cell,
                "variant": variant,
                "mode": mode,
                "subjects": n,
                "seed": seed,
                "pretext": pretext,
                "folder": f"cells/{cell}",
            }
        )
        if cell in missing:
            continue
        run.mkdir(parents=True)
        if cell in (failed or {}):
            write_json(run / "cell.json", {"state": "failed", "error": (failed or {})[cell], "attempts": 2})
            continue
        config = configure(Recipe.FINETUNE, data=data, view=view, mode=TransferMode(mode), subjects=n, seed=seed, **SETTINGS)
        dice = min(0.97, 0.55 + gains[mode] + 0.04 * np.log(n))
        write_run(run, config, structures, 0.0 if cell in empty else dice, test_subjects, seed, is_watched=is_watched)
        write_json(run / "cell.json", seal(run, n_subjects=n, n_images=6 * n))
    pretexts = {f"{variant}-s{seed}": seed for variant in variants for seed in range(seeds)}
    pretexts = pretexts if pretext_per_seed else dict.fromkeys(variants, 0)
    for name_of_pretext, seed in pretexts.items():
        run = study / "pretexts" / name_of_pretext
        run.mkdir(parents=True)
        names = [position_name(view, each) for each in PositionClass if each]
        config = configure(Recipe.PRETEXT, data=data, view=view, seed=seed, **SETTINGS)
        write_run(run, config, names, 0.7, test_subjects, seed, is_watched=is_watched)
        write_json(run / "cell.json", seal(run, n_subjects=40, n_images=240))
    digests = {data.as_posix(): hashlib.sha256(data.read_bytes()).hexdigest()} if data.exists() else {}
    described = {"name": name, "view": view.value, "subjects": list(subjects), "modes": list(modes), "seeds": seeds}
    write_json(
        study / "study.json",
        {
            "study": described | {"variants": {variant: {} for variant in variants}},
            "pretexts": list(pretexts),
            "cells": cells,
            "versions": {"python": "3.11.0", "cmr-planes": "0.1.0"},
            "catalogue_sha256": digests,
        },
    )
    return study


SETTINGS: dict[str, Any] = {"rows": 48, "columns": 48, "base_channels": 2, "levels": 1, "fractions": (0.5, 0.0, 0.5), "threads": 1}


def seal(run: Path, **facts: int) -> dict[str, Any]:
    """What ``cell.json`` holds of a run that is done and scored."""
    scores = hashlib.sha256((run / "per_subject.csv").read_bytes()).hexdigest()
    done = {"state": "done", "error": None, "attempts": 1, "seconds": 75.3, "device": "cpu (1 thread)"}
    return {**done, "scores_sha256": scores, **facts}


def reseal(run: Path) -> None:
    """Let ``cell.json`` hold for scores that a test has changed."""
    path = run / "cell.json"
    write_json(path, json.loads(path.read_text()) | seal(run))


def write_run(
    run: Path, config: RunConfig, names: Sequence[str], dice: float, subjects: Sequence[str], seed: int, *, is_watched: bool
) -> None:
    """Write a run with scores around a Dice, a learning curve that rises to it, and a network that was never trained."""
    identity = {"path": config.data.data.as_posix(), "sha256": "", "origin": "", "pseudonyms": ""}
    write_json(run / "config.json", {"config": config.to_json(), "catalogues": {config.head.value: identity}})
    write_json(run / "split.json", Split(train=(), validation=(), test=()).to_json())
    model = make_network(config)
    initialise(model, seed)
    save_checkpoint(run / "final.pt", {"model": model.state_dict()})
    rng = np.random.default_rng(int(hashlib.sha256(run.name.encode()).hexdigest()[:8], 16))
    values = np.clip(dice + rng.normal(0, 0.02, (len(subjects), 2, len(names))), 0.01, 1) if dice else None
    volumes = tuple(
        ScoredVolume(
            subject=subject,
            phase=phase,
            structure=name,
            score=make_score(None if values is None else float(values[row, place, column])),
        )
        for row, subject in enumerate(subjects)
        for place, phase in enumerate(("ed", "es"))
        for column, name in enumerate(names)
    )
    (run / "per_subject.csv").write_text(per_subject_csv(ScoreTable(volumes), config.data.view))
    lines = []
    for iteration in range(10, 210, 10):
        line = {"iteration": iteration, "loss_structures": 1.0, "learning_rate": 0.001}
        if is_watched:
            rise = dice * (1 - np.exp(-iteration / 40)) + 0.005 * rng.normal()
            line |= {f"validation_{name}": round(float(rise), 6) for name in (*names, "mean")}
        lines.append(json.dumps(line) + "\n")
    (run / "metrics.jsonl").write_text("".join(lines))


def make_score(dice: float | None) -> Score:
    """A score of three slices; None stands for a structure that was not found at all."""
    if dice is None:
        return Score(
            dice=0.0, bai2019_mm=np.nan, all_borders_mm=np.nan, hausdorff95_mm=np.nan, n_scored=0, n_missed=3, n_invented=0
        )
    distance = 12 * (1 - dice)
    return Score(
        dice=dice, bai2019_mm=distance, all_borders_mm=distance, hausdorff95_mm=2 * distance, n_scored=3, n_missed=0, n_invented=0
    )
