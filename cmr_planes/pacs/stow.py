"""Results to a DICOMweb service, by STOW-RS."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import requests
from dicomweb_client.web import DICOMwebClient
from pydicom.dataset import Dataset

from cmr_planes.errors import PacsError, SourceChangedError
from cmr_planes.pacs.access import Access
from cmr_planes.pacs.addresses import DicomWebAddress
from cmr_planes.pacs.dicomweb import connect, explained, open_session
from cmr_planes.pacs.results import MODALITIES, Result
from cmr_planes.pacs.storing import Outcome, Refusal, StoreCode, judge, refusal
from cmr_planes.pacs.transfer import InterruptedTransferError

_JSON = "application/dicom+json"
_OK = 200
_ABOUT_INSTANCES = frozenset({400, 409, 413, 415, 422})
"""Statuses of an answer that may be about some of the instances only."""
_UNREADABLE = (AttributeError, KeyError, RecursionError, SyntaxError, TypeError, ValueError)
"""What the readers of JSON and XML raise for an answer that is not what it should be."""
_PROCESSING_FAILURE = 0x0110
_ONE_PIECE = 1 << 40
"""Bytes up to which a request is sent with its length, and not in chunks, which not every server takes."""


@dataclass(frozen=True, slots=True)
class WebArchive:
    """A DICOMweb service that takes results."""

    address: DicomWebAddress
    client: DICOMwebClient

    def present(self, study_uid: str) -> set[str]:
        """Return the SOPInstanceUIDs of segmentations and reports of a study; none where the service cannot be asked."""
        try:
            return {uid for modality in MODALITIES for uid in self._search(study_uid, {"Modality": modality})}
        except InterruptedTransferError:
            raise
        except PacsError:
            return set()  # no such study, or no queries here: storing tells

    def store(self, batch: Sequence[Result]) -> Iterator[Outcome]:
        """Store results in one request; one by one where the service refuses all of them without naming any."""
        objects = []
        for result in batch:
            try:
                objects.append((result, result.read()))
            except SourceChangedError as error:
                yield result, Refusal(StoreCode.CHANGED, str(error))
        if objects:
            yield from self._store(objects)

    def _store(self, objects: Sequence[tuple[Result, Dataset]]) -> Iterator[Outcome]:
        answer, status = self._send([dataset for _, dataset in objects])
        named = _named([result for result, _ in objects], answer)
        for result, dataset in objects:
            if result.instance_uid in named:
                yield result, named[result.instance_uid]
            elif status == _OK:
                yield result, self._confirm(result)
            elif len(objects) > 1:
                yield from self._store([(result, dataset)])
            else:
                yield result, _refused(result, status)

    def _send(self, objects: Sequence[Dataset]) -> tuple[Dataset, int]:
        """Send objects; return what the service says of them, empty if that cannot be read, and the status if it is no success."""
        with explained(self.address):
            try:
                return self.client.store_instances(objects), _OK
            except requests.HTTPError as error:
                if error.response is None or error.response.status_code not in _ABOUT_INSTANCES:
                    raise
                return _parsed(error.response), error.response.status_code
            except requests.JSONDecodeError:
                return Dataset(), _OK
            except requests.RequestException:
                raise
            except _UNREADABLE:
                return Dataset(), _OK

    def _confirm(self, result: Result) -> Refusal | None:
        """Ask for an instance of which an answer says nothing."""
        try:
            is_there = result.instance_uid in self._search(result.study_uid, {"SOPInstanceUID": result.instance_uid})
        except InterruptedTransferError:
            raise
        except PacsError:
            is_there = False
        return None if is_there else refusal(result, StoreCode.NOT_CONFIRMED, "no word of it in the answer")

    def _search(self, study_uid: str, filters: dict[str, str]) -> set[str]:
        """Return the SOPInstanceUIDs of the instances of a study that match; nothing else of the answer is kept."""
        with explained(self.address):
            try:
                found = self.client.search_for_instances(study_uid, search_filters=filters)
                return {str(uid) for item in found for uid in item.get("00080018", {}).get("Value", [])}
            except requests.RequestException:
                raise
            except _UNREADABLE:
                return set()


@contextmanager
def opened(address: DicomWebAddress, access: Access) -> Iterator[WebArchive]:
    """Be connected with a service."""
    with open_session(access) as session:
        session.headers["Accept"] = _JSON
        session.max_redirects = 0  # what is sent goes where the user said, and nowhere else
        session.hooks["response"].append(_without_parameters)
        client = connect(address, access, session)
        client.set_chunk_size(_ONE_PIECE)
        yield WebArchive(address, client)


def _without_parameters(response: requests.Response, *_: object, **__: object) -> None:
    """Take the charset off the type of an answer: the client reads answers of the bare type only."""
    if "Content-Type" in response.headers:
        response.headers["Content-Type"] = response.headers["Content-Type"].partition(";")[0].strip().lower()


def _parsed(response: requests.Response) -> Dataset:
    """Read what came with a status that is no success; empty if it is not DICOM JSON."""
    try:
        return Dataset.from_json(response.json())
    except _UNREADABLE:
        return Dataset()


def _named(batch: Sequence[Result], answer: Dataset) -> dict[str, Refusal | None]:
    """Return what an answer says of the instances that it names, by their UIDs."""
    stored = {str(item.get("ReferencedSOPInstanceUID", "")) for item in answer.get("ReferencedSOPSequence") or []}
    failed = {
        str(item.get("ReferencedSOPInstanceUID", "")): int(item.get("FailureReason") or _PROCESSING_FAILURE)
        for item in answer.get("FailedSOPSequence") or []
    }
    named: dict[str, Refusal | None] = {}
    for result in batch:
        if result.instance_uid in failed:
            named[result.instance_uid] = judge(result, failed[result.instance_uid])
        elif result.instance_uid in stored:
            named[result.instance_uid] = None
    return named


def _refused(result: Result, status: int) -> Refusal:
    """Return the refusal of the only instance of a request."""
    code = {413: StoreCode.NO_SPACE, 415: StoreCode.CLASS_NOT_SUPPORTED}.get(status, StoreCode.NOT_UNDERSTOOD)
    return refusal(result, code, f"HTTP status {status}")
