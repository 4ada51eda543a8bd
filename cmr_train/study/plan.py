"""A study on paper: the runs that it takes. Pure: nothing here reads images or imports torch."""

import dataclasses
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

from cmr_train.choices import Preset, Recipe, TransferMode
from cmr_train.config import RunConfig, TransferConfig, inherited
from cmr_train.errors import ConfigError
from cmr_train.presets import configure
from cmr_train.study.study_file import DEFAULT_VARIANT, Study

PRETEXTS, CELLS = "pretexts", "cells"
"""Folders of a study's runs."""

_MULTITASK_ONLY = {each.name for each in dataclasses.fields(TransferConfig)} - {"mode", "pretext"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Pretext:
    """A run of the pretext task."""

    name: str
    config: RunConfig

    @property
    def folder(self) -> str:
        """Where it lies in the study's folder."""
        return f"{PRETEXTS}/{self.name}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """One segmentation network of the comparison."""

    name: str
    variant: str
    mode: TransferMode
    subjects: int
    seed: int
    pretext: str | None
    """Name of the pretext that it needs."""
    folder: str
    """Where it lies in the study's folder; cells that are the same share one."""
    config: RunConfig


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """All runs of a study."""

    study: Study
    pretexts: tuple[Pretext, ...]
    cells: tuple[Cell, ...]

    @property
    def runs(self) -> tuple[Cell, ...]:
        """The cells that have to be run: one of those that share a folder."""
        return tuple({cell.folder: cell for cell in reversed(self.cells)}.values())[::-1]

    @property
    def everything(self) -> tuple[Pretext | Cell, ...]:
        """All that is run, in its order."""
        return (*self.pretexts, *self.runs)


def make_plan(study: Study, folder: Path) -> Plan:
    """Resolve the configuration of every run.

    Parameters
    ----------
    study
        What is compared.
    folder
        The study's folder: a transfer's configuration names its pretext in it.

    Raises
    ------
    ConfigError
        Some cannot be used; everything is listed, once.
    """
    problems: list[str] = []
    pretexts: dict[RunConfig, Pretext] = {}
    cells: list[Cell] = []
    folders: dict[RunConfig, str] = {}
    for variant in study.variants:
        where = "" if variant.name == DEFAULT_VARIANT else f"variants.{variant.name}: "
        source = _resolved(problems, f"{where}pretext: ", Recipe.PRETEXT, variant.preset, view=study.view, **variant.pretext)
        pretext = None if source is None else pretexts.setdefault(source, Pretext(name=variant.name, config=source))
        for mode, subjects, seed in product(study.modes, study.subjects, range(study.seeds)):
            needs = None if mode is TransferMode.SCRATCH else pretext
            given = {} if source is None else inherited(source, mode)
            given |= {name: each for name, each in variant.finetune.items() if _matters(name, mode)}
            given |= {"view": study.view, "mode": mode, "subjects": subjects, "subjects_seed": seed, "seed": seed}
            given["pretext"] = None if needs is None else folder / needs.folder
            config = _resolved(problems, f"{where}finetune: ", Recipe.FINETUNE, variant.preset, **given)
            if config is None:
                continue
            name = f"{mode.value}-n{subjects}-s{seed}"
            name = name if len(study.variants) == 1 else f"{variant.name}.{name}"
            cells.append(
                Cell(
                    name=name,
                    variant=variant.name,
                    mode=mode,
                    subjects=subjects,
                    seed=seed,
                    pretext=None if needs is None else needs.name,
                    folder=folders.setdefault(config, f"{CELLS}/{name}"),
                    config=config,
                )
            )
    if problems:
        raise ConfigError([*dict.fromkeys(problems)])
    needed = {cell.pretext for cell in cells}
    return Plan(study=study, pretexts=tuple(each for each in pretexts.values() if each.name in needed), cells=tuple(cells))


def _matters(name: str, mode: TransferMode) -> bool:
    """Return whether a setting changes anything in a mode; what does not is left out, so that equal cells are one."""
    return mode is TransferMode.MULTITASK or name not in _MULTITASK_ONLY


def _resolved(problems: list[str], where: str, recipe: Recipe, preset: Preset, **given: Any) -> RunConfig | None:  # noqa: ANN401  # fields
    try:
        return configure(recipe, preset, **given)
    except ConfigError as error:
        problems += [f"{where}{each}" for each in error.problems]
        return None
