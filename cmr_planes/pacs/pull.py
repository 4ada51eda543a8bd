"""Pulling studies from a PACS into folders that ``extract`` reads: resumable at any moment, each study whole or not there."""

import hashlib
import re
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass, field, replace
from datetime import date
from pathlib import Path

from cmr_planes.cine.series_names import NameTable, load_names
from cmr_planes.discovery.pseudonyms import Pseudonyms
from cmr_planes.errors import PacsError, ShardError, SourceError
from cmr_planes.extraction.run_log import RunLog
from cmr_planes.pacs.access import Access
from cmr_planes.pacs.addresses import DicomWebAddress, PacsAddress
from cmr_planes.pacs.dimse_server import DimseServer
from cmr_planes.pacs.naming import (
    ALL_SERIES,
    DIGESTS,
    NUMBERS,
    DigestNames,
    FolderState,
    HashedNames,
    Naming,
    open_state,
    write_state,
)
from cmr_planes.pacs.outcome import UNFINISHED, LeftOut, StudyOutcome, TransferCode, read_left_out, write_left_out
from cmr_planes.pacs.quiet import quiet_libraries
from cmr_planes.pacs.server import FoundStudy, Server, StudyQuery, WantedStudy, is_safe_uid
from cmr_planes.pacs.study_folder import StudyFolder
from cmr_planes.pacs.study_pull import Puller, unsafe_uid
from cmr_planes.pacs.transfer import DeniedError, GoneError, InterruptedTransferError, Patience
from cmr_planes.pacs.web_server import WebServer
from cmr_planes.system.names import PathLike
from cmr_planes.system.progress import OnMessage, OnProgress, Progress, ignore_message, ignore_progress
from cmr_planes.system.reasons import reason
from cmr_planes.system.run_lock import only_run
from cmr_planes.system.text import counted

MOST_FAILURES = 3
"""After this many studies in a row that the server did not send, it is given up."""

_NOTHING = "the server has no study that matches; look at modality, dates and description"
_SECONDS_BETWEEN_STEPS = 0.2


@dataclass(frozen=True, slots=True, kw_only=True)
class PullOptions:
    """Which studies are pulled, and what of them."""

    modality: str = "MR"
    """A modality that a study has; empty for any."""
    since: date | None = None
    """First StudyDate."""
    until: date | None = None
    """Last StudyDate."""
    description: re.Pattern[str] | None = None
    """What StudyDescription has to hold."""
    studies: tuple[WantedStudy, ...] = ()
    """The studies that are wanted; none for all that match the rest."""
    all_series: bool = False
    """Whether to pull series from which no view is made."""
    names: NameTable = field(default_factory=load_names)
    """What series names mean."""
    pseudonyms: Pseudonyms | None = None
    """Makes the names of folders; None for running numbers."""
    for_extraction: bool = False
    """Whether the folder is extracted and removed at once: its folders are called as ``extract`` calls studies, and studies without
    views are kept with their headers, so that the catalogue can say why they were left out."""

    @property
    def queries(self) -> tuple[StudyQuery, ...]:
        """What the server is asked."""
        query = StudyQuery(modality=self.modality, since=self.since, until=self.until)
        return tuple(replace(query, wanted=one) for one in self.studies) or (query,)

    @property
    def naming(self) -> str:
        """How folders are called, as their state has it."""
        if self.for_extraction:
            return DIGESTS
        return NUMBERS if self.pseudonyms is None else self.pseudonyms.check_value

    @property
    def choice(self) -> str:
        """Which series are pulled, as the folder's state has it."""
        return ALL_SERIES if self.all_series else hashlib.sha256(self.names.source.encode()).hexdigest()[:16]


@dataclass(frozen=True, slots=True, kw_only=True)
class PullSummary:
    """What a pull did."""

    outcomes: tuple[StudyOutcome, ...]
    """What became of each study that matched."""
    not_found: tuple[LeftOut, ...]
    """Lines of the list of studies that no study answers to."""
    n_bytes: int
    """Bytes that the server sent, as they travelled."""
    seconds: float
    """How long it took."""

    @property
    def n_pulled(self) -> int:
        """Studies that were pulled, or would be."""
        return sum(one.is_whole for one in self.outcomes)

    @property
    def n_there(self) -> int:
        """Studies that were there already."""
        return sum(one.was_there for one in self.outcomes)

    @property
    def left_out(self) -> tuple[LeftOut, ...]:
        """Studies that were left out, and why."""
        without = [row for one in self.outcomes if not (one.is_whole or one.was_there) for row in one.left_out]
        return (*without, *self.not_found)

    @property
    def is_unfinished(self) -> bool:
        """Whether a study was not pulled that another pull may bring."""
        return any(row.code in UNFINISHED for row in self.left_out)


