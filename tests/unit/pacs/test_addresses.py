import pytest

from cmr_planes.errors import PacsError
from cmr_planes.pacs.addresses import DicomWebAddress, DimseAddress, looks_like_address, parse_address


@pytest.mark.parametrize(
    ("text", "url"),
    [
        ("dicomweb+https://pacs.example/dicom-web/", "https://pacs.example/dicom-web"),
        ("dicomweb+http://localhost:8042/dicom-web", "http://localhost:8042/dicom-web"),
        ("https://pacs.example:8443", "https://pacs.example:8443"),
        ("http://127.0.0.1:8042/a/b//", "http://127.0.0.1:8042/a/b"),
    ],
)
def test_a_web_address_is_its_root(text, url):
    address = parse_address(text)
    assert address == DicomWebAddress(url)
    assert address.is_encrypted == url.startswith("https")


def test_an_application_entity_has_title_host_and_port():
    assert parse_address("aet://My PACS@host.example:104") == DimseAddress("My PACS", "host.example", 104)
    assert parse_address("aet+tls://PACS@10.0.0.1:2762") == DimseAddress("PACS", "10.0.0.1", 2762, is_encrypted=True)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("https://somebody:hunter2@pacs.example/x", "user name or a password"),
        ("https://pacs.example/x?token=hunter2", r"no \? and no #"),
        ("https://", "names no host"),
        ("ftp://hunter2/", "known scheme"),
        ("dicomweb://hunter2/", "known scheme"),
        ("aet://hunter2:104", "1 to 16 characters"),
        ("aet://PACS@hunter2", "needs AE title, host and port"),
        ("aet://PACS@hunter2:0", "needs AE title, host and port"),
        ("aet://PACS@hunter2:104/x", "needs AE title, host and port"),
        ("aet://A\\B@hunter2:104", "1 to 16 characters"),
        ("aet://ABCDEFGHIJKLMNOPQ@hunter2:104", "1 to 16 characters"),
        ("https://hunter2:port/", "cannot be read"),
        ("https://[hunter2/", "cannot be read"),
    ],
)
def test_what_is_no_address_is_refused_without_being_repeated(text, sentence):
    with pytest.raises(PacsError, match=sentence) as caught:
        parse_address(text)
    assert "hunter2" not in str(caught.value)


def test_paths_are_not_taken_for_addresses():
    assert looks_like_address("aet://A@b:1")
    assert not looks_like_address("studies:/2024")
    assert not looks_like_address("C:\\studies")
