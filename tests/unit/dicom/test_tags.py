"""Tests of the DICOM tags against pydicom's data dictionary."""

from pydicom import uid
from pydicom.datadict import keyword_for_tag

from cmr_planes.dicom import tags


def test_every_tag_has_the_keyword_that_its_name_says() -> None:
    named = {name: value for name, value in vars(tags).items() if isinstance(value, int)}
    keywords = {name.replace("_", "").lower(): keyword_for_tag(value).lower() for name, value in named.items()}
    assert len(named) > 40
    assert all(name == keyword for name, keyword in keywords.items())


def test_the_sop_classes_are_those_of_mr() -> None:
    assert (uid.MRImageStorage, uid.EnhancedMRImageStorage) == (tags.MR_IMAGE_STORAGE, tags.ENHANCED_MR_IMAGE_STORAGE)
