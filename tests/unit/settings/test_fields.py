import dataclasses
from enum import StrEnum
from pathlib import Path
from typing import get_type_hints

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cmr_train.config import GROUPS, SETTINGS
from cmr_train.errors import ConfigError
from cmr_train.presets import configure, parse_settings
from cmr_train.settings.fields import convert, read_group, setting, settings_of, to_plain
from cmr_train.settings.interval import Interval


class Colour(StrEnum):
    RED = "red"
    GREEN = "green"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Paint:
    colour: Colour = setting(Colour.RED, "Colour of the paint.")
    coats: int | None = setting(None, "Number of coats.", interval=Interval(low=1, high=3), default_text="as needed")
    shares: tuple[float, float] = setting((0.5, 0.5), "Shares.", interval=Interval())
    names: tuple[str, ...] = setting((), "Names.", flags=("--called",))
    folder: Path = setting(Path("a"), "Folder.")
    is_wet: bool = setting(False, "Whether it is wet.")
    litres: float | Colour = setting(Colour.RED, "Litres, or as many as of a colour.", interval=Interval(high=9))


@pytest.mark.parametrize(
    ("interval", "words", "inside", "outside"),
    [
        (Interval(), "0 or more", (0, 1e9), (-1e-9, float("nan"))),
        (Interval(is_low_included=False), "more than 0", (1e-9,), (0, -1)),
        (Interval(low=1, high=8), "1 to 8", (1, 8), (0, 9)),
        (Interval(high=1, is_high_included=False), "0 or more and less than 1", (0, 0.999), (1, -0.1)),
        (Interval(low=2, high=3, is_low_included=False), "more than 2 and at most 3", (2.1, 3), (2, 3.1)),
    ],
)
def test_an_interval_says_what_it_holds(interval, words, inside, outside):
    assert str(interval) == words
    assert all(number in interval for number in inside)
    assert not any(number in interval for number in outside)


def test_a_setting_has_the_default_and_the_type_of_its_field():
    paint, settings = Paint(), settings_of(Paint)
    assert (paint.colour, paint.coats, paint.shares) == (Colour.RED, None, (0.5, 0.5))
    assert {name: each.kind for name, each in settings.items()} == get_type_hints(Paint)
    assert settings["is_wet"].flags == ("--is-wet",)
    assert settings["names"].flags == ("--called",)


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("colour", "GREEN", Colour.GREEN),
        ("colour", Colour.GREEN, Colour.GREEN),
        ("coats", None, None),
        ("coats", 2, 2),
        ("shares", [1, 0.5], (1.0, 0.5)),
        ("names", ["a", "b"], ("a", "b")),
        ("names", "a, 2", ("a", "2")),
        ("shares", "1,0.5", (1.0, 0.5)),
        ("folder", "b/c", Path("b/c")),
        ("folder", Path("b/c"), Path("b/c")),
        ("is_wet", True, True),
        ("litres", 2, 2.0),
        ("litres", "1.5", 1.5),
        ("litres", "GREEN", Colour.GREEN),
        ("litres", Colour.GREEN, Colour.GREEN),
    ],
)
def test_a_plain_value_becomes_one_of_the_fields_type(name, value, expected):
    found = settings_of(Paint)[name].parse(value)
    assert found == expected
    assert type(found) is type(expected)


@pytest.mark.parametrize(
    ("name", "value", "sentence"),
    [
        ("colour", "gren", "one of red, green, got 'gren'; did you mean 'green'?"),
        ("coats", 4, "1 to 3, got 4"),
        ("coats", True, "a whole number, got True"),
        ("coats", 2.0, "a whole number, got 2.0"),
        ("shares", [0.5], "a list of 2, got [0.5]"),
        ("shares", [0.5, -1], "0 or more, got -1.0"),
        ("names", 3, "a list, got 3"),
        ("shares", "1,much", "a number, got 'much'"),
        ("folder", " ", "a text, got ' '"),
        ("is_wet", 1, "true or false, got 1"),
        ("litres", "much", "a number, or one of red, green, got 'much'"),
        ("litres", None, "a number, or one of red, green, got None"),
        ("litres", 10, "0 to 9, got 10.0"),
    ],
)
def test_a_value_that_is_not_allowed_is_refused_with_what_is(name, value, sentence):
    with pytest.raises(ValueError, match="got") as caught:
        settings_of(Paint)[name].parse(value)
    assert str(caught.value) == sentence


def test_a_stored_group_is_read_whole_or_not_at_all():
    paint = Paint(colour=Colour.GREEN, coats=2, shares=(0.25, 0.75), names=("a",), folder=Path("x/y"))
    assert read_group(Paint, to_plain(dataclasses.asdict(paint))) == paint
    with pytest.raises(ConfigError) as caught:
        read_group(Paint, {"colour": 3, "coats": 0, "sheen": 1})
    assert sorted(map(str, caught.value.problems)) == [
        "the stored configuration has a setting 'sheen' that this release does not know",
        "the stored setting coats must be 1 to 3, got 0",
        "the stored setting colour must be one of red, green, got 3",
    ]
    with pytest.raises(ConfigError, match="named settings are expected"):
        read_group(Paint, [1])


@given(st.recursive(st.none() | st.booleans() | st.integers() | st.floats() | st.text(), lambda inner: st.lists(inner, max_size=3)))
def test_any_value_is_of_the_fields_type_or_refused(value):
    for name, each in settings_of(Paint).items():
        try:
            found = each.parse(value)
        except ValueError:
            continue
        assert read_group(Paint, {name: to_plain(found)}) == Paint(**{name: found})


def test_every_default_is_allowed_and_explained():
    for name, each in SETTINGS.items():
        assert each.parse(each.default) == each.default, name
        assert each.help.endswith("."), name
        assert convert(each.kind, to_plain(each.default)) == each.default, name
    assert len(SETTINGS) == sum(len(dataclasses.fields(group)) for group in GROUPS.values())


def test_settings_may_be_given_in_plain_words():
    assert parse_settings({"view": "4ch", "rotation_deg": 10, "seed": None}) == {"view": "4ch", "rotation_deg": 10.0}
    assert configure("pretext", view="4ch", rotation_deg=10, phases=["ed"]) == configure(
        "pretext", view="4ch", rotation_deg=10.0, phases=("ed",)
    )