@contextmanager
def open_server(address: PacsAddress, access: Access) -> Iterator[Server]:
    """Open what answers at an address."""
    if isinstance(address, DicomWebAddress):
        with WebServer(address, access) as server:
            yield server
    else:
        yield DimseServer(address, access)


def pull(
    address: PacsAddress,
    folder: PathLike,
    options: PullOptions | None = None,
    *,
    access: Access | None = None,
    patience: Patience | None = None,
    dry_run: bool = False,
    log: PathLike | None = None,
    on_progress: OnProgress = ignore_progress,
    on_message: OnMessage = ignore_message,
) -> PullSummary:
    """Pull studies from a PACS into a folder, one folder per study.

    What arrived whole stays; an interrupted pull continues when it is called again. By DICOMweb the views are chosen from metadata,
    as ``extract`` chooses them, before a pixel moves; of other series only headers are kept, so that ``extract`` finds the same.

    Parameters
    ----------
    address
        Where the studies are.
    folder
        Where they go; empty, new, or of an earlier pull.
    options
        Which studies, and what of them; None for all of MR.
    access
        Credentials, authorities, AE title and timeout.
    patience
        How often a server is asked again that does not answer.
    dry_run
        Whether to choose only, and write nothing.
    log
        A file to which one JSON object per study is appended; None for none.
    on_progress
        Called with the number of studies done, and their total.
    on_message
        Called with what the user should know, in a sentence.

    Returns
    -------
        What was pulled, and what was left out.

    Raises
    ------
    SourceError
        The server has no such study.
    PacsError
        The server cannot be reached, refuses, or fails again and again.
    ShardError
        The folder is not one of ours, was filled with other options, or cannot be written.
    InUseError
        Another pull works on the folder.
    """
    folder, options = Path(folder), options or PullOptions()
    access, patience = access or Access(), patience or Patience()
    start = time.perf_counter()
    with (
        quiet_libraries(),
        nullcontext() if dry_run else only_run(folder, on_message=on_message),
        nullcontext() if log is None else RunLog(Path(log), with_keys=False) as run_log,
        open_server(address, access) as server,
    ):
        state = open_state(folder, naming=options.naming, choice=options.choice)
        found, not_found = _find(server, options, patience, on_message)
        if not found and not not_found:
            raise SourceError(_NOTHING)
        naming, state = _name(found, options, state)
        steps = _Steps(server, len(found), start, on_progress)
        puller = Puller(
            server=server,
            patience=patience,
            names=options.names,
            modality=options.modality,
            all_series=options.all_series,
            keep_headers=options.for_extraction,
            is_dry=dry_run,
            on_message=on_message,
            on_instance=steps.show,
        )
        with _working_folder(folder, state, dry_run=dry_run) as work:
            outcomes: list[StudyOutcome] = []
            try:
                for outcome in _pull_all(puller, found, naming, (folder, work), steps):
                    outcomes.append(outcome)
                    _write_down(outcome, run_log)
            except BaseException:
                with suppress(ShardError):
                    _list_left_out(work, outcomes, not_found)
                raise
            _list_left_out(work, outcomes, not_found)
        if not outcomes and not not_found:
            raise SourceError(_NOTHING)
        n_bytes = server.n_bytes
    return PullSummary(outcomes=tuple(outcomes), not_found=tuple(not_found), n_bytes=n_bytes, seconds=time.perf_counter() - start)


def _find(
    server: Server, options: PullOptions, patience: Patience, on_message: OnMessage
) -> tuple[dict[str, FoundStudy], list[LeftOut]]:
    """Return the studies that match by UID, and the lines of the list that none answers to."""
    found: dict[str, FoundStudy] = {}
    not_found = []
    for query in options.queries:
        answers = patience.insist(lambda query=query: server.studies(query), on_message)  # type: ignore[misc]  # mypy#12557
        matching = [study for study in answers if study.uid and study.matches(query)]
        if query.wanted is not None and not matching:
            sentence = (
                f"line {query.wanted.line} of the list: the server has no study of this StudyInstanceUID or accession number with "
                "the modality and in the dates that were asked for; look at the line"
            )
            not_found.append(LeftOut("", "", TransferCode.NOT_ON_SERVER.value, sentence))
        found |= {study.uid: study for study in matching if _is_described(study, options)}
    return found, not_found


def _is_described(study: FoundStudy, options: PullOptions) -> bool:
    return options.description is None or options.description.search(study.description) is not None


def _name(found: dict[str, FoundStudy], options: PullOptions, state: FolderState) -> tuple[Naming, FolderState]:
    """Return what gives names, and the state with the numbers of new studies."""
    if options.for_extraction:
        return DigestNames(), state
    if options.pseudonyms is not None:
        return HashedNames(options.pseudonyms), state
    if state.names is None:
        raise ShardError("the output folder has no running numbers; give another folder")
    names = state.names.with_studies(found)
    return names, replace(state, names=names)


