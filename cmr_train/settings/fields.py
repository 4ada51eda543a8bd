"""Settings: what a field of the configuration means, its default and allowed values, and plain values made typed.

A setting is a field of a frozen dataclass that :func:`setting` makes. Command-line options and their help, the checks of study
files, of stored configurations and of values given in Python all follow from it. Nothing here imports torch or click.
"""

import dataclasses
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import Enum, IntEnum, StrEnum
from pathlib import Path
from types import UnionType
from typing import TYPE_CHECKING, Any, TypeVar, get_args, get_origin, get_type_hints

from cmr_planes.system.suggestion import suggest
from cmr_train.errors import ConfigError, SettingProblem
from cmr_train.settings.interval import Interval

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

Value = TypeVar("Value")
Group = TypeVar("Group", bound="DataclassInstance")
Member = TypeVar("Member", bound=Enum)


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """A field of the configuration, and all that is known about it."""

    name: str
    """The field's name: the word for it in Python, in study files and in ``config.json``."""
    kind: Any
    """The field's type."""
    default: Any
    """The field's default."""
    help: str
    """The meaning, in a sentence."""
    flags: tuple[str, ...]
    """Command-line options that set it, the first one preferred."""
    unit: str
    """Unit of the value, empty if it has none."""
    interval: Interval | None
    """Allowed numbers, None for all."""
    members: tuple[Enum, ...]
    """Allowed members of an enum, empty for all."""
    default_text: str
    """The default in words, where the value does not explain itself; else empty."""

    def parse(self, value: object) -> Any:  # noqa: ANN401  # of the field's type
        """Turn a plain value into one of the field's type, and check that it is allowed.

        Raises
        ------
        ValueError
            The message says what is expected and what was found, to follow "must be".
        """
        typed = convert(self.kind, value, self.members)
        numbers = typed if isinstance(typed, tuple) else () if typed is None else (typed,)
        for number in numbers:
            if self.interval is not None and not isinstance(number, StrEnum) and number not in self.interval:
                raise ValueError(f"{self.allowed}, got {number}")
        return typed

    @property
    def allowed(self) -> str:
        """The allowed numbers in words, with their unit."""
        return f"{self.interval} {self.unit}".strip()


def setting(
    default: Value,
    help: str,  # noqa: A002  # click's name for it
    *,
    flags: tuple[str, ...] = (),
    unit: str = "",
    interval: Interval | None = None,
    members: tuple[Enum, ...] = (),
    default_text: str = "",
) -> Value:
    """Make a field of a dataclass a setting; parameters as the fields of :class:`Setting`, ``flags`` from the name by default."""
    metadata = {
        "help": help,
        "flags": flags,
        "unit": unit,
        "interval": interval,
        "members": members,
        "default_text": default_text,
    }
    return dataclasses.field(default=default, metadata=metadata)


def settings_of(group: type) -> dict[str, Setting]:
    """Return the settings of a dataclass by name, in their order."""
    hints = get_type_hints(group)
    return {
        field.name: Setting(
            name=field.name,
            kind=hints[field.name],
            default=field.default,
            **{**field.metadata, "flags": field.metadata["flags"] or (f"--{field.name.replace('_', '-')}",)},
        )
        for field in dataclasses.fields(group)
        if "help" in field.metadata
    }


def convert(kind: Any, value: object, members: Iterable[Enum] = ()) -> Any:  # noqa: ANN401  # a type, and one of its values
    """Turn a plain value, as JSON, TOML or Python give it, into one of a field's type.

    Parameters
    ----------
    kind
        The type: a number, text, path, enum, tuple of these, dataclass, or one of these or None.
    value
        The value; one that has the type already stays. A list may be text with commas.
    members
        Allowed members of an enum, empty for all.

    Raises
    ------
    ValueError
        The message says what is expected and what was found, to follow "must be".
    """
    if isinstance(kind, UnionType):
        if value is None and type(None) in get_args(kind):
            return None
        kinds = without_none(kind)
        if len(kinds) > 1:
            number, words = kinds
            return _number_or_member(number, words, value)
        kind = kinds[0]
    if get_origin(kind) is Mapping:
        return _named_values(value)
    if get_origin(kind) is tuple:
        return _convert_items(get_args(kind), value, members)
    if isinstance(kind, type) and dataclasses.is_dataclass(kind):
        return read_group(kind, value)
    if issubclass(kind, StrEnum | IntEnum):
        return _member(value, tuple(members) or tuple(kind))
    if issubclass(kind, str | Path):
        return _text(kind, value)
    return _number(kind, value)


