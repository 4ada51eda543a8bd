"""One study: list its instances, choose its series, fetch what is not there yet."""

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import count
from pathlib import Path
from typing import TypeVar

from cmr_planes.cine.series_names import NameTable
from cmr_planes.dicom.frames import FrameHeader
from cmr_planes.errors import Finding, UnreadablePixelsError
from cmr_planes.pacs.outcome import LeftOut, StudyOutcome, TransferCode
from cmr_planes.pacs.server import FoundInstance, FoundStudy, ReceivedInstance, Server, is_safe_uid
from cmr_planes.pacs.study_folder import StudyFolder
from cmr_planes.pacs.transfer import InterruptedTransferError, Patience
from cmr_planes.pacs.view_series import choose_series
from cmr_planes.system.progress import OnMessage
from cmr_planes.system.text import part

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Puller:
    """What all studies of a pull have in common."""

    server: Server
    patience: Patience
    names: NameTable
    modality: str
    """The modality that a series of a study has to have; empty for any."""
    all_series: bool
    """Whether series are wanted from which no view is made."""
    keep_headers: bool
    """Whether studies without views are kept, with their headers alone."""
    is_dry: bool
    """Whether nothing is fetched but what the choice needs."""
    on_message: OnMessage
    on_instance: Callable[[], None]
    """Called after each instance that came."""

    def pull(self, study: FoundStudy, folder: StudyFolder) -> StudyOutcome | None:
        """Pull a study.

        Parameters
        ----------
        study
            Which one.
        folder
            Its folder, begun; complete afterwards if the study is whole, removed if it is left out for good.

        Returns
        -------
            What became of it; None if it has no series of the modality.

        Raises
        ------
        PacsError
            The server cannot be asked any more, or refuses.
        ShardError
            The folder cannot be written.
        """
        return _Study(self, study, folder).pull()


