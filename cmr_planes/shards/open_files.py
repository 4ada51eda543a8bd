"""The files that one process has open for a catalogue: opened when first needed, the least recently used ones closed again."""

import threading
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

import h5py

from cmr_planes.errors import ShardError
from cmr_planes.geometry.arrays import BoolArray
from cmr_planes.shards.opening import DAMAGE_ERRORS, check_folder, check_size, open_file
from cmr_planes.shards.schema import FileKind, Group

MAX_OPEN_SHARDS = 64
"""Shards and label files that a process keeps open: HDF5 takes half a megabyte for each, and a file descriptor."""

MAX_OPEN_DATASETS = 1024
"""Datasets that a process keeps open, 40 kB each: finding one costs more than reading an image."""

_KINDS = {Group.DATA: FileKind.SHARD, Group.LABELS: FileKind.LABELS}
_WORDS = {Group.DATA: "images", Group.LABELS: "labels"}


@dataclass(slots=True)
class OpenFiles:
    """The files that one process has open."""

    pid: int
    """The process."""
    path: Path
    """The catalogue's path."""
    catalogue: h5py.File
    """The catalogue."""
    shards: OrderedDict[str, h5py.File] = field(default_factory=OrderedDict)
    """Shards and label files by name, the least recently used first."""
    datasets: OrderedDict[tuple[str, str], tuple[h5py.File, h5py.Dataset]] = field(default_factory=OrderedDict)
    """Datasets by subject and path, each with its file: asking HDF5 for it is slow."""
    structures: dict[tuple[str, str], BoolArray] = field(default_factory=dict)
    """Which structures were drawn, by subject and view, once they were read: a training asks several times."""
    lock: threading.RLock = field(default_factory=threading.RLock)
    """Held while anything is read."""

    def close(self) -> None:
        """Close everything."""
        self.datasets.clear()
        while self.shards:
            self.shards.popitem()[1].close()
        self.catalogue.close()

    def dataset(self, group: str, subject: str, view: str, name: str) -> h5py.Dataset:
        """Return the dataset ``/<group>/<subject>/<view>/<name>`` of the file to which the catalogue links."""
        key = (subject, f"{group}/{subject}/{view}/{name}")
        found = self.datasets.get(key)
        if found is None:
            file = self.linked_file(group, subject)
            dataset = file[key[1]]
            if not isinstance(dataset, h5py.Dataset) or dataset.ndim != 4 or dataset.dtype.kind != "u":
                raise OSError(f"{key[1]} does not hold images")
            check_size(dataset)
            self.datasets[key] = found = file, dataset
            if len(self.datasets) > MAX_OPEN_DATASETS:
                self.datasets.popitem(last=False)
        else:
            self.datasets.move_to_end(key)
        return found[1]

    def linked_file(self, group: str, subject: str) -> h5py.File:
        """Return the open shard, or label file, of a subject."""
        name = self.linked_name(group, subject)
        shard = self.shards.get(name)
        if shard is None:
            check_folder(self.path, name)
            shard = self.shards[name] = open_file(self.path.parent / name, _KINDS[group])
            if len(self.shards) > MAX_OPEN_SHARDS:
                _, oldest = self.shards.popitem(last=False)
                self.datasets = OrderedDict((key, found) for key, found in self.datasets.items() if found[0] is not oldest)
                oldest.close()
        else:
            self.shards.move_to_end(name)
        return shard

    def linked_name(self, group: str, subject: str) -> str:
        """Return the shard, or label file, of a subject as a path from the catalogue's folder; :class:`ShardError` if none."""
        try:
            if group == Group.LABELS and group not in self.catalogue:
                link = None  # written by a release that had no labels
            else:
                link = self.catalogue[group].get(subject, getlink=True)
        except DAMAGE_ERRORS as error:
            raise ShardError(f"catalogue {str(self.path)!r} cannot be read: it is damaged; make it again") from error
        if link is None:
            raise ShardError(f"catalogue {str(self.path)!r} holds no {_WORDS[group]} of subject {subject!r}")
        if not isinstance(link, h5py.ExternalLink):
            raise ShardError(
                f"catalogue {str(self.path)!r} does not link subject {subject!r} to a shard: it is damaged; make it again"
            )
        return PurePosixPath(link.filename).as_posix()

    @contextmanager
    def naming(self, group: str, subject: str, record: str) -> Iterator[None]:
        """Turn what HDF5 says of a failure into a sentence that names the file and the record."""
        try:
            yield
        except (KeyError, IndexError, ValueError) as error:
            raise ShardError(f"subject {subject!r} has no {record} in {str(self.path)!r}") from error
        except DAMAGE_ERRORS as error:
            link = self.catalogue[group].get(subject, getlink=True)
            remedy = (
                "running 'cmr-planes annotate' again rebuilds it"
                if group == Group.LABELS
                else "'cmr-planes verify' lists damaged files, and running the same 'extract' again rebuilds it"
            )
            kind = "label file" if group == Group.LABELS else "shard"
            raise ShardError(
                f"{record} of subject {subject!r} cannot be read: {kind} {link.filename!r} is damaged; {remedy}"
            ) from error