def member_of(kind: type[Member], value: str, name: str) -> Member:
    """Return a member of a closed set from its text, in any case.

    Parameters
    ----------
    kind
        The closed set.
    value
        A member, or its text.
    name
        The parameter that it is the value of, for the message.

    Raises
    ------
    ConfigError
        The set has no such member.
    """
    try:
        return _member(value, tuple(kind))
    except ValueError as error:
        raise ConfigError([SettingProblem(name, f"must be {error}")]) from error


def read_group(kind: type[Group], value: object) -> Group:
    """Make a dataclass of settings, and of groups of them, from plain values by name.

    Raises
    ------
    ConfigError
        A name is unknown or missing, or a value cannot be used; every problem of the group is listed.
    """
    if not isinstance(value, Mapping):
        raise ConfigError([f"the stored {kind.__name__} holds {value!r:.40}, and named settings are expected"])
    hints, settings = get_type_hints(kind), settings_of(kind)
    found = [
        f"the stored configuration has a setting {name!r} that this release does not know" for name in value if name not in hints
    ]
    values: dict[str, Any] = {}
    for name in hints.keys() & value.keys():
        try:
            values[name] = settings[name].parse(value[name]) if name in settings else convert(hints[name], value[name])
        except ValueError as error:
            found.append(f"the stored setting {name} must be {error}")
    if found:
        raise ConfigError(found)
    try:
        return kind(**values)
    except TypeError as error:
        raise ConfigError([f"the stored {kind.__name__} is incomplete: {error}"]) from error


def to_plain(value: Any) -> Any:  # noqa: ANN401  # whatever a dataclass of settings holds
    """Turn paths, enums and tuples into what JSON can hold; the inverse of :func:`convert`."""
    if isinstance(value, Mapping):
        return {str(key): to_plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [to_plain(item) for item in value]
    if isinstance(value, StrEnum | IntEnum):
        return word_of(value)
    return value.as_posix() if isinstance(value, Path) else value


def word_of(member: Enum) -> str:
    """Return the text that stands for a member of a closed set: its value, or its name in small letters where that is a number."""
    return str(member.value) if isinstance(member, StrEnum) else member.name.lower()


def without_none(kind: UnionType) -> tuple[Any, ...]:
    """Return the types of a union, None left out."""
    return tuple(option for option in get_args(kind) if option is not type(None))


def _number_or_member(number: type[float], words: type[StrEnum], value: object) -> float | StrEnum:
    """Read a number, or a member of an enum."""
    plain = _from_text(number, value) if isinstance(value, str) and not isinstance(value, StrEnum) else value
    try:
        return _member(plain, tuple(words)) if isinstance(plain, str) else _number(number, plain)
    except ValueError as error:
        raise ValueError(f"a number, or one of {', '.join(words)}, got {value!r}") from error


def _convert_items(kinds: tuple[Any, ...], value: object, members: Iterable[Enum]) -> tuple[Any, ...]:
    length = None if kinds[-1] is ... else len(kinds)
    if isinstance(value, str):
        value = [_from_text(kinds[0], text.strip()) for text in value.split(",") if text.strip()]
    if not isinstance(value, list | tuple) or (length is not None and len(value) != length):
        raise ValueError(f"a list{'' if length is None else f' of {length}'}, got {value!r}")
    return tuple(convert(kinds[0], item, members) for item in value)


def _named_values(value: object) -> Mapping[str, object]:
    """Return values by name as they are."""
    if not isinstance(value, Mapping) or not all(isinstance(name, str) for name in value):
        raise ValueError(f"values by name, got {value!r:.40}")
    return value


def _from_text(kind: type, text: str) -> object:
    """Read a number, if one is expected and the text is one."""
    try:
        return kind(text) if kind in (int, float) else text
    except ValueError:
        return text


def _member(value: object, members: tuple[Member, ...]) -> Member:
    words = [word_of(member) for member in members]
    chosen = next((member for member in members if member is value), None)
    if chosen is None and isinstance(value, str):
        chosen = dict(zip(words, members, strict=True)).get(value.lower())
    if chosen is None:
        raise ValueError(f"one of {', '.join(words)}, got {value!r}{suggest(str(value), words)}")
    return chosen


def _text(kind: type[str] | type[Path], value: object) -> str | Path:
    if not isinstance(value, kind | str) or not str(value).strip():
        raise ValueError(f"a text, got {value!r}")
    return kind(value)


def _number(kind: type[bool | int | float], value: object) -> float:
    words = {bool: "true or false", int: "a whole number", float: "a number"}[kind]
    if type(value) is not kind and not (kind is float and type(value) is int):
        raise ValueError(f"{words}, got {value!r}")
    return kind(value)
