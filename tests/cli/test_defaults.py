"""The defaults of ``extract`` and ``phantom`` are those of their options in Python, and the paper's where it states them."""

import pytest

from cmr_planes.cli.extract import extract
from cmr_planes.cli.phantom import phantom
from cmr_planes.extraction.options import ExtractOptions
from cmr_planes.geometry import BoxLayout, BoxUnits
from cmr_planes.phantom.acquisition import Protocol
from cmr_planes.phantom.cohort import CohortOptions


def values(command, *arguments):
    """What a command gets from its options, those that are not given among them."""
    return command.make_context(command.name, [*arguments]).params


def test_extract_has_the_defaults_of_its_options(tmp_path):
    given, default = values(extract, str(tmp_path), "out.h5"), ExtractOptions()
    names = ("views", "phases", "min_agreement", "keep_all", "codec", "shard_size", "names")
    assert {name: given[name] for name in names} == {name: getattr(default, name) for name in names}
    assert given["units"] == default.layout.units


@pytest.mark.parametrize(("name", "text"), [("box", "11 px or 20 mm"), ("gap", "30 px or 54.6 mm")])
def test_extract_shows_the_boxes_of_the_paper(name, text):
    (option,) = [option for option in extract.params if option.name == name]
    assert option.help.endswith(f"[default: {text}]")
    assert BoxLayout.default(BoxUnits.MILLIMETRES) == BoxLayout(size=20.0, gap=54.6, units=BoxUnits.MILLIMETRES)


def test_phantom_has_the_defaults_of_its_options():
    given, cohort, protocol = values(phantom, "cohort"), CohortOptions(), Protocol()
    names = ("n_subjects", "seed", "layout", "quirks", "private_bytes")
    assert {name: given[name] for name in names} == {name: getattr(cohort, name) for name in names}
    image = (given["slices"], given["frames"], given["rows"], given["columns"], given["spacing"], given["mixed"])
    assert image == (protocol.n_slices, protocol.n_frames, protocol.rows, protocol.columns, protocol.spacing_mm, protocol.is_mixed)
