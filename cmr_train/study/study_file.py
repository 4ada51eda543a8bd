"""The settings of a study, from a TOML file or from options, with every problem named at once."""

import dataclasses
import os
import re
import tomllib
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from cmr_planes.system.names import folded, is_reserved
from cmr_planes.system.suggestion import suggest
from cmr_planes.views import TARGET_VIEWS, CardiacView
from cmr_train.choices import People, Preset, TransferMode, Weights
from cmr_train.config import SETTINGS, PretextConfig
from cmr_train.errors import ConfigError, SettingProblem
from cmr_train.settings.fields import convert, setting, settings_of, to_plain
from cmr_train.settings.interval import POSITIVE

Value = TypeVar("Value")

DEFAULT_VARIANT = "default"
"""Name of the only variant where none is named."""
VARIANT_KEYS = ("data", "preset", "settings", "pretext", "finetune")
"""Keys of a study file in which its variants may differ."""

_SLASHES = "write paths with / between folders, which Windows takes too; in TOML a \\ begins an escape"
_OF_PRETEXT = settings_of(PretextConfig)
_VARIED_BY_STUDY = ("view", "mode", "pretext")
_VARIED_BY_SEED = ("subjects_seed", "seed")
_VARIED_BY_RUN = (*_VARIED_BY_STUDY, "subjects", *_VARIED_BY_SEED)


@dataclass(frozen=True, slots=True, kw_only=True)
class Variant:
    """One choice of settings by name (:mod:`cmr_train.config`), for each of the two tasks."""

    name: str
    preset: Preset
    pretext: Mapping[str, Any]
    finetune: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class OtherTestSet:
    """Participants of another catalogue on which every network is scored, in place of the test set of its own."""

    data: Path
    """The catalogue."""
    split: Path | None = None
    """A file of participants and sets: those of ``test`` are scored; None for all annotated ones."""
    people: People | None = None
    """Whether equal keys in this catalogue and in those of the training are the same persons."""

    def to_json(self) -> dict[str, Any]:
        """Return what JSON can hold."""
        value: dict[str, Any] = to_plain(dataclasses.asdict(self))
        return value


@dataclass(frozen=True, slots=True, kw_only=True)
class Study:
    """A comparison of networks."""

    name: str
    """Title of the report."""
    note: str = ""
    """What a reader of the report must know of the data, under its title."""
    view: CardiacView = setting(CardiacView.SAX, "View of the images.", members=TARGET_VIEWS)
    subjects: tuple[int, ...] = setting(
        (1, 5, 10, 50, 100),
        "Numbers of annotated participants to train on, separated by commas.",
        flags=("--participants", "--subjects"),
        interval=POSITIVE,
    )
    modes: tuple[TransferMode, ...] = setting((*TransferMode,), "Transfer modes, separated by commas.")
    seeds: int = setting(
        3, "Number of seeds: each draws another subset of participants and new initial weights.", interval=POSITIVE
    )
    weights: Weights = setting(Weights.LAST, "Weights that are scored, the same choice for every network: last or best.")
    pretext_per_seed: bool = setting(
        False, "Train one pretext per seed, in place of one for all seeds: intervals then hold the variance of the pretext too."
    )
    few_tested: bool = setting(False, "Allow fewer than five test participants, who say little about others.")
    test: OtherTestSet | None = None
    """None for the test set of the catalogue that is trained on."""
    variants: tuple[Variant, ...]
    """At least one."""

    @property
    def slug(self) -> str:
        """The name as that of a folder."""
        return re.sub(r"[^a-z0-9]+", "-", self.name.lower()).strip("-") or "study"

    def to_json(self) -> dict[str, Any]:
        """Return what JSON can hold."""
        return {
            "name": self.name,
            "note": self.note,
            "view": self.view.value,
            "subjects": list(self.subjects),
            "modes": [mode.value for mode in self.modes],
            "seeds": self.seeds,
            "weights": self.weights.value,
            "pretext_per_seed": self.pretext_per_seed,
            "few_tested": self.few_tested,
            "test": None if self.test is None else self.test.to_json(),
            "variants": {
                variant.name: to_plain({"preset": variant.preset, "pretext": variant.pretext, "finetune": variant.finetune})
                for variant in self.variants
            },
        }


STUDY_SETTINGS = settings_of(Study)
"""The settings of a study by name, its variants' aside."""
STUDY_KEYS = ("name", "note", *STUDY_SETTINGS, "test", *VARIANT_KEYS, "variants")
"""Keys of a study file."""


def read_document(path: Path) -> dict[str, Any]:
    """Read a study file.

    Raises
    ------
    ConfigError
        It is not TOML.
    """
    text = ""
    try:
        text = path.read_text(encoding="utf-8")
        return tomllib.loads(text)
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        hint = f"; {_SLASHES}" if "\\" in text else ""
        raise ConfigError([f"{str(path)!r} is not a TOML file: {error}{hint}"]) from error


def parse_study(document: Mapping[str, Any]) -> Study:
    """Make a study of the values of a file or of options.

    Raises
    ------
    ConfigError
        A key is unknown or a value is not allowed; every problem is listed.
    """
    found: list[SettingProblem | str] = [_unknown(key, STUDY_KEYS, "the study") for key in document if key not in STUDY_KEYS]
    values = {key: _parsed(found, key, setting.parse, document[key]) for key, setting in STUDY_SETTINGS.items() if key in document}
    for key in ("subjects", "modes"):
        if values.get(key) is not None:
            _parsed(found, key, _distinct, values[key])
    view = values.get("view") or STUDY_SETTINGS["view"].default
    name = _parsed(found, "name", partial(convert, str), document.get("name", view.title))
    note = _parsed(found, "note", partial(convert, str), document["note"]) if "note" in document else ""
    variants = _variants(found, document, pretext_per_seed=bool(values.get("pretext_per_seed")))
    test = _other_test_set(found, document["test"]) if "test" in document else None
    if found:
        raise ConfigError([*dict.fromkeys(found)])
    study = Study(name=name, note=note, variants=variants, test=test, **values)
    return dataclasses.replace(study, subjects=tuple(sorted(study.subjects)))


