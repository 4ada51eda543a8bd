"""What a series' name says: a view, an exclusion, or nothing.

Names are hints; geometry judges. One table holds the patterns of many sites, and a TOML file adds those of another::

    [views]                     # regular expressions, matched on the lower-case name with runs of other
    sax = ["kurzachse"]         # characters than letters and digits turned into one space
    4ch = ["vierkammer"]
    [exclude]
    localiser = ["uebersicht"]
"""

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import TypeVar

from cmr_planes.errors import SourceError
from cmr_planes.system.reasons import reason
from cmr_planes.views import CardiacView

K = TypeVar("K")

_VIEW_PATTERNS: Mapping[CardiacView, tuple[str, ...]] = MappingProxyType(
    {
        CardiacView.SAX: (r"\bsax?\d*\b", r"\bsao\b", r"short ?ax(is)?", r"\bkurzachse\b", r"\bpetit axe\b"),
        CardiacView.TWO_CHAMBER: (
            r"\b(lv)? ?2 ?c(h(amber)?s?)?\b",
            r"\blv2ch\b",
            r"\btwo ?ch(amber)?",
            r"\bvla\b",
            r"vertical long",
        ),
        CardiacView.THREE_CHAMBER: (r"3 ?c(h(amber)?s?)?\b", r"\bthree ?ch(amber)?", r"\blvot\b", r"\baplax\b"),
        CardiacView.FOUR_CHAMBER: (r"\b4 ?c(h(amber)?s?|n)?\b", r"\bfour ?ch(amber)?", r"\bhla\b", r"horizontal long"),
    }
)

_EXCLUSION_PATTERNS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "localiser": (r"\bloc\b", r"locali[sz]er", r"\bscout", r"\bsurvey\b", r"\bplan(ning)?\b", r"\bdefine"),
        "drawn-in contours": (r"inline ?vf",),
        "right-ventricular view": (r"\brv ?2 ?ch", r"\bvla rv\b", r"\brv vla\b", r"\brvot\b", r"\brv ?3 ?ch"),
        "valve or vessel": (r"aort", r"\bao\b", r"valve", r"\bav\b", r"pulmonary", r"\bpa\b"),
        "late enhancement": (
            r"\blge\b",
            r"\bde\b",
            r"psir",
            r"\blate\b",
            r"delayed",
            r"enhance",
            r"\bmde\b",
            r"\bti ?scout\b",
            r"cine ?ir\b",
        ),
        "tagging": (r"\btag",),
        "flow": (r"flow", r"\bvenc", r"\bpc\b", r"phase ?contrast", r"velocity"),
        "mapping": (r"\bt1", r"\bt2", r"molli", r"\bmaps?\b"),
        "perfusion": (r"perf",),
        "real-time": (r"real ?time", r"\brt\b"),
    }
)


@dataclass(frozen=True, slots=True)
class NameTable:
    """Patterns by which names hint at views and exclusions."""

    views: tuple[tuple[CardiacView, re.Pattern[str]], ...]
    exclusions: tuple[tuple[str, re.Pattern[str]], ...]
    source: str = ""
    """The text of the user's TOML file, kept in the run's configuration."""

    def view(self, *names: str) -> CardiacView | None:
        """Return the view that the first telling name hints at; None if none tells, or if one name tells of several views."""
        for name in names:
            hints = {view for view, pattern in self.views if pattern.search(_normalised(name))}
            if hints:
                return hints.pop() if len(hints) == 1 else None
        return None

    def exclusion(self, *names: str) -> str:
        """Return why a series of these names is never a cine view, or an empty text."""
        for name in names:
            for code, pattern in self.exclusions:
                if pattern.search(_normalised(name)):
                    return code
        return ""


def load_names(path: Path | None = None) -> NameTable:
    """Return the built-in table, with the patterns of a site's TOML file added.

    Raises
    ------
    SourceError
        The file cannot be read or is not TOML, or holds an unknown section, view or a broken regular expression.

    Examples
    --------
    >>> names = load_names()
    >>> names.view("CINE_segmented_SAX_b3"), names.view("VLA_CINE_SENSE"), names.exclusion("CINE_segmented_SAX_InlineVF")
    (<CardiacView.SAX: 'sax'>, <CardiacView.TWO_CHAMBER: '2ch'>, 'drawn-in contours')
    """
    try:
        text = path.read_text(encoding="utf-8") if path else ""
        added = tomllib.loads(text)
        added_views = {CardiacView(view): patterns for view, patterns in added.pop("views", {}).items()}
        added_exclusions = dict(added.pop("exclude", {}))
        views = _compiled(_VIEW_PATTERNS, added_views)
        exclusions = _compiled(_EXCLUSION_PATTERNS, added_exclusions)
    except OSError as error:
        raise SourceError(f"{path}: cannot be read ({reason(error)}); check the path and its permissions") from error
    except (ValueError, TypeError, AttributeError, OverflowError, RecursionError, re.error) as error:
        raise SourceError(f"{path} is not a table of names: {error}") from error
    if added:
        raise SourceError(f"{path} has an unknown section [{next(iter(added))}]; [views] and [exclude] are known")
    return NameTable(views, exclusions, text)


def _compiled(known: Mapping[K, tuple[str, ...]], added: Mapping[K, list[str]]) -> tuple[tuple[K, re.Pattern[str]], ...]:
    """Join two tables of patterns and compile them."""
    keys = [*known, *(key for key in added if key not in known)]
    return tuple((key, re.compile(pattern)) for key in keys for pattern in (*known.get(key, ()), *added.get(key, ())))


def _normalised(name: str) -> str:
    """Return lower-case words of letters and digits, single spaces between them."""
    return re.sub(r"[^a-z0-9]+", " ", name.lower()).strip()
