"""What a series' name says: a view, an exclusion, or nothing.

Names are hints; headers and geometry judge. :mod:`cmr_planes.cine.name_patterns` holds the words of many sites, and a TOML file
adds those of another::

    [views]                     # regular expressions, matched on the lower-case name with runs of other
    sax = ["kurzachse"]         # characters than letters and digits turned into one space
    4ch = ["vierkammer"]
    [exclude]                   # series that are never used
    localiser = ["uebersicht"]
    [keep]                      # series that no built-in word excludes
    cine = ["retro rt"]
"""

import re
import tomllib
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import IntEnum
from functools import lru_cache
from pathlib import Path
from typing import TypeVar

from cmr_planes.cine.name_patterns import HINTING_EXCLUSIONS, STRESS_PATTERNS, TELLING_EXCLUSIONS, VIEW_PATTERNS
from cmr_planes.errors import SourceError
from cmr_planes.system.reasons import reason
from cmr_planes.views import CardiacView

K = TypeVar("K")

_SECTIONS = ("views", "exclude", "keep")


class Strength(IntEnum):
    """How much a word of exclusion says."""

    HINT = 1
    """It means something else at other sites: headers, geometry and other words outvote it."""
    TELLING = 2
    """It is the name of another kind of image."""
    OWN = 3
    """The user's own table says so."""


@dataclass(frozen=True, slots=True)
class Exclusion:
    """A word by which a series is no cine of the views."""

    reason: str
    """The kind of series, as in ``"late enhancement"``."""
    strength: Strength
    """How much the word says."""
    pattern: re.Pattern[str]
    """What matches it."""


@dataclass(frozen=True, slots=True)
class NameTable:
    """Patterns by which names hint at views and exclusions."""

    views: tuple[tuple[CardiacView, re.Pattern[str]], ...]
    """The built-in words."""
    own_views: tuple[tuple[CardiacView, re.Pattern[str]], ...]
    """The user's words, which go before the built-in ones."""
    known_exclusions: tuple[Exclusion, ...]
    """Strongest first."""
    stress: tuple[re.Pattern[str], ...] = ()
    """Names of cines under stress."""
    keep: tuple[re.Pattern[str], ...] = ()
    """Names that no built-in word excludes."""
    source: str = ""
    """The text of the user's TOML file, kept in the run's configuration."""

    def view(self, *names: str) -> CardiacView | None:
        """Return the view that the first telling name hints at; None if none tells, or if one name tells of several views."""
        for forms in map(_forms, names):
            for patterns in (self.own_views, self.views):
                hints = {view for view, pattern in patterns if _matches(pattern, forms)}
                if hints:
                    return hints.pop() if len(hints) == 1 else None
        return None

    def is_stress(self, name: str) -> bool:
        """Tell whether a name says that the heart was under stress."""
        forms = _forms(name)
        return any(_matches(pattern, forms) for pattern in self.stress)

    def exclusions(self, name: str) -> tuple[Exclusion, ...]:
        """Return the words of a name by which its series is no cine of the views, strongest first."""
        forms = _forms(name)
        least = Strength.OWN if any(_matches(pattern, forms) for pattern in self.keep) else Strength.HINT
        return tuple(word for word in self.known_exclusions if word.strength >= least and _matches(word.pattern, forms))


def load_names(path: Path | None = None) -> NameTable:
    """Return the built-in table, with the patterns of a site's TOML file added.

    Raises
    ------
    SourceError
        The file cannot be read or is not TOML, or holds an unknown section or view, a pattern that is in no list, or a broken
        regular expression.

    Examples
    --------
    >>> names = load_names()
    >>> names.view("CINE_segmented_SAX_b3"), names.view("VLA_CINE_SENSE"), names.exclusions("CINE_segmented_SAX_InlineVF")[0].reason
    (<CardiacView.SAX: 'sax'>, <CardiacView.TWO_CHAMBER: '2ch'>, 'drawn-in contours')
    """
    try:
        text = path.read_text(encoding="utf-8") if path else ""
    except OSError as error:
        raise SourceError(f"{path}: cannot be read ({reason(error)}); check the path and its permissions") from error
    except UnicodeDecodeError as error:
        raise SourceError(f"{path} is not a table of names: {error}") from error
    return parse_names(text, str(path))