def _other_test_set(found: list[SettingProblem | str], table: object) -> OtherTestSet | None:
    """Read the table of another test set."""
    known = [field.name for field in dataclasses.fields(OtherTestSet)]
    if not isinstance(table, dict) or "data" not in table:
        found.append(f'test must be a table with the catalogue to score on, data = "other.h5", got {table!r}')
        return None
    found += [_unknown(name, known, "test") for name in table if name not in known]
    values = {name: _parsed(found, f"test.{name}", SETTINGS[name].parse, table[name]) for name in known if name in table}
    return OtherTestSet(**values)


def _variants(found: list[SettingProblem | str], document: Mapping[str, Any], *, pretext_per_seed: bool) -> tuple[Variant, ...]:
    """Read the variants, or the only one where none is named."""
    base = {key: document[key] for key in VARIANT_KEYS if key in document}
    variants = document.get("variants", {})
    if not isinstance(variants, dict) or not all(isinstance(given, dict) for given in variants.values()):
        found.append(f"variants must be tables, as in [variants.NAME], got {variants!r}")
        variants = {}
    for name, given in variants.items():
        found += [_unknown(key, VARIANT_KEYS, f"variants.{name}") for key in given if key not in VARIANT_KEYS]
        if not re.fullmatch(r"[A-Za-z0-9_-]+", name):
            found.append(f"a variant's name is made of letters, digits, - and _, got {name!r}")
        elif is_reserved(name):
            found.append(f"a variant names folders, and Windows has a device called {name!r}; choose another name")
    if len({*map(folded, variants)}) < len(variants):
        found.append(
            "variants name folders, and two of these names differ in case only, which macOS and Windows ignore; rename one"
        )
    varied_in_pretext = (*_VARIED_BY_STUDY, *(_VARIED_BY_SEED if pretext_per_seed else ()))
    varied = {"settings": _VARIED_BY_RUN, "pretext": varied_in_pretext, "finetune": _VARIED_BY_RUN}
    return tuple(_variant(found, name, base, given, varied) for name, given in (variants or {DEFAULT_VARIANT: {}}).items())


def _variant(
    found: list[SettingProblem | str],
    name: str,
    base: Mapping[str, Any],
    given: Mapping[str, Any],
    varied_by_study: Mapping[str, Collection[str]],
) -> Variant:
    """Lay a variant's tables over those of the study; the settings that the study varies itself are refused in each."""
    tables: dict[str, dict[str, Any]] = {}
    for key, varied in varied_by_study.items():
        tables[key] = {}
        for source, where in ((base, key), (given, f"variants.{name}.{key}")):
            table = source.get(key, {})
            if not isinstance(table, dict):
                found.append(f"{where} must be a table of settings, got {table!r}")
                continue
            tables[key] |= _settings(found, where, table, varied)
    common = {**tables["settings"]}
    if "data" in base or "data" in given:
        common = {"data": _parsed(found, "data", SETTINGS["data"].parse, given.get("data", base.get("data")))} | common
    preset = _parsed(found, "preset", partial(convert, Preset), given.get("preset", base.get("preset", Preset.PAPER)))
    return Variant(
        name=name,
        preset=preset or Preset.PAPER,
        pretext=common | tables["pretext"],
        finetune=common | tables["finetune"],
    )


def _settings(found: list[SettingProblem | str], where: str, table: Mapping[str, Any], varied: Collection[str]) -> dict[str, Any]:
    """Read a table of settings, without those that the study varies."""
    values = {}
    for name, value in table.items():
        if name in _OF_PRETEXT and where.endswith("finetune"):
            found.append(f"{where}.{name} is that of the pretext; set it there")
        elif name in varied:
            found.append(f"{where}.{name} is varied by the study itself; leave it out")
        elif name not in SETTINGS:
            found.append(_unknown(name, [known for known in SETTINGS if known not in varied], where))
        else:
            values[name] = _parsed(found, f"{where}.{name}", SETTINGS[name].parse, value)
    return values


def _parsed(found: list[SettingProblem | str], where: str, parse: Callable[[Any], Any], value: object) -> Any:  # noqa: ANN401  # of any setting
    """Parse a value, or note what was expected and return None."""
    try:
        parsed = parse(value)
    except ValueError as error:
        found.append(SettingProblem(where, f"must be {error}"))
        return None
    if isinstance(parsed, Path) and _is_of_another_system(parsed):
        found.append(f"{where} is the path {str(parsed)!r}; {_SLASHES}")
    return parsed


def _is_of_another_system(path: Path) -> bool:
    r"""Tell whether a path holds what ``"runs\new"`` is without its escape, or separators that are none on this system."""
    return not str(path).isprintable() or (os.sep != "\\" and "\\" in str(path) and not path.exists())


def _distinct(values: tuple[Value, ...]) -> tuple[Value, ...]:
    if not values:
        raise ValueError("a list with something in it, got []")
    if len(set(values)) < len(values):
        raise ValueError(f"a list without repetition, got {to_plain(values)}")
    return values


def _unknown(name: str, known: Iterable[str], where: str) -> str:
    return f"{where} has no setting {name!r}{suggest(name, known)}"
