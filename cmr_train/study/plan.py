"""The plan of a study: its runs and their configurations. Nothing here reads images or imports torch."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

from cmr_train.choices import Head, Preset, Recipe, TransferMode, Weights
from cmr_train.config import DataConfig, PretextConfig, RunConfig, TransferConfig, inherited
from cmr_train.errors import ConfigError
from cmr_train.presets import configure
from cmr_train.settings.fields import settings_of
from cmr_train.study.study_file import DEFAULT_VARIANT, Study, Variant

PRETEXTS, NETWORKS = "pretexts", "cells"
"""Folders of a study's runs of each task."""

_PRETEXT_ONLY = settings_of(PretextConfig).keys()
_MULTITASK_ONLY = settings_of(TransferConfig).keys() - {"mode", "pretext", "people", "people_key", "structures", "ignore_undrawn"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Pretext:
    """A run of the pretext task."""

    name: str
    config: RunConfig

    @property
    def weights(self) -> Weights:
        """The weights that are scored: those from which the networks start."""
        return Weights.LAST

    @property
    def folder(self) -> str:
        """Its folder in the study's."""
        return f"{PRETEXTS}/{self.name}"


@dataclass(frozen=True, slots=True, kw_only=True)
class StudyRun:
    """The run of one segmentation network of the comparison."""

    name: str
    variant: str
    mode: TransferMode
    subjects: int
    seed: int
    pretext: str | None
    """Name of the pretext that it starts from."""
    folder: str
    """Its folder in the study's; runs of the same configuration share one."""
    config: RunConfig
    weights: Weights
    """The weights that are scored."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StudyPlan:
    """All runs of a study."""

    study: Study
    pretexts: tuple[Pretext, ...]
    combinations: tuple[StudyRun, ...]
    """One for each variant, transfer mode, number of participants and seed."""

    @property
    def runs(self) -> tuple[StudyRun, ...]:
        """The combinations that are run: the first of those that share a folder."""
        return tuple({run.folder: run for run in reversed(self.combinations)}.values())[::-1]

    @property
    def everything(self) -> tuple[Pretext | StudyRun, ...]:
        """All that is run, in the order of the runs."""
        return (*self.pretexts, *self.runs)


def plan_study(study: Study, folder: Path) -> StudyPlan:
    """Resolve the configuration of every run.

    Parameters
    ----------
    study
        What is compared.
    folder
        The study's folder; the configuration of a transfer holds the path of its pretext.

    Raises
    ------
    ConfigError
        Settings cannot be used together; every problem is listed once.
    """
    problems: list[str] = []
    pretexts: dict[RunConfig, Pretext] = {}
    combinations: list[StudyRun] = []
    folders: dict[RunConfig, str] = {}
    for variant in study.variants:
        where = "" if variant.name == DEFAULT_VARIANT else f"variants.{variant.name}: "
        sources = [
            _resolved(problems, f"{where}pretext: ", Recipe.PRETEXT, variant.preset, view=study.view, **given)
            for given in _pretext_settings(study, variant)
        ]
        for mode, subjects, seed in product(study.modes, study.subjects, range(study.seeds)):
            source = sources[seed if study.pretext_per_seed else 0]
            needs = None
            if mode is not TransferMode.SCRATCH and source is not None:
                name = f"{variant.name}-s{seed}" if study.pretext_per_seed else variant.name
                needs = pretexts.setdefault(source, Pretext(name=name, config=source))
            given = {} if source is None else inherited(source, mode)
            given |= {name: value for name, value in variant.finetune.items() if _matters(name, mode)}
            given |= {"view": study.view, "mode": mode, "subjects": subjects, "subjects_seed": seed, "seed": seed}
            given["pretext"] = None if needs is None else folder / needs.folder
            if mode is TransferMode.MULTITASK and source is not None and source.data.data != given.get("data", DataConfig().data):
                given.setdefault("pretext_data", source.data.data)
            config = _resolved(problems, f"{where}finetune: ", Recipe.FINETUNE, variant.preset, **given)
            if config is None:
                continue
            if study.weights is Weights.BEST and not config.runtime.validate_every:
                problems.append(f"{where}finetune: the best weights are chosen by validation; set validate_every")
            name = f"{mode.value}-n{subjects}-s{seed}"
            name = name if len(study.variants) == 1 else f"{variant.name}.{name}"
            combinations.append(
                StudyRun(
                    name=name,
                    variant=variant.name,
                    mode=mode,
                    subjects=subjects,
                    seed=seed,
                    pretext=None if needs is None else needs.name,
                    folder=folders.setdefault(config, f"{NETWORKS}/{name}"),
                    config=config,
                    weights=study.weights,
                )
            )
    structures = {", ".join(run.config.class_names(Head.STRUCTURES).values()): None for run in combinations}
    if len(structures) > 1:
        problems.append(f"the variants segment different structures ({'; '.join(structures)}), which one table cannot compare")
    if problems:
        raise ConfigError([*dict.fromkeys(problems)])
    return StudyPlan(study=study, pretexts=tuple(pretexts.values()), combinations=tuple(combinations))


def _pretext_settings(study: Study, variant: Variant) -> Iterator[Mapping[str, Any]]:
    """Give the settings of the pretexts of a variant, by seed; of one for all seeds unless the study has one per seed."""
    if not study.pretext_per_seed:
        yield variant.pretext
        return
    for seed in range(study.seeds):
        yield {**variant.pretext, "seed": seed, "subjects_seed": seed}


def _matters(name: str, mode: TransferMode) -> bool:
    """Return whether a setting changes anything in a mode; what does not is left out, so that equal runs are one."""
    return name not in _PRETEXT_ONLY and (mode is TransferMode.MULTITASK or name not in _MULTITASK_ONLY)


def _resolved(problems: list[str], where: str, recipe: Recipe, preset: Preset, **given: Any) -> RunConfig | None:  # noqa: ANN401  # fields
    try:
        return configure(recipe, preset, **given)
    except ConfigError as error:
        problems += [f"{where}{problem}" for problem in error.problems]
        return None
