import json

import pytest

from cmr_planes.discovery.naming import short_digest
from cmr_planes.discovery.pseudonyms import load_pseudonyms
from cmr_planes.discovery.subjects import find_subjects
from cmr_planes.errors import ShardError
from cmr_planes.pacs.naming import ALL_SERIES, DIGESTS, NUMBERS, DigestNames, HashedNames, open_state, write_state
from cmr_planes.phantom.small_study import write_study
from tests.helpers.cohorts import small_study, write_key

UID = "1.2.826.0.1.3680043.8.498.1"


def test_numbers_stay_and_new_studies_have_the_next(tmp_path):
    folder = tmp_path / "out"
    state = open_state(folder, naming=NUMBERS, choice=ALL_SERIES)
    names = state.names.with_studies([UID + "2", UID + "1"])
    folder.mkdir()
    write_state(folder, type(state)(naming=NUMBERS, choice=ALL_SERIES, names=names))
    again = open_state(folder, naming=NUMBERS, choice=ALL_SERIES).names.with_studies([UID + "0", UID + "2"])
    assert [again.study(UID + end) for end in "120"] == ["00001", "00002", "00003"]
    assert again.instance(UID) == names.instance(UID)
    text = (folder / "pull.json").read_text()
    assert UID not in text
    assert (folder / "pull.json").stat().st_mode & 0o077 == 0


def test_hashes_are_those_that_extract_makes_of_folders_named_by_uids(tmp_path):
    pseudonyms = load_pseudonyms(write_key(tmp_path / "key"))
    write_study(tmp_path / "dicom" / UID, small_study(n_frames=1, n_slices=1))
    write_study(tmp_path / "dicom" / f"{UID}2", small_study("SYN-0002", n_frames=1, n_slices=1))
    renamed, _ = pseudonyms.rename(find_subjects([tmp_path / "dicom"]))
    assert {subject.key for subject in renamed} == {HashedNames(pseudonyms).study(UID), HashedNames(pseudonyms).study(f"{UID}2")}
    assert DigestNames().study(UID) == short_digest(UID)


@pytest.mark.parametrize(
    ("naming", "choice", "sentence"),
    [
        (DIGESTS, "x", "was filled without pseudonyms"),
        (NUMBERS, "y", "only the series of views"),
        (NUMBERS, ALL_SERIES, "only the series of views"),
    ],
)
def test_a_folder_is_filled_in_one_way(tmp_path, naming, choice, sentence):
    write_state(tmp_path, open_state(tmp_path, naming=NUMBERS, choice="x"))
    with pytest.raises(ShardError, match=sentence):
        open_state(tmp_path, naming=naming, choice=choice)


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"version": 2}', "\x00"])
def test_a_state_that_is_none_is_left_as_it_is(tmp_path, text):
    (tmp_path / "pull.json").write_text(text)
    with pytest.raises(ShardError, match="it is left as it is"):
        open_state(tmp_path, naming=NUMBERS, choice="x")
    assert (tmp_path / "pull.json").read_text() == text


def test_a_state_of_another_version_is_not_gone_on_with(tmp_path):
    write_state(tmp_path, open_state(tmp_path, naming=NUMBERS, choice="x"))
    stored = json.loads((tmp_path / "pull.json").read_text())
    (tmp_path / "pull.json").write_text(json.dumps({**stored, "version": 99}))
    with pytest.raises(ShardError, match="not what this version"):
        open_state(tmp_path, naming=NUMBERS, choice="x")
