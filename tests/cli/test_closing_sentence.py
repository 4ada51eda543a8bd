"""The last line of ``extract`` and ``inspect``: what was left out is called by its kind."""

import dataclasses
from pathlib import Path

import pytest
from click.testing import CliRunner

from cmr_planes.cli import main
from cmr_planes.errors import Finding, RejectionCode
from cmr_planes.shards.records import SubjectRecord
from tests.helpers.catalogues import write_batches
from tests.helpers.records import make_subject, rejected_subject


def rejected_view(number: int, view: str, code: RejectionCode) -> SubjectRecord:
    subject = make_subject(number, n_slices=1)
    views = tuple(record for record in subject.views if record.view.value != view)
    return dataclasses.replace(subject, views=views, findings=(Finding(view, code, "a sentence"),))


@pytest.mark.parametrize(
    ("subjects", "sentence"),
    [
        ([make_subject(1, n_slices=1)], "1 subject with 6 images in 1 shard; nothing left out"),
        (
            [make_subject(1, n_slices=1), rejected_view(2, "4ch", RejectionCode.LOW_AGREEMENT)],
            "2 subjects with 10 images in 1 shard; 1 view left out (low_agreement)",
        ),
        (
            [
                rejected_subject(1),
                rejected_view(2, "4ch", RejectionCode.LOW_AGREEMENT),
                rejected_view(3, "2ch", RejectionCode.WEAK_ALIGNMENT),
                rejected_view(4, "2ch", RejectionCode.WEAK_ALIGNMENT),
            ],
            "3 subjects with 12 images in 1 shard; 1 subject left out (no_sax); 3 views left out (weak_alignment 2, low_agreement 1)",
        ),
        ([rejected_subject(1), rejected_subject(2)], "no images; 2 subjects left out (no_sax)"),
    ],
    ids=["nothing", "view", "both", "all"],
)
def test_subjects_and_views_are_told_apart(tmp_path: Path, subjects: list[SubjectRecord], sentence: str) -> None:
    out = write_batches(tmp_path, [subjects])
    assert CliRunner().invoke(main, ["inspect", str(out)]).stdout.splitlines()[-1] == sentence
