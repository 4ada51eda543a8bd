"""That weights have seen, in names and in keyed hashes: the same persons in every kind of catalogue, or a refusal."""

from dataclasses import replace
from pathlib import Path

import pytest

from cmr_planes.discovery.pseudonyms import Pseudonyms
from cmr_planes.system.key_file import SecretKey
from cmr_train.choices import People
from cmr_train.errors import TrainError
from cmr_train.runs.identity import CatalogueIdentity, Seen

KEY, OTHER_KEY = SecretKey(bytes(range(32))), SecretKey(bytes(32))
PEOPLE = frozenset({"SYN-0001", "SYN-0002"})
NAMES = {one: Pseudonyms(KEY.secret).name(one) for one in (*PEOPLE, "SYN-0003")}


def identity(origin: str, pseudonyms: str = "") -> CatalogueIdentity:
    return CatalogueIdentity(path=Path(f"{origin}.h5"), sha256=origin, origin=origin, pseudonyms=pseudonyms)


PLAIN, PSEUDONYMISED = identity("plain"), identity("pseudonymised", KEY.check_value)


@pytest.mark.parametrize(
    "group",
    [
        Seen(catalogue=PLAIN, participants=PEOPLE),
        Seen(catalogue=PSEUDONYMISED, participants=frozenset(NAMES[one] for one in PEOPLE)),
    ],
)
def test_hashed_people_are_found_in_plain_and_in_pseudonymised_catalogues(group):
    hashed = Seen.from_json(group.hashed(KEY).to_json())
    assert hashed.participants == {NAMES[one] for one in PEOPLE}
    assert hashed.among(PLAIN, ["SYN-0002", "SYN-0003"], People.SAME, KEY) == {"SYN-0002"}
    assert hashed.among(PSEUDONYMISED, [NAMES["SYN-0002"], NAMES["SYN-0003"]], People.SAME, KEY) == {NAMES["SYN-0002"]}
    assert hashed.among(group.catalogue, group.participants, None, KEY) == group.participants
    assert hashed.hashed(KEY) == hashed


def test_hashed_people_of_another_cohort_are_not_guessed_about():
    hashed = Seen(catalogue=PLAIN, participants=PEOPLE).hashed(KEY)
    assert hashed.among(identity("other"), ["SYN-0003"], None, KEY) == frozenset()
    assert hashed.among(identity("other"), ["SYN-0001"], People.OTHER) == frozenset()
    with pytest.raises(TrainError, match="1 participant has the same key"):
        hashed.among(identity("other"), ["SYN-0001"], None, KEY)
    with pytest.raises(TrainError, match="persons cannot be compared"):
        hashed.among(identity("other", OTHER_KEY.check_value), ["SYN-0001"], People.SAME, KEY)


@pytest.mark.parametrize("later", [PLAIN, replace(PLAIN, path=Path("later.h5"), sha256="later")])
@pytest.mark.parametrize("people", [None, *People])
def test_persons_of_one_cohort_are_the_same_whatever_is_said(later, people):
    assert Seen(catalogue=PLAIN, participants=PEOPLE).among(later, ["SYN-0001", "SYN-0003"], people) == {"SYN-0001"}


def test_namesakes_of_another_cohort_are_who_the_user_says():
    seen = Seen(catalogue=PLAIN, participants=PEOPLE)
    found = [seen.among(identity("other"), ["SYN-0001", "SYN-0003"], people) for people in (People.SAME, People.OTHER)]
    assert found == [{"SYN-0001"}, frozenset()]


def test_hashed_people_need_their_key():
    hashed = Seen(catalogue=PLAIN, participants=PEOPLE).hashed(KEY)
    with pytest.raises(TrainError, match="keyed hashes, and no key file is given"):
        hashed.among(PLAIN, PEOPLE)
    with pytest.raises(TrainError, match="keyed hashes, and the key file is another one"):
        hashed.among(PLAIN, PEOPLE, None, OTHER_KEY)
    with pytest.raises(TrainError, match="hashed under another key"):
        hashed.hashed(OTHER_KEY)
