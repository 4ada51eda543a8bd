"""JSON and XML as trees, changed and written again, so that they stay well-formed."""

import json
from random import Random
from typing import Any
from xml.etree import ElementTree as ET

from tests.fuzz.bytewise import ANY_TEXT, NUMBERS, STRINGS, stacked

_TEXT = stacked(*ANY_TEXT)
_MOST_ELEMENTS = 20_000
_VALUES: tuple[Any, ...] = (
    *(
        None,
        True,
        0,
        1,
        -1,
        2,
        3,
        64,
        1000,
        1 << 31,
        1 << 70,
        10**300,
        0.5,
        -0.0,
        1e308,
        float("nan"),
        float("inf"),
        "",
        "x",
        "sax",
        "\ud800",
    ),
    *(
        [],
        {},
        [None],
        [[]],
        [1, 2],
        [1, 2, 3, 4],
        {"x": 1},
        "a" * 5000,
        "/dev/zero",
        "..",
        "3ch",
        ["SYN-0001"],
        [["SYN-0001"]],
        "é\n\x1b",
    ),
)


def mutate_json(data: bytes, rng: Random) -> bytes:
    """Change values, keys and the shape of a JSON document."""
    try:
        tree = json.loads(data)
    except (ValueError, RecursionError):
        return _TEXT(data, rng)
    if rng.random() < 0.1:
        return _TEXT(data, rng)
    for _ in range(rng.choice((1, 1, 2, 3))):
        tree = _changed(tree, rng)
    return json.dumps(tree).encode()


def _changed(value: Any, rng: Random) -> Any:
    """Return a value in which one thing is different."""
    keys: list[Any] = list(value) if isinstance(value, dict) else list(range(len(value))) if isinstance(value, list) else []
    if not keys or rng.random() < 0.03:
        return rng.choice(_VALUES)
    key = rng.choice(keys)
    way = rng.random()
    copy = dict(value) if isinstance(value, dict) else list(value)
    if way < 0.08:
        del copy[key]
    elif way < 0.14 and isinstance(copy, dict):
        copy[rng.choice(("x", "", "\u00e9", rng.choice(keys)))] = copy.pop(key)
    elif way < 0.14:
        copy += copy
    else:
        copy[key] = _changed(value[key], rng)
    return copy


def mutate_xml(data: bytes, rng: Random) -> bytes:
    """Change texts, attributes and places of the elements of an XML document."""
    if rng.random() < 0.15:
        return _TEXT(data, rng)
    try:
        root = ET.fromstring(data)  # noqa: S314  # what is written here is parsed by the code under test only
    except (ET.ParseError, ValueError, LookupError):
        return _TEXT(data, rng)
    for _ in range(rng.choice((1, 1, 2, 4))):
        _change_element(root, rng)
    return ET.tostring(root, rng.choice(("utf-8", "utf-8", "utf-16", "us-ascii", "iso-8859-1")), xml_declaration=True)


def _change_element(root: ET.Element, rng: Random) -> None:
    places = [(parent, child) for parent in root.iter() for child in parent]
    if not places:
        return
    parent, child = rng.choice(places)
    way = rng.randrange(8)
    if way <= 1:
        child.text = _printable(rng.choice((*NUMBERS, *STRINGS)))
    elif way == 2:
        named = [element for element in root.iter() if element.attrib]
        if named:
            element = rng.choice(named)
            other = rng.choice(named)
            element.attrib = dict.fromkeys(element.attrib, rng.choice((*other.attrib.values(), _printable(rng.choice(STRINGS)))))
    elif way == 3:
        parent.remove(child)
    elif way == 4:
        count = rng.choice((1, 3, 2000))
        for _ in range(count if count * sum(1 for _ in child.iter()) < _MOST_ELEMENTS else 1):
            parent.append(child)
    elif way == 5:
        parent.remove(child)
        (holder, _) = rng.choice(places)
        if child is not holder and holder not in list(child.iter()):
            holder.append(child)
    elif way == 6:
        child.tag = rng.choice((rng.choice(places)[1].tag, "x", "{http://x}item"))
    else:
        deep = parent
        for _ in range(rng.choice((3, 200))):
            deep = ET.SubElement(deep, child.tag, child.attrib)


def _printable(text: str) -> str:
    return "".join(character for character in text if character.isprintable())
