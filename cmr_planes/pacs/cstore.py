"""Results to an application entity, by C-STORE."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from pydicom.dataset import Dataset
from pydicom.uid import Comprehensive3DSRStorage, ExplicitVRLittleEndian, ImplicitVRLittleEndian, SegmentationStorage
from pynetdicom import build_context
from pynetdicom.association import Association

from cmr_planes.errors import SourceChangedError
from cmr_planes.pacs.access import Access
from cmr_planes.pacs.addresses import DimseAddress
from cmr_planes.pacs.dimse import associate
from cmr_planes.pacs.results import Result
from cmr_planes.pacs.storing import Outcome, Refusal, StoreCode, judge, refusal
from cmr_planes.pacs.transfer import InterruptedTransferError

_CONTEXTS = [
    build_context(kind, [ExplicitVRLittleEndian, ImplicitVRLittleEndian])
    for kind in (SegmentationStorage, Comprehensive3DSRStorage)
]


@dataclass(frozen=True, slots=True)
class NodeArchive:
    """An application entity that takes results."""

    address: DimseAddress
    access: Access

    def present(self, study_uid: str) -> set[str]:  # noqa: ARG002  # the same question for every kind of archive
        """Return nothing: an entity that stores need not answer queries, and it recognises what it has."""
        return set()

    def store(self, batch: Sequence[Result]) -> Iterator[Outcome]:
        """Store results within one association."""
        with associate(self.address, self.access, _CONTEXTS) as association:
            accepted = {context.abstract_syntax for context in association.accepted_contexts}
            for result in batch:
                try:
                    dataset = result.read()
                except SourceChangedError as error:
                    yield result, Refusal(StoreCode.CHANGED, str(error))
                    continue
                if dataset.SOPClassUID in accepted:
                    yield result, self._store(association, result, dataset)
                else:
                    yield result, refusal(result, StoreCode.CLASS_NOT_SUPPORTED, "not negotiated")

    def _store(self, association: Association, result: Result, dataset: Dataset) -> Refusal | None:
        # The end of a connection is no exception: it shows in the state of the association, or as an answer without a status.
        answer = association.send_c_store(dataset) if association.is_established else Dataset()
        if "Status" not in answer:
            where = f"{self.address.called} at {self.address.host}:{self.address.port}"
            raise InterruptedTransferError(f"{where} broke the connection, or did not answer in time; check that the server runs")
        return judge(result, int(answer.Status))
