"""A DICOMweb service as a :class:`cmr_planes.pacs.server.Server`: QIDO-RS and WADO-RS."""

import io
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Self, TypeVar

import requests
from dicomweb_client.web import DICOMwebClient
from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset

from cmr_planes.dicom import tags
from cmr_planes.dicom.other_elements import PARSE_ERRORS
from cmr_planes.errors import PacsError
from cmr_planes.pacs.access import Access
from cmr_planes.pacs.addresses import DicomWebAddress
from cmr_planes.pacs.dicomweb import connect, explained, open_session
from cmr_planes.pacs.header_files import JsonInstance, header_file, n_pixel_bytes, text_value, text_values
from cmr_planes.pacs.server import FoundInstance, FoundSeries, FoundStudy, OnInstance, ReceivedInstance, StudyQuery, is_safe_uid
from cmr_planes.pacs.transfer import InterruptedTransferError

T = TypeVar("T")

PAGE = 500
"""Studies or series that are asked for at a time."""

_AS_STORED = (("application/dicom", "*"),)
"""The transfer syntax in which the server has an instance: nothing is decompressed on the way."""
_UNDEFINED = 0xFFFF_FFFF
_PIXELS = ("PixelData", "FloatPixelData", "DoubleFloatPixelData")
_ACCESSION_NUMBER = 0x0008_0050
_MODALITIES_IN_STUDY = 0x0008_0061
_STUDY_DESCRIPTION = 0x0008_1030


class _Counter:
    """Counts the bytes of answers as they travel, compressed or not: a hook of requests."""

    def __init__(self) -> None:
        self._n_before = 0
        self._last: requests.Response | None = None

    @property
    def n_bytes(self) -> int:
        """Bytes of all answers so far; of the last one as far as it was read."""
        return self._n_before + (0 if self._last is None else int(self._last.raw.tell()))

    def __call__(self, response: requests.Response, *_: object, **__: object) -> None:
        self._n_before, self._last = self.n_bytes, response


class WebServer:
    """A DICOMweb service; close it, or use it in a ``with`` statement.

    Parameters
    ----------
    address
        Its root.
    access
        Credentials, authorities and patience.
    """

    tells_headers = True

    def __init__(self, address: DicomWebAddress, access: Access) -> None:
        self._address = address
        self._session = open_session(access)
        self._counter = _Counter()
        self._session.hooks["response"].append(self._counter)
        with explained(address):
            self._client: DICOMwebClient = connect(address, access, self._session)

    def close(self) -> None:
        """Close all connections."""
        self._session.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    @property
    def n_bytes(self) -> int:
        """Bytes of all answers so far, as they travelled."""
        return self._counter.n_bytes

    def studies(self, query: StudyQuery) -> Sequence[FoundStudy]:
        """Return the studies that match a query."""
        answers = self._pages(
            self._client.search_for_studies, tags.STUDY_INSTANCE_UID, fields=_FIELDS, search_filters=_filters(query)
        )
        return [_study(one) for one in answers]

    def series(self, study_uid: str) -> Sequence[FoundSeries]:
        """Return the series of a study."""
        answers = self._pages(self._client.search_for_series, tags.SERIES_INSTANCE_UID, study_uid)
        return [
            FoundSeries(uid=text_value(one, tags.SERIES_INSTANCE_UID), modality=text_value(one, tags.MODALITY)) for one in answers
        ]

    def instances(self, study_uid: str, series_uid: str) -> Sequence[FoundInstance]:
        """Return the instances of a series, with their headers."""
        answer = self._json(self._client.retrieve_series_metadata, study_uid, series_uid)
        return [
            FoundInstance(
                uid=text_value(one, tags.SOP_INSTANCE_UID),
                series_uid=series_uid,
                sop_class_uid=text_value(one, tags.SOP_CLASS_UID),
                header=header_file(one),
                n_pixel_bytes=n_pixel_bytes(one),
            )
            for one in answer
            if text_value(one, tags.STUDY_INSTANCE_UID) == study_uid and text_value(one, tags.SERIES_INSTANCE_UID) == series_uid
        ]

    def fetch(self, study_uid: str, instances: Sequence[FoundInstance], receive: OnInstance) -> None:
        """Fetch all instances of one series."""
        images = {one.uid for one in instances if one.n_pixel_bytes}
        with self._understood():
            parts = self._client.iter_series(study_uid, instances[0].series_uid, media_types=_AS_STORED)
        while True:
            with self._understood():
                dataset = next(parts, None)
                if dataset is None:
                    return
                received = _received(dataset, images)
            receive(received)

    def fetch_one(self, study_uid: str, instance: FoundInstance, receive: OnInstance) -> None:
        """Fetch one instance."""
        if not is_safe_uid(instance.uid):
            raise InterruptedTransferError("an instance whose UID cannot stand in a URL did not come with its series")
        with self._understood():
            dataset = self._client.retrieve_instance(study_uid, instance.series_uid, instance.uid, media_types=_AS_STORED)
            received = _received(dataset, {instance.uid} if instance.n_pixel_bytes else set())
        receive(received)

    def _pages(self, search: Callable[..., Any], key: int, *values: str, **options: object) -> list[JsonInstance]:
        """Return all answers to a search, page by page until one has nothing new: servers have limits of their own, or no pages."""
        found: dict[str, JsonInstance] = {}
        n_asked = 0
        while True:
            page = self._json(search, *values, limit=PAGE, offset=n_asked, **options)
            n_asked += len(page)
            new = {text_value(one, key): one for one in page if text_value(one, key) not in found}
            if not new:
                return list(found.values())
            found |= new

    def _json(self, ask: Callable[..., Any], *values: str, **options: object) -> list[JsonInstance]:
        """Return an answer in DICOM JSON."""
        with explained(self._address):
            answer = ask(*values, **options)
        if not (isinstance(answer, list) and all(isinstance(one, Mapping) for one in answer)):
            raise PacsError(f"{self._address.url} answers, but not with DICOM JSON; check the path of the DICOMweb service")
        return answer

    @contextmanager
    def _understood(self) -> Iterator[None]:
        """Explain errors of a retrieval, those of reading the instances in it among them."""
        with explained(self._address):
            try:
                yield
            except (requests.RequestException, PacsError):
                raise
            except PARSE_ERRORS as error:
                raise InterruptedTransferError(
                    f"{self._address.url} sent an answer that is cut off or damaged ({type(error).__name__})"
                ) from None


