"""An application entity as a :class:`cmr_planes.pacs.server.Server`: C-FIND and C-GET of the study root model."""

import io
from collections.abc import Iterator, Sequence

from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.multival import MultiValue
from pydicom.uid import (
    JPEG2000,
    UID,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGExtended12Bit,
    JPEGLossless,
    JPEGLosslessSV1,
    JPEGLSLossless,
    JPEGLSNearLossless,
    RLELossless,
)
from pynetdicom import build_context, build_role, evt
from pynetdicom.association import Association
from pynetdicom.events import Event
from pynetdicom.presentation import PresentationContext

from cmr_planes.dicom import tags
from cmr_planes.dicom.other_elements import PARSE_ERRORS
from cmr_planes.errors import PacsError
from cmr_planes.pacs.access import Access
from cmr_planes.pacs.addresses import DimseAddress
from cmr_planes.pacs.dimse import associate
from cmr_planes.pacs.quiet import quiet_libraries
from cmr_planes.pacs.server import FoundInstance, FoundSeries, FoundStudy, OnInstance, ReceivedInstance, StudyQuery
from cmr_planes.pacs.transfer import InterruptedTransferError

FIND = "1.2.840.10008.5.1.4.1.2.2.1"
"""Study Root Query/Retrieve Information Model - FIND."""
GET = "1.2.840.10008.5.1.4.1.2.2.3"
"""Study Root Query/Retrieve Information Model - GET."""

_UNCOMPRESSED: list[str | UID] = [ExplicitVRLittleEndian, ImplicitVRLittleEndian]
_OTHERS = (
    JPEGLossless,
    JPEGLosslessSV1,
    JPEGLSLossless,
    JPEGLSNearLossless,
    JPEG2000Lossless,
    JPEG2000,
    RLELossless,
    JPEGBaseline8Bit,
    JPEGExtended12Bit,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
)
"""Transfer syntaxes that are offered one by one, so that the server can send what it has as it is."""
_MOST_CLASSES = 10
"""Each takes twelve of the 128 presentation contexts that an association may have."""
_USUAL_CLASSES = (
    tags.MR_IMAGE_STORAGE,
    tags.ENHANCED_MR_IMAGE_STORAGE,
    "1.2.840.10008.5.1.4.1.1.4.3",  # Enhanced MR Color Image Storage
    "1.2.840.10008.5.1.4.1.1.7",  # Secondary Capture Image Storage
)
"""Storage classes that are offered where the server does not tell those of a series."""

_UIDS = ["StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID"]
_SUCCESS = 0x0000
_PENDING = (0xFF00, 0xFF01)
_OUT_OF_RESOURCES = 0xA700
_REFUSED = {
    0xA700: "is out of resources",
    0xA701: "is out of resources",
    0xA702: "cannot send the instances",
    0x0122: "does not support C-GET",
}