class _Study:
    """One study on its way."""

    def __init__(self, puller: Puller, study: FoundStudy, folder: StudyFolder) -> None:
        self._puller = puller
        self._study = study
        self._folder = folder
        self._instances: dict[str, FoundInstance] = {}
        self._n_foreign = 0

    def pull(self) -> StudyOutcome | None:
        """Pull the study."""
        name = self._folder.path.name
        has_modality = self._list()
        if not has_modality:
            self._folder.discard()
            return None
        is_safe = all(is_safe_uid(one.series_uid) for one in self._instances.values())
        if not (is_safe and self._instances):
            self._folder.discard()
            return StudyOutcome(name=name, left_out=(unsafe_uid(name) if self._instances else _empty(name),))
        self._folder.keep_only(self._instances)
        chosen, findings = self._choose()
        by_series: defaultdict[str, list[FoundInstance]] = defaultdict(list)
        for one in self._instances.values():
            by_series[one.series_uid].append(one)
        wanted = {uid: by_series[uid] for uid in by_series if uid in chosen}
        outcome = self._outcome(wanted, tuple(LeftOut(name, one.view, one.code.value, one.sentence) for one in findings))
        if self._puller.is_dry:
            self._folder.discard()
            return replace(outcome, is_whole=bool(wanted))
        if not wanted and not self._puller.keep_headers:
            self._folder.discard()
            return outcome
        for instances in wanted.values():
            self._fetch_series(instances)
        self._folder.complete()
        return replace(outcome, is_whole=True, n_foreign=self._n_foreign)

    def _list(self) -> bool:
        """List the instances and write their headers; return whether a series has the modality, as far as that is known."""
        ask, modality = self._puller.server, self._puller.modality
        series = self._insist(lambda: ask.series(self._study.uid))
        modalities = {one.modality for one in series} - {""}
        if modality and modalities and modality not in modalities:
            return False
        for one in series:
            if not is_safe_uid(one.uid):
                self._instances[one.uid] = FoundInstance(uid=one.uid, series_uid=one.uid)  # the study is left out for it
                return True
            self._list_series(one.uid)
        return True

    def _list_series(self, series_uid: str) -> None:
        """List the instances of a series and write their headers."""
        for one in self._insist(lambda: self._puller.server.instances(self._study.uid, series_uid)):
            if one.header is not None and not self._folder.has_image(one.uid):
                self._folder.write_header(one.uid, one.header)
            self._instances[one.uid] = replace(one, header=None)

    def _choose(self) -> tuple[frozenset[str], Sequence[Finding]]:
        """Return the UIDs of the series that are wanted, and why views are missing."""
        if self._puller.all_series or not self._puller.server.tells_headers:
            return frozenset(one.series_uid for one in self._instances.values()), ()
        choice = choose_series(self._folder.part, self._puller.names, self._image)
        return choice.series_uids, choice.findings

    def _image(self, frame: FrameHeader) -> Path:
        """Return the file of a frame's instance, fetched if it is not there."""
        uid = frame.sop_instance_uid
        if not self._folder.has_image(uid):
            if uid not in self._instances:
                raise UnreadablePixelsError("was not fetched")
            self._fetch([self._instances[uid]])
        return self._folder.image(uid)

    def _fetch_series(self, instances: Sequence[FoundInstance]) -> None:
        """Fetch the instances of a series that are not there yet."""
        missing = self._missing(instances)
        if missing:
            self._fetch(missing)

    def _fetch(self, instances: Sequence[FoundInstance]) -> None:
        """Fetch instances of one series; as long as some come, the server is asked again and again.

        Raises
        ------
        InterruptedTransferError
            Some did not come.
        GoneError
            They are no longer there.
        """
        attempts = count()
        while missing := self._missing(instances):
            try:
                self._insist(lambda: self._ask_for(instances, attempt=next(attempts)))
            except InterruptedTransferError:
                if len(self._missing(instances)) == len(missing):
                    raise

    def _ask_for(self, instances: Sequence[FoundInstance], *, attempt: int) -> None:
        """Ask for what is missing of some instances of a series: at even attempts for the whole series, else for one by one."""
        server, missing = self._puller.server, self._missing(instances)
        n_in_series = sum(one.series_uid == instances[0].series_uid for one in self._instances.values())
        if attempt % 2 == 0 and 2 * len(missing) > n_in_series:
            server.fetch(self._study.uid, missing, self._receive)
        else:
            for one in missing:
                server.fetch_one(self._study.uid, one, self._receive)
        n_missing = len(self._missing(instances))
        if n_missing:
            raise InterruptedTransferError(
                f"the server said that it sent all of a series, and {part(n_missing, len(instances), 'instance')} did not come"
            )

    def _missing(self, instances: Sequence[FoundInstance]) -> list[FoundInstance]:
        return [one for one in instances if not self._folder.has_image(one.uid)]

    def _receive(self, received: ReceivedInstance) -> None:
        """Write an instance, unless it is not of those that were listed."""
        listed = self._instances.get(received.uid)
        if listed is None or (received.study_uid, received.series_uid) != (self._study.uid, listed.series_uid):
            self._n_foreign += 1
        elif not self._folder.has_image(received.uid):
            self._folder.write_image(received.uid, received.data)
        self._puller.on_instance()

    def _insist(self, attempt: Callable[[], T]) -> T:
        return self._puller.patience.insist(attempt, self._puller.on_message)

    def _outcome(self, wanted: Mapping[str, Sequence[FoundInstance]], left_out: tuple[LeftOut, ...]) -> StudyOutcome:
        """Return what will have become of the study."""
        instances = [one for members in wanted.values() for one in members]
        n_bytes = sum(one.n_pixel_bytes for one in instances)
        return StudyOutcome(
            name=self._folder.path.name,
            left_out=left_out,
            n_series=len(wanted),
            n_instances=len(instances),
            n_pixel_bytes=n_bytes,
            n_spared_bytes=sum(one.n_pixel_bytes for one in self._instances.values()) - n_bytes,
        )


def unsafe_uid(name: str) -> LeftOut:
    """Return the row of a study that cannot be asked for."""
    sentence = "a StudyInstanceUID or SeriesInstanceUID holds characters that no UID has; have the study sent again with valid UIDs"
    return LeftOut(name, "", TransferCode.UNSAFE_UID.value, sentence)


def _empty(name: str) -> LeftOut:
    return LeftOut(name, "", TransferCode.EMPTY.value, "the server lists no instances of the study")