_FIELDS = ("StudyDate", "StudyDescription", "AccessionNumber", "ModalitiesInStudy")


def _filters(query: StudyQuery) -> dict[str, str]:
    """Return a query as QIDO-RS has it."""
    filters = {"ModalitiesInStudy": query.modality, "StudyDate": query.dates}
    if query.wanted is not None:
        filters |= {"StudyInstanceUID": query.wanted.study_uid, "AccessionNumber": query.wanted.accession_number}
    return {keyword: value for keyword, value in filters.items() if value}


def _study(answer: JsonInstance) -> FoundStudy:
    return FoundStudy(
        uid=text_value(answer, tags.STUDY_INSTANCE_UID),
        date=text_value(answer, tags.STUDY_DATE),
        description=text_value(answer, _STUDY_DESCRIPTION),
        accession_number=text_value(answer, _ACCESSION_NUMBER),
        modalities=text_values(answer, _MODALITIES_IN_STUDY),
    )


def _is_cut(element: object) -> bool:
    """Tell whether an element's value is shorter than it should be: its file ended there."""
    if not isinstance(element, RawDataElement) or element.value is None or element.length == _UNDEFINED:
        return False
    return len(element.value) < element.length


def _received(dataset: Dataset, images: set[str]) -> ReceivedInstance:
    """Return an instance that came; raises InterruptedTransferError if it is not whole."""
    uid = str(dataset.get("SOPInstanceUID", ""))
    elements = [dataset.get_item(tag) for tag in dataset.keys()]  # noqa: SIM118  # a dataset iterates over elements
    if any(map(_is_cut, elements)) or (uid in images and not any(keyword in dataset for keyword in _PIXELS)):
        raise InterruptedTransferError("an instance came cut off")
    stream = io.BytesIO()
    dataset.save_as(stream, enforce_file_format=False)
    return ReceivedInstance(
        str(dataset.get("StudyInstanceUID", "")), str(dataset.get("SeriesInstanceUID", "")), uid, stream.getvalue()
    )
