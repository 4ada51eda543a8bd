"""What the commands share: JSON on stdout."""

import json

import pytest

from cmr_planes.terminal.console import print_json


def test_a_value_that_does_not_exist_is_null(capsys: pytest.CaptureFixture[str]) -> None:
    print_json({"dice": float("nan"), "of": ({"mm": [1.5, float("nan")]},)})
    assert json.loads(capsys.readouterr().out) == {"dice": None, "of": [{"mm": [1.5, None]}]}


def test_an_infinite_value_is_refused() -> None:
    with pytest.raises(ValueError, match="JSON compliant"):
        print_json({"dice": float("inf")})
