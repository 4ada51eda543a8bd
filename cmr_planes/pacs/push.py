"""The job of ``cmr-planes push``: the results in a folder go to a PACS, all of them or none that is not ours."""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path

from cmr_planes.errors import PacsError
from cmr_planes.pacs.access import Access
from cmr_planes.pacs.addresses import DicomWebAddress, PacsAddress
from cmr_planes.pacs.quiet import quiet_libraries
from cmr_planes.pacs.results import Fault, Result, find_results
from cmr_planes.pacs.storing import Archive, Refusal
from cmr_planes.pacs.transfer import Patience
from cmr_planes.system.progress import OnMessage, OnProgress, Progress, ignore_message, ignore_progress

BATCH_FILES = 50
"""Files of one request, or of one association."""
BATCH_BYTES = 16 << 20
"""Bytes of one request, unless a single file has more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PushSummary:
    """What became of the results in a folder."""

    n_files: int
    """DICOM files in the folder."""
    n_others: int
    """Other files, which stay."""
    n_studies: int
    """Studies that the files belong to."""
    n_stored: int = 0
    """Objects that the archive has taken."""
    n_present: int = 0
    """Objects that it had before."""
    n_left: int = 0
    """Objects that were not sent, since the archive could no longer be reached."""
    bytes_sent: int = 0
    """Bytes of the objects that were taken."""
    seconds: float = 0.0
    """How long it took."""
    refused: Sequence[Fault] = ()
    """Files that may not be sent; if there is any, nothing was sent."""
    failed: Sequence[Fault] = ()
    """Objects that the archive did not take."""
    stopped: str = ""
    """Why the push ended before its end; empty if it did not."""

    @property
    def is_complete(self) -> bool:
        """Whether the archive has all of it."""
        return not (self.refused or self.failed or self.stopped)


@dataclass(slots=True)
class _Count:
    """What became of objects so far."""

    folder: Path
    n_stored: int = 0
    n_present: int = 0
    bytes_sent: int = 0
    failed: list[Fault] = field(default_factory=list)

    @property
    def n_done(self) -> int:
        """Objects of which it is known what became of them."""
        return self.n_stored + self.n_present + len(self.failed)

    def add(self, result: Result, refusal: Refusal | None) -> None:
        """Count an object that was sent."""
        if refusal is None:
            self.n_stored += 1
            self.bytes_sent += result.n_bytes
        else:
            name = str(result.path.relative_to(self.folder))
            self.failed.append(Fault(result.number, name, refusal.code, refusal.sentence))


def push(
    folder: Path,
    address: PacsAddress,
    access: Access,
    *,
    patience: Patience | None = None,
    on_progress: OnProgress = ignore_progress,
    on_message: OnMessage = ignore_message,
) -> PushSummary:
    """Send the segmentations and reports in a folder to a PACS.

    Parameters
    ----------
    folder
        What ``cmr-train predict --format seg`` wrote.
    address
        The PACS.
    access
        How it is talked to.
    patience
        How often a request is tried that fails for the moment.
    on_progress
        Called after each batch.
    on_message
        Called with a sentence before a request is tried again.

    Returns
    -------
        What became of the files. If one is not as this software made it, nothing is sent. What the archive has already counts
        as done, so that the same call continues where another one ended.

    Raises
    ------
    SourceError
        There are no DICOM files in the folder.
    PacsError
        The archive cannot be reached, or refuses this side, before anything was stored.
    """
    began = time.monotonic()
    results = find_results(folder)
    n_studies = len({result.study_uid for result in results.files})
    if results.faults:
        return PushSummary(n_files=results.n_files, n_others=results.n_others, n_studies=n_studies, refused=results.faults)
    count, total, stopped = _Count(folder), len(results.files), ""
    patience = patience or Patience()
    with quiet_libraries(), _connected(address, access) as archive:
        try:
            for study_uid, files in groupby(results.files, key=lambda result: result.study_uid):
                present = patience.insist(lambda uid=study_uid: archive.present(uid), on_message)  # type: ignore[misc]
                missing = []
                for result in files:
                    if result.instance_uid in present:
                        count.n_present += 1
                    else:
                        missing.append(result)
                for batch in _batches(missing):
                    patience.insist(lambda pending=batch: _store(archive, pending, count), on_message)  # type: ignore[misc]
                    on_progress(Progress(count.n_done, total))
                on_progress(Progress(count.n_done, total))
        except PacsError as error:
            if count.n_done == 0:
                raise
            stopped = str(error)
    return PushSummary(
        n_files=results.n_files,
        n_others=results.n_others,
        n_studies=n_studies,
        n_stored=count.n_stored,
        n_present=count.n_present,
        n_left=total - count.n_done,
        bytes_sent=count.bytes_sent,
        seconds=time.monotonic() - began,
        failed=sorted(count.failed, key=lambda fault: fault.number),
        stopped=stopped,
    )


@contextmanager
def _connected(address: PacsAddress, access: Access) -> Iterator[Archive]:
    """Be ready to store results at an address."""
    if isinstance(address, DicomWebAddress):
        from cmr_planes.pacs.stow import opened

        with opened(address, access) as archive:
            yield archive
    else:
        from cmr_planes.pacs.cstore import NodeArchive

        yield NodeArchive(address, access)


def _batches(results: Sequence[Result]) -> Iterator[list[Result]]:
    """Yield results in batches of bounded number and size."""
    batch: list[Result] = []
    for result in results:
        if batch and (len(batch) == BATCH_FILES or sum(one.n_bytes for one in batch) + result.n_bytes > BATCH_BYTES):
            yield batch
            batch = []
        batch.append(result)
    if batch:
        yield batch


def _store(archive: Archive, pending: list[Result], count: _Count) -> None:
    """Store results, and take those off the list of which it is known what became of them."""
    for result, refusal in archive.store(list(pending)):
        count.add(result, refusal)
        pending.remove(result)
