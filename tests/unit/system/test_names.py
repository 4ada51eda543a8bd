"""Names of files that every system takes and keeps apart."""

import unicodedata
from pathlib import PureWindowsPath

from hypothesis import given
from hypothesis import strategies as st

from cmr_planes.system.names import file_names, folded

KEYS = st.text(st.characters(exclude_characters="/\0", exclude_categories=["Cs"]), min_size=1, max_size=12)
NAMED = [
    "CON",
    "nul.zip",
    "COM1",
    "lpt9.x",
    "aux ",
    "a.",
    "a ",
    "a:b",
    "C:a",
    "tab\t",
    "Müller",
    unicodedata.normalize("NFD", "Müller"),
    "MÜLLER",
]


@given(st.lists(st.one_of(KEYS, st.sampled_from(NAMED)), unique=True))
def test_windows_takes_every_name_and_no_two_for_the_same(keys):
    names = file_names(keys)
    assert [*names] == keys
    for name in names.values():
        assert PureWindowsPath(name).parts == (name,)
        assert not set(name) & set('<>:"/\\|?*')
        assert name == name.rstrip(". ")
        assert name.partition(".")[0].rstrip().upper() not in {"CON", "PRN", "AUX", "NUL", "COM1", "LPT9"}
    assert len({*map(folded, names.values())}) == len(keys)


def test_usual_keys_stay_as_they_are():
    keys = ["9000001_2", "SYN-0001", "P 001 (T0)", "Müller__SAX", "a.b", "console"]
    assert file_names(keys) == {key: key for key in keys}


def test_a_name_does_not_hang_on_the_order_or_on_others():
    assert file_names(["a", "A", "b"]) == {key: name for key, name in file_names(["b", "A", "a", "c"]).items() if key != "c"}
