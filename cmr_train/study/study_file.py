"""What a study compares, from a TOML file or from options, with every problem named at once."""

import difflib
import re
import tomllib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from types import UnionType
from typing import Any, TypeVar, get_args, get_origin, get_type_hints

from cmr_planes.views import TARGET_VIEWS, CardiacView
from cmr_train.choices import Preset, TransferMode
from cmr_train.config import GROUPS
from cmr_train.errors import ConfigError

Value = TypeVar("Value")
Kind = TypeVar("Kind", bound=StrEnum)

DEFAULT_VARIANT = "default"
"""Name of the only variant where none is named."""
STUDY_KEYS = ("name", "view", "data", "subjects", "modes", "seeds", "preset", "settings", "pretext", "finetune", "variants")
"""What a study file may say."""
VARIANT_KEYS = ("data", "preset", "settings", "pretext", "finetune")
"""What one of its variants may say otherwise."""

_AXES = ("view", "mode", "pretext")
_CELL_AXES = (*_AXES, "subjects", "subjects_seed", "seed")
_HINTS = {name: hint for group in GROUPS.values() for name, hint in get_type_hints(group).items()}
_KINDS: dict[type, tuple[tuple[type, ...], str]] = {
    bool: ((bool,), "true or false"),
    int: ((int,), "a whole number"),
    float: ((int, float), "a number"),
    str: ((str,), "a text"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Variant:
    """One way of doing everything; fields of :mod:`cmr_train.config` by name, for each of the two tasks."""

    name: str
    preset: Preset
    pretext: Mapping[str, Any]
    finetune: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Study:
    """What is compared."""

    name: str
    """Title of the report."""
    view: CardiacView
    """The view."""
    subjects: tuple[int, ...]
    """Numbers of annotated participants to learn from."""
    modes: tuple[TransferMode, ...]
    """Ways of transfer."""
    seeds: int
    """Each is another choice of participants and other first weights."""
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
            "view": self.view.value,
            "subjects": list(self.subjects),
            "modes": [mode.value for mode in self.modes],
            "seeds": self.seeds,
            "variants": {
                each.name: {"preset": each.preset.value, "pretext": _plain(each.pretext), "finetune": _plain(each.finetune)}
                for each in self.variants
            },
        }


def read_document(path: Path) -> dict[str, Any]:
    """Read a study file.

    Raises
    ------
    ConfigError
        It is not TOML.
    """
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError([f"{str(path)!r} is not a TOML file: {error}"]) from error


def parse_study(document: Mapping[str, Any]) -> Study:
    """Make a study of what a file or the options say.

    Raises
    ------
    ConfigError
        Something in it is unknown or of the wrong kind; everything is listed.
    """
    found = [_strange(key, STUDY_KEYS, "the study") for key in document if key not in STUDY_KEYS]
    view = _parsed(found, "view", lambda: _member(CardiacView, document.get("view", "sax"), TARGET_VIEWS))
    modes = _parsed(found, "modes", lambda: _distinct(document.get("modes", [*TransferMode]), lambda e: _member(TransferMode, e)))
    subjects = _parsed(found, "subjects", lambda: _distinct(document.get("subjects", [1, 5, 10, 50, 100]), _positive))
    seeds = _parsed(found, "seeds", lambda: _positive(document.get("seeds", 3)))
    name = _parsed(found, "name", lambda: _text(document.get("name", "study" if view is None else view.title)))
    variants = document.get("variants", {})
    if not isinstance(variants, dict) or not all(isinstance(each, dict) for each in variants.values()):
        found.append(f"variants must be tables, as in [variants.NAME], got {variants!r}")
        variants = {}
    base = {key: document[key] for key in VARIANT_KEYS if key in document}
    parsed = [_variant(found, DEFAULT_VARIANT, base, {})] if not variants else []
    for title, given in variants.items():
        found += [_strange(key, VARIANT_KEYS, f"variants.{title}") for key in given if key not in VARIANT_KEYS]
        if not re.fullmatch(r"[A-Za-z0-9_-]+", title):
            found.append(f"a variant's name is made of letters, digits, - and _, got {title!r}")
        parsed.append(_variant(found, title, base, given))
    if found or view is None or modes is None or subjects is None or seeds is None or name is None:
        raise ConfigError([*dict.fromkeys(found)])
    return Study(name=name, view=view, subjects=tuple(sorted(subjects)), modes=modes, seeds=seeds, variants=tuple(parsed))


def _variant(found: list[str], name: str, base: Mapping[str, Any], given: Mapping[str, Any]) -> Variant:
    """Lay a variant's tables over those of the study."""
    tables: dict[str, dict[str, Any]] = {}
    for key, axes in (("settings", _CELL_AXES), ("pretext", _AXES), ("finetune", _CELL_AXES)):
        tables[key] = {}
        for source, place in ((base, key), (given, f"variants.{name}.{key}")):
            table = source.get(key, {})
            if not isinstance(table, dict):
                found.append(f"{place} must be a table of settings, got {table!r}")
                continue
            tables[key] |= dict(_fields(found, place, table, axes))
    common = {**tables["settings"]}
    data = given.get("data", base.get("data"))
    if data is not None:
        common = dict(_fields(found, "data", {"data": data}, ())) | common
    preset = _parsed(found, "preset", lambda: _member(Preset, given.get("preset", base.get("preset", Preset.PAPER.value))))
    return Variant(
        name=name,
        preset=preset or Preset.PAPER,
        pretext=common | tables["pretext"],
        finetune=common | tables["finetune"],
    )


def _fields(found: list[str], where: str, table: Mapping[str, Any], axes: Iterable[str]) -> Iterator[tuple[str, Any]]:
    """Give the fields of a table the types of the configuration."""
    for name, value in table.items():
        place = where if where == name else f"{where}.{name}"
        if name in axes:
            found.append(f"{place} is what the study varies; it has no place here")
        elif name not in _HINTS:
            found.append(_strange(name, [each for each in _HINTS if each not in axes], where))
        else:
            converted = _parsed(found, place, lambda hint=_HINTS[name], given=value: _typed(hint, given))  # type: ignore[misc]
            if converted is not None:
                yield name, converted


def _typed(hint: Any, value: Any) -> Any:  # noqa: ANN401  # of any field
    """Turn a value of TOML into what a field's type asks for; raises ValueError with what was expected."""
    if isinstance(hint, UnionType):
        hint = next(each for each in get_args(hint) if each is not type(None))
    if get_origin(hint) is tuple:
        inner = get_args(hint)
        length = None if inner[-1] is ... else len(inner)
        if not isinstance(value, list) or (length is not None and len(value) != length):
            raise ValueError(f"a list{'' if length is None else f' of {length}'}, got {value!r}")
        return tuple(_typed(inner[0], each) for each in value)
    if issubclass(hint, StrEnum):
        return _member(hint, value)
    if hint is Path:
        return Path(_text(value))
    kinds, words = _KINDS[hint]
    if not isinstance(value, kinds) or (isinstance(value, bool) and hint is not bool):
        raise ValueError(f"{words}, got {value!r}")
    return hint(value)


def _parsed(found: list[str], place: str, parse: Callable[[], Value]) -> Value | None:
    """Parse a value, or note what was expected."""
    try:
        return parse()
    except ValueError as error:
        found.append(f"{place} must be {error}")
        return None


def _member(kind: type[Kind], value: object, members: Iterable[Kind] | None = None) -> Kind:
    allowed: list[Kind] = [*(kind if members is None else members)]
    chosen = next((each for each in allowed if isinstance(value, str) and each.value == value.lower()), None)
    if chosen is None:
        close = difflib.get_close_matches(str(value), [each.value for each in allowed], n=1)
        hint = f"; did you mean {close[0]!r}?" if close else ""
        raise ValueError(f"one of {', '.join(each.value for each in allowed)}, got {value!r}{hint}")
    return chosen


def _distinct(values: object, parse: Callable[[object], Value]) -> tuple[Value, ...]:
    if not isinstance(values, list | tuple) or not values:
        raise ValueError(f"a list with something in it, got {values!r}")
    parsed = tuple(parse(each) for each in values)
    if len(set(parsed)) < len(parsed):
        raise ValueError(f"a list without repetition, got {values!r}")
    return parsed


def _positive(value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise ValueError(f"whole and more than 0, got {value!r}")
    return value


def _text(value: object) -> str:
    if not isinstance(value, str) or not value.strip():
        raise ValueError(f"a text, got {value!r}")
    return value


def _strange(name: str, known: Iterable[str], where: str) -> str:
    close = difflib.get_close_matches(name, [*known], n=1)
    return f"{where} has no setting {name!r}" + (f"; did you mean {close[0]!r}?" if close else "")


def _plain(values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value.as_posix() if isinstance(value, Path) else value for name, value in values.items()}
