"""The built-in words of series names: views in six languages, and what is no cine of the views.

Patterns are matched on lower-case words without accents, one space between them ("Übersicht_2-Kammer" is "ubersicht 2 kammer").
"""

from collections.abc import Mapping
from types import MappingProxyType

from cmr_planes.views import CardiacView

_CHAMBERS = r"(c|ch|chs|chambers?|chambres?|kammer\w*|kb|cav\w*|cam|cam[ae]r\w*)"
"""What follows the number of chambers: "2ch", "2 cavites", "2 camaras", "2 camere", "2-Kammer-Blick"."""
_BEFORE = r"(\b|lax?|lv|cine|trufi)"
"""What may stand right before that number: "lax4ch", "LV2CH"."""
_LONG_AXIS = r"(long(ue)?( ax(is)?)?|langs? ?achse|lange achse|grand axe|eje largo|asse lungo|eixo longo)"
"""The long axis, to which sites add "vertical" or "horizontal"."""

VIEW_PATTERNS: Mapping[CardiacView, tuple[str, ...]] = MappingProxyType(
    {
        CardiacView.SAX: (
            r"(\b|cine)sax?\d*\b",
            r"\bsao\b",
            r"short ?ax(is|e)?",
            r"kurz(e|en)? ?achs",
            r"petit ?axe",
            r"eje ?corto",
            r"asse ?corto",
            r"eixo ?(curto|menor)",
        ),
        CardiacView.TWO_CHAMBER: (
            rf"{_BEFORE}2 ?{_CHAMBERS}\b",
            r"\btwo ?ch(amber)?",
            r"\b(zwei ?kammer|deux (cav|chambre)|dos cam|(duas|dois) (cam|cav)|due cam)",
            r"\bvla\b",
            rf"\bvertical(e|es)? {_LONG_AXIS}|\bvertikale {_LONG_AXIS}|{_LONG_AXIS} vertical",
        ),
        CardiacView.THREE_CHAMBER: (
            rf"(?<!\d)3 ?{_CHAMBERS}\b",
            r"\bthree ?ch(amber)?",
            r"\b(drei ?kammer|trois (cav|chambre)|tres (cam|cav)|tre cam)",
            r"\blvot\b|\blv ?ausfluss|\baplax\b",
            r"chambre de chasse (vg|gauche|du vg)",
        ),
        CardiacView.FOUR_CHAMBER: (
            rf"{_BEFORE}4 ?({_CHAMBERS}|cn)\b",
            r"\bfour ?ch(amber)?",
            r"\b(vier ?kammer|quatre (cav|chambre)|cuatro cam|quatro (cam|cav)|quattro cam)",
            r"\bhla\b",
            rf"\bhorizontal(e|es)? {_LONG_AXIS}|{_LONG_AXIS} horizontal",
        ),
    }
)
"""Words that hint at a view."""

_RIGHT = r"(rv|vd)"
_RIGHT_CHAMBERS = rf"[23] ?{_CHAMBERS}"

TELLING_EXCLUSIONS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "localiser": (
            r"\bloc\b",
            r"lo[ck]ali[sz]",
            r"\bscout",
            r"\bsurvey\b",
            r"\bplanning\b",
            r"\bdefine",
            r"\bu(e)?bersicht|\boverzicht|\boversi[gk]t",
            r"\bplanung",
            r"\bplanifica",
            r"\breper(age)?\b",
        ),
        "drawn-in contours": (r"inline ?vf",),
        "right-ventricular view": (
            rf"\b{_RIGHT} ?{_RIGHT_CHAMBERS}\b",
            rf"\b{_RIGHT_CHAMBERS} (d[eou]l? )?{_RIGHT}\b",
            r"\bvla rv\b|\brv vla\b|\brvot\b|\brv ?ausfluss|\btsvd\b|\bvsvd\b",
            r"chambre de chasse (vd|droit|du vd)",
        ),
        "valve or vessel": (r"aort", r"valv|klappe", r"pulmon"),
        "late enhancement": (r"\blge\b", r"psir", r"\bmde\b", r"(late|delayed|spat) ?(gad|gd|enh)"),
        "inversion recovery": (r"\bti ?scout\b", r"cine ?ir\b", r"look ?locker"),
        "tagging": (r"\btag(s|g|\b(?! ?\d))", r"c?spamm\b", r"\bgrid\b", r"\b(dense|senc|harp)\b"),
        "flow": (
            r"flow(?! ?comp)",
            r"\bvenc",
            r"phase ?contrast",
            r"velocity",
            r"\bfluss\b|\bflux\b|\bflujo\b|\bflusso\b|\bfluxo\b",
        ),
        "mapping": (r"molli\b", r"\bt[12]\w* ?map", r"\bmapping\b"),
        "perfusion": (r"\bperf\b|perfus", r"first ?pass"),
        "real-time": (r"real ?time", r"echtzeit|temps reel|tiempo real|tempo reale?\b"),
    }
)
"""Words that say of a series that it is no cine of the views."""

HINTING_EXCLUSIONS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "localiser": (r"\bplan\b",),
        "valve or vessel": (r"\bao\b", r"\bav\b", r"\bpa\b"),
        "late enhancement": (r"\bde\b", r"\blate\b", r"delayed", r"enhance"),
        "flow": (r"\bpc\b",),
        "mapping": (r"\bt1", r"\bt2", r"\bmaps?\b"),
        "real-time": (r"\brt\b", r"free ?breath"),
    }
)
"""Words that say so at some sites and mean something else at others: ``de`` is "of" in three languages, ``PA`` is "petit axe"."""

STRESS_PATTERNS = (
    r"\bstress",
    r"\b(regad|ad)enos",
    r"dobuta",
    r"dipyrid",
    r"belastung",
    r"esfuerzo|\bestres\b",
    r"\beffort\b",
    r"sforzo",
    r"esforco",
    r"\bexercise",
)
"""Words of cines under stress."""

REFUTABLE_REASONS = frozenset({"late enhancement", "mapping", "perfusion", "real-time"})
"""Reasons that headers can refute: images of these kinds do not follow one heart beat from frame to frame."""
