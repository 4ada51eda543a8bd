"""Names of files made from subjects' keys."""

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cmr_planes.errors import ExportError
from cmr_planes.exports.names import safe_name, safe_names


@given(st.text(min_size=1, max_size=30))
def test_a_name_is_safe_on_every_file_system(key):
    name = safe_name(key)
    assert set(name) <= set(string.ascii_letters + string.digits + "._-")
    assert name[0] not in ".-"
    assert name[-1] not in ".-"
    assert name.partition(".")[0].lower() not in {"con", "nul", "com1"}


@pytest.mark.parametrize(
    ("key", "name"), [("a/../b", "a-..-b"), ("../..", "subject"), ("CON", "subject-CON"), ("Jürgen", "J-rgen")]
)
def test_a_name_never_leads_out_of_its_folder(key, name):
    assert safe_name(key) == name


@pytest.mark.parametrize("keys", [("P 1", "P-1"), ("abc", "ABC"), ("é", "ö")])
def test_keys_that_would_share_a_name_are_refused_by_number(keys):
    with pytest.raises(ExportError, match="subjects 2 and 3 of the export would have the same file name") as refused:
        safe_names(["SYN-0001", *keys])
    assert not any(key in str(refused.value) for key in keys if len(key) > 1)


def test_the_two_that_are_named_share_a_name_where_other_keys_do_too():
    with pytest.raises(ExportError, match="subjects 1 and 3 of the export would have the same file name"):
        safe_names(["a b", "c d", "a-b", "c-d"])


def test_a_key_that_is_too_long_is_refused():
    assert safe_names(["x" * 120]) == {"x" * 120: "x" * 120}
    with pytest.raises(ExportError, match="subject 2 of the export is longer than 120 characters"):
        safe_names(["a", "x" * 121])
