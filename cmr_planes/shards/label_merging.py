"""Adding manual labels to an existing catalogue."""

from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from cmr_planes.errors import ShardError
from cmr_planes.shards.catalogue import Catalogue
from cmr_planes.shards.catalogue_writer import read_codec, write_catalogue
from cmr_planes.shards.label_files import LabelTree, label_folder, read_label_file, write_label_file
from cmr_planes.shards.records import ViewLabels
from cmr_planes.system.whole_file import write_error
from cmr_planes.views import CardiacView


class CatalogueLabels:
    """The labels of a catalogue, to which more are added; sealed shards stay as they are.

    Label files are replaced one at a time, the catalogue last: an interrupted run loses nothing, and can be repeated.

    Parameters
    ----------
    catalogue
        The catalogue, open for reading; each of its tables is read once, here.

    Raises
    ------
    ShardError
        The catalogue cannot be read.
    """

    def __init__(self, catalogue: Catalogue) -> None:
        self.out = catalogue.path
        self.subjects = catalogue.subjects()
        self.views = catalogue.views()
        self.configuration = catalogue.configuration()
        self._versions = catalogue.versions()
        self._shard_of = dict(zip(self.subjects.key, self.subjects.shard, strict=True))
        self._rank_of = {key: rank for rank, key in enumerate(self.subjects.key)}
        sizes = (self.views.n_phases, self.views.n_slices, self.views.rows, self.views.columns)
        self._shape_of = {
            (key, view): tuple(shape)
            for key, view, *shape in zip(self.views.subject, self.views.view, *(size.tolist() for size in sizes), strict=True)
        }

    def add(self, labels: LabelTree) -> None:
        """Put labels into the label files; :meth:`refresh` then adds them to the catalogue.

        Parameters
        ----------
        labels
            Labels by subject and view. Images that they annotate get these labels; what other images of the view had is kept.

        Raises
        ------
        ShardError
            A subject or view is not in the catalogue, labels do not have the shape of its images, or nothing can be written. What
            is wrong with the labels is found before anything is written.
        """
        by_shard: defaultdict[str, dict[str, Mapping[CardiacView, ViewLabels]]] = defaultdict(dict)
        for key, of_views in labels.items():
            for view, value in of_views.items():
                _check_shape(self.out, key, view, value, self._shape_of.get((key, view.value)))
            by_shard[self._shard_of[key]][key] = of_views
        folder = label_folder(self.out)
        try:
            folder.mkdir(exist_ok=True)
        except OSError as error:
            raise write_error(folder, error) from error
        for shard, new in by_shard.items():
            path = folder / Path(shard).name
            merged = _merge(read_label_file(path) if path.is_file() else {}, new)
            in_order = dict(sorted(merged.items(), key=lambda item: self._rank_of.get(item[0], len(self._rank_of))))
            write_label_file(path, in_order, codec=read_codec(self.out.parent / shard))

    def refresh(self) -> None:
        """Write the catalogue again from its shards and label files; raises ShardError."""
        shards = [self.out.parent / shard for shard in dict.fromkeys(self.subjects.shard)]
        write_catalogue(self.out, shards, configuration=self.configuration, versions=self._versions)


def _check_shape(out: Path, key: str, view: CardiacView, value: ViewLabels, shape: tuple[int, ...] | None) -> None:
    if shape is None:
        raise ShardError(f"catalogue {str(out)!r} has no {view.title} images of subject {key!r}; 'cmr-planes inspect -v' says why")
    if value.labels.shape != shape:
        raise ShardError(
            f"labels of {view.title} of subject {key!r} have shape {value.labels.shape}, and its images have {shape} "
            "(phase, slice, row, column)"
        )


def _merge(
    earlier: Mapping[str, Mapping[CardiacView, ViewLabels]], new: Mapping[str, Mapping[CardiacView, ViewLabels]]
) -> dict[str, dict[CardiacView, ViewLabels]]:
    """Put new labels over earlier ones, image by image."""
    merged = {key: dict(views) for key, views in earlier.items()}
    for key, views in new.items():
        before = merged.setdefault(key, {})
        for view, value in views.items():
            old = before.get(view)
            before[view] = value if old is None or old.labels.shape != value.labels.shape else _over(old, value)
    order = list(CardiacView)
    return {key: dict(sorted(views.items(), key=lambda item: order.index(item[0]))) for key, views in merged.items()}


def _over(old: ViewLabels, new: ViewLabels) -> ViewLabels:
    """Return the new labels where there are any, else the old ones."""
    is_new = new.annotated
    if not (old.annotated & ~is_new).any():
        return new
    return ViewLabels(
        labels=np.where(is_new[:, :, None, None], new.labels, old.labels),
        structures=np.where(is_new[:, :, None], new.structures, old.structures),
        source=", ".join(sorted({*old.source.split(", "), new.source})),
    )