def parse_names(text: str, name: str) -> NameTable:
    """Return the built-in table, with the patterns of a TOML text added; ``name`` is what sentences call it.

    Raises
    ------
    SourceError
        As of :func:`load_names`.
    """
    try:
        added = tomllib.loads(text)
        own = {section: _patterns(section, added.pop(section, {})) for section in _SECTIONS}
        own_views = tuple((CardiacView(view), pattern) for view, pattern in own["views"])
    except (TypeError, ValueError, OverflowError, RecursionError, re.error) as error:
        raise SourceError(f"{name} is not a table of names: {error}") from error
    if added:
        known = ", ".join(f"[{section}]" for section in _SECTIONS)
        raise SourceError(f"{name} has an unknown section [{next(iter(added))}]; {known} are known")
    return NameTable(
        views=_compiled(VIEW_PATTERNS),
        own_views=own_views,
        known_exclusions=(
            *(Exclusion(why, Strength.OWN, pattern) for why, pattern in own["exclude"]),
            *(Exclusion(why, Strength.TELLING, pattern) for why, pattern in _compiled(TELLING_EXCLUSIONS)),
            *(Exclusion(why, Strength.HINT, pattern) for why, pattern in _compiled(HINTING_EXCLUSIONS)),
        ),
        stress=tuple(map(_compile, STRESS_PATTERNS)),
        keep=tuple(pattern for _, pattern in own["keep"]),
        source=text,
    )


def _patterns(section: str, table: object) -> list[tuple[str, re.Pattern[str]]]:
    """Compile a section of the user's file; raises TypeError or re.error."""
    if not isinstance(table, dict):
        raise TypeError(f'{section} must be a section: a line [{section}], then lines like name = ["pattern"]')
    for key, patterns in table.items():
        if not isinstance(patterns, list) or not all(isinstance(pattern, str) for pattern in patterns):
            raise TypeError(f'{key} in [{section}] must be a list of patterns, as in {key} = ["pattern"]')
    return [(key, _compile(pattern)) for key, patterns in table.items() for pattern in patterns]


def _compiled(table: Mapping[K, Iterable[str]]) -> tuple[tuple[K, re.Pattern[str]], ...]:
    """Compile a built-in table."""
    return tuple((key, _compile(pattern)) for key, patterns in table.items() for pattern in patterns)


def _compile(pattern: str) -> re.Pattern[str]:
    """Compile a pattern in the form of letters that names are brought to."""
    return re.compile(unicodedata.normalize("NFKC", pattern), re.IGNORECASE)


@lru_cache(maxsize=256)
def _forms(name: str) -> tuple[str, ...]:
    """Return the words of a name as they are written, and without their accents."""
    letters = unicodedata.normalize("NFKC", name.lower())
    words = " ".join("".join(char if _is_of_word(char) else " " for char in letters).split())
    return (words,) if words.isascii() else (words, _without_accents(words))


def _matches(pattern: re.Pattern[str], forms: Iterable[str]) -> bool:
    """Tell whether a pattern matches a form of a name."""
    return any(pattern.search(form) for form in forms)


def _is_of_word(char: str) -> bool:
    """Tell whether a character is a letter, a digit, or a mark that belongs to one."""
    return char.isalnum() or unicodedata.category(char).startswith("M")


def _without_accents(words: str) -> str:
    """Return words whose letters have lost their marks: "übersicht" is "ubersicht"."""
    letters = (char for char in unicodedata.normalize("NFD", words) if not unicodedata.combining(char))
    return unicodedata.normalize("NFC", "".join(letters))
