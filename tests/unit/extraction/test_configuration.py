"""What an output was made with, and how a difference is said."""

from dataclasses import replace

import pytest

from cmr_planes.annotations.model import LabelFormat
from cmr_planes.annotations.reading import LabelSource
from cmr_planes.cine.series_names import load_names
from cmr_planes.extraction.configuration import differences, identity
from cmr_planes.extraction.options import ExtractOptions
from cmr_planes.geometry import BoxLayout

OPTIONS = ExtractOptions()


def test_equal_options_have_no_difference():
    assert differences(identity(OPTIONS), identity(ExtractOptions())) == ()


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"keep_all": True}, "--keep-all off, not on"),
        ({"views": ("sax",)}, "--views sax,2ch,4ch,3ch, not sax"),
        ({"layout": BoxLayout(size=9)}, "--box 11, not 9"),
        ({"min_agreement": 0.5}, "--min-agreement off, not 0.5"),
        ({"shard_size": 8}, "--shard-size 32, not 8"),
        ({"nifti": True}, "another kind of sources (DICOM, NIfTI)"),
    ],
)
def test_a_difference_is_named_by_the_option_and_its_values(changes, words):
    assert differences(identity(OPTIONS), identity(replace(OPTIONS, **changes))) == (words,)


def test_files_are_named_and_not_quoted(tmp_path):
    table = tmp_path / "clinic.toml"
    table.write_text('[views]\nsax = ["kurzachse"]\n')
    assert differences(identity(OPTIONS), identity(replace(OPTIONS, names=load_names(table)))) == ("another table of series names",)
    labelled = replace(OPTIONS, labels=LabelSource(path=tmp_path))
    assert differences(identity(OPTIONS), identity(labelled)) == ("no --annotations",)
    assert differences(identity(labelled), identity(OPTIONS)) == ("--annotations, which this command lacks",)
    other = replace(OPTIONS, labels=LabelSource(path=tmp_path, label_format=LabelFormat.NIFTI))
    assert differences(identity(labelled), identity(other)) == ("other annotations, or other meanings of their values",)


def test_all_differences_are_named():
    other = replace(OPTIONS, keep_all=True, shard_size=8)
    assert sorted(differences(identity(OPTIONS), identity(other))) == ["--keep-all off, not on", "--shard-size 32, not 8"]


def test_another_version_comes_first():
    stored = {**identity(OPTIONS), "cmr_planes_version": "0.0.1"}
    assert differences(stored, identity(replace(OPTIONS, keep_all=True)))[0].startswith("cmr-planes 0.0.1, not ")


@pytest.mark.parametrize(("made_by", "this"), [("0.1.0", "1.0.0"), ("1.0.0", "0.1.0")])
def test_releases_that_make_the_same_resume_each_other(made_by, this):
    stored, wanted = ({**identity(OPTIONS), "cmr_planes_version": version} for version in (made_by, this))
    assert differences(stored, wanted) == ()
    assert differences(stored, {**wanted, "cmr_planes_version": "2.0.0"}) == (f"cmr-planes {made_by}, not 2.0.0",)
    assert differences({**stored, "cmr_planes_version": ["1.0.0"]}, wanted)[0].startswith("cmr-planes 1.0.0, not ")


def test_an_output_of_an_earlier_release_with_fewer_options_is_said_to_be_one():
    options = {name: value for name, value in OPTIONS.to_json().items() if name not in ("participants", "planes", "world")}
    stored = {**identity(OPTIONS), "configuration": options}
    assert differences(stored, identity(OPTIONS)) == ("another release of cmr-planes, which had other options",)


@pytest.mark.parametrize("value", ["é\n\x1b", "9" * 100, ["\0"]])
def test_what_a_damaged_plan_holds_is_not_quoted(value):
    stored = {**identity(OPTIONS), "cmr_planes_version": value}
    assert differences(stored, identity(OPTIONS))[0].startswith("cmr-planes something unreadable, not ")