class DimseServer:
    """An application entity.

    Parameters
    ----------
    address
        Its AE title, host and port.
    access
        The AE title that asks, authorities and patience.
    """

    tells_headers = False

    def __init__(self, address: DimseAddress, access: Access) -> None:
        self._address = address
        self._access = access
        self._where = f"{address.called} at {address.host}:{address.port}"
        self.n_bytes = 0

    def studies(self, query: StudyQuery) -> Sequence[FoundStudy]:
        """Return the studies that match a query."""
        wanted = query.wanted
        answers = self._find(
            "STUDY",
            StudyInstanceUID="" if wanted is None else wanted.study_uid,
            AccessionNumber="" if wanted is None else wanted.accession_number,
            StudyDate=query.dates,
            StudyDescription="",
            ModalitiesInStudy=query.modality,
        )
        found = {
            study.uid: study
            for study in (
                FoundStudy(
                    uid=_text(answer, "StudyInstanceUID"),
                    date=_text(answer, "StudyDate"),
                    description=_text(answer, "StudyDescription"),
                    accession_number=_text(answer, "AccessionNumber"),
                    modalities=_texts(answer, "ModalitiesInStudy"),
                )
                for answer in answers
            )
        }
        return list(found.values())

    def series(self, study_uid: str) -> Sequence[FoundSeries]:
        """Return the series of a study."""
        answers = self._find("SERIES", StudyInstanceUID=study_uid, SeriesInstanceUID="", Modality="")
        return [FoundSeries(uid=_text(one, "SeriesInstanceUID"), modality=_text(one, "Modality")) for one in answers]

    def instances(self, study_uid: str, series_uid: str) -> Sequence[FoundInstance]:
        """Return the instances of a series, without their headers."""
        answers = self._find("IMAGE", StudyInstanceUID=study_uid, SeriesInstanceUID=series_uid, SOPInstanceUID="", SOPClassUID="")
        return [
            FoundInstance(uid=_text(one, "SOPInstanceUID"), series_uid=series_uid, sop_class_uid=_text(one, "SOPClassUID"))
            for one in answers
        ]

    def fetch(self, study_uid: str, instances: Sequence[FoundInstance], receive: OnInstance) -> None:
        """Fetch all instances of one series."""
        series_uid = instances[0].series_uid
        self._get(instances, receive, QueryRetrieveLevel="SERIES", StudyInstanceUID=study_uid, SeriesInstanceUID=series_uid)

    def fetch_one(self, study_uid: str, instance: FoundInstance, receive: OnInstance) -> None:
        """Fetch one instance."""
        self._get(
            [instance],
            receive,
            QueryRetrieveLevel="IMAGE",
            StudyInstanceUID=study_uid,
            SeriesInstanceUID=instance.series_uid,
            SOPInstanceUID=instance.uid,
        )

    def _find(self, level: str, **keys: str) -> list[Dataset]:
        """Return the answers to a C-FIND."""
        found = []
        with quiet_libraries(), associate(self._address, self._access, [build_context(FIND)]) as association:
            for status, answer in association.send_c_find(_dataset(QueryRetrieveLevel=level, **keys), FIND):
                code = self._code(status)
                if code in _PENDING and answer is not None:
                    found.append(answer)
                elif code != _SUCCESS:
                    raise PacsError(f"{self._where} refuses the query (DIMSE status 0x{code:04X}); ask its administrator")
        return found

    def _get(self, instances: Sequence[FoundInstance], receive: OnInstance, **keys: str) -> None:
        """Get instances; raises whatever ``receive`` raises."""
        failures: list[Exception] = []

        def on_store(event: Event) -> int:
            if failures:
                return _OUT_OF_RESOURCES
            try:
                data = event.encoded_dataset()
                self.n_bytes += len(data)
                receive(_received(data))
            except Exception as error:  # noqa: BLE001  # pynetdicom would swallow it; it is raised below
                failures.append(error)
                event.assoc.abort()
                return _OUT_OF_RESOURCES
            return _SUCCESS

        classes = _storage_classes(instances)
        contexts = [build_context(GET), *_storage_contexts(classes)]
        roles = [build_role(one, scp_role=True) for one in classes]
        handlers = [(evt.EVT_C_STORE, on_store)]
        with quiet_libraries(), associate(self._address, self._access, contexts, roles=roles, handlers=handlers) as association:
            try:
                self._follow(association, _dataset(**keys))
            except PacsError:
                if not failures:
                    raise
        if failures:
            raise failures[0]

    def _follow(self, association: Association, keys: Dataset) -> None:
        """Send a C-GET and see it to its end."""
        for status, _ in association.send_c_get(keys, GET):
            code = self._code(status)
            if code in (*_PENDING, _SUCCESS) or 0xB000 <= code <= 0xBFFF:  # with warnings: what is missing is asked for again
                continue
            what = _REFUSED.get(code, "could not send all instances")
            raise InterruptedTransferError(f"{self._where} {what} (DIMSE status 0x{code:04X})")

    def _code(self, status: Dataset) -> int:
        """Return the code of a status; raises InterruptedTransferError for the empty one of a lost connection."""
        if "Status" not in status:
            raise InterruptedTransferError(
                f"{self._where} broke the connection, or took longer to answer than the time allowed for it"
            )
        return int(status.Status)


def _dataset(**values: str) -> Dataset:
    dataset = Dataset()
    for keyword, value in values.items():
        setattr(dataset, keyword, value)
    return dataset


def _texts(answer: Dataset, keyword: str) -> tuple[str, ...]:
    """Return the values of an element as text."""
    value = answer.get(keyword)
    values = value if isinstance(value, MultiValue | list) else [value]
    return tuple(text for one in values if one is not None and (text := str(one).strip()))


def _text(answer: Dataset, keyword: str) -> str:
    return next(iter(_texts(answer, keyword)), "")


def _storage_classes(instances: Sequence[FoundInstance]) -> list[str]:
    """Return the storage classes to offer for instances."""
    return [*dict.fromkeys(one.sop_class_uid for one in instances if one.sop_class_uid)][:_MOST_CLASSES] or [*_USUAL_CLASSES]


def _storage_contexts(classes: Sequence[str]) -> Iterator[PresentationContext]:
    for one in classes:
        yield build_context(one, _UNCOMPRESSED)
        yield from (build_context(one, [syntax]) for syntax in _OTHERS)


def _received(data: bytes) -> ReceivedInstance:
    """Return an instance that came; raises InterruptedTransferError if it cannot be read."""
    try:
        header = dcmread(io.BytesIO(data), stop_before_pixels=True, specific_tags=_UIDS)
        study_uid, series_uid, uid = (str(header.get(keyword, "")) for keyword in _UIDS)
    except PARSE_ERRORS as error:
        raise InterruptedTransferError("an instance came that cannot be read") from error
    return ReceivedInstance(study_uid, series_uid, uid, data)