@contextmanager
def _working_folder(folder: Path, state: FolderState, *, dry_run: bool) -> Iterator[Path]:
    """Return the folder in which studies are made: the output, with its state written, or a temporary one."""
    if dry_run:
        with tempfile.TemporaryDirectory(prefix="cmr-planes-") as temporary:
            yield Path(temporary)
        return
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise ShardError(f"{folder} cannot be made ({reason(error)}); check the path and its permissions") from error
    write_state(folder, state)
    yield folder


@dataclass(slots=True)
class _Steps:
    """Tells how far a pull is."""

    server: Server
    total: int
    start: float
    on_progress: OnProgress
    done: int = 0
    shown: float = 0.0

    def show(self, *, is_due: bool = False) -> None:
        """Show bytes and rate, not more often than can be read."""
        now = time.perf_counter()
        if is_due or now - self.shown >= _SECONDS_BETWEEN_STEPS:
            self.shown = now
            megabytes = self.server.n_bytes / 1e6
            rate = megabytes / max(now - self.start, 1e-3)
            self.on_progress(Progress(self.done, self.total, f"{megabytes:,.1f} MB, {rate:,.1f} MB/s"))

    def step(self) -> None:
        """Count a study."""
        self.done += 1
        self.show(is_due=True)


def _pull_all(
    puller: Puller, found: dict[str, FoundStudy], naming: Naming, folders: tuple[Path, Path], steps: _Steps
) -> Iterator[StudyOutcome]:
    """Pull what is not in the first of two folders yet, study after study, into the second; yield what became of each."""
    output, work = folders
    failures = 0
    for study in sorted(found.values(), key=lambda one: naming.study(one.uid)):
        folder = StudyFolder(work, naming.study(study.uid), naming)
        error: PacsError | None = None
        try:
            if StudyFolder(output, folder.path.name, naming).is_complete:
                outcome: StudyOutcome | None = StudyOutcome(name=folder.path.name, was_there=True)
            else:
                outcome = _pull_one(puller, study, folder)
        except DeniedError:
            raise
        except PacsError as failure:
            error = failure
            outcome = _failed(folder, failure)
        failures = failures + 1 if error is not None else 0
        if error is not None and failures >= min(MOST_FAILURES, len(found)):
            raise PacsError(
                f"{error}; nothing came of {counted(failures, 'study', 'studies')} in a row, what arrived whole stays"
            ) from error
        if outcome is not None:
            yield outcome
        steps.step()


def _pull_one(puller: Puller, study: FoundStudy, folder: StudyFolder) -> StudyOutcome | None:
    """Pull a study, unless it cannot be asked for."""
    if not is_safe_uid(study.uid):
        return StudyOutcome(name=folder.path.name, left_out=(unsafe_uid(folder.path.name),))
    folder.begin()
    return puller.pull(study, folder)


def _failed(folder: StudyFolder, error: PacsError) -> StudyOutcome:
    """Return the outcome of a study that the server did not send."""
    if isinstance(error, GoneError):
        folder.discard()
        code, sentence = (
            TransferCode.VANISHED,
            "the study, or a part of it, vanished from the server while it was pulled; pull again",
        )
    elif isinstance(error, InterruptedTransferError):
        code, sentence = TransferCode.INCOMPLETE, f"{error}; what came of it is kept, pull again"
    else:
        code, sentence = TransferCode.REFUSED, str(error)
    return StudyOutcome(name=folder.path.name, left_out=(LeftOut(folder.path.name, "", code.value, sentence),))


def _write_down(outcome: StudyOutcome, run_log: RunLog | None) -> None:
    """Add the lines of a study to the log."""
    if run_log is None:
        return
    for row in outcome.left_out:
        run_log.write("pull", row.code, {"study": row.study, "view": row.view, "sentence": row.sentence})
    code = "there" if outcome.was_there else "done" if outcome.is_whole else "left_out"
    run_log.write("pull", code, {"study": outcome.name, "n_series": outcome.n_series, "n_instances": outcome.n_instances})


def _list_left_out(folder: Path, outcomes: Sequence[StudyOutcome], not_found: Sequence[LeftOut]) -> None:
    """Write the list: of this pull, and of earlier ones about studies that were not asked for now."""
    asked = {one.name for one in outcomes if not one.was_there} | {""}
    earlier = [row for row in read_left_out(folder) if row.study not in asked]
    rows = [*earlier, *(row for one in outcomes for row in one.left_out), *not_found]
    write_left_out(folder, rows)
