"""Adding manual labels to a catalogue that is there."""

from collections import defaultdict
from pathlib import Path

import numpy as np

from cmr_planes.errors import ShardError
from cmr_planes.shards.catalogue import Catalogue
from cmr_planes.shards.catalogue_writer import read_codec, write_catalogue
from cmr_planes.shards.label_files import LabelTree, label_folder, read_label_file, write_label_file
from cmr_planes.shards.records import ViewLabels
from cmr_planes.shards.verify import read_sealed_shards
from cmr_planes.system.whole_file import write_error
from cmr_planes.views import CardiacView


def write_labels(out: Path, labels: LabelTree) -> None:
    """Add labels to a catalogue; sealed shards stay as they are.

    Label files are replaced one at a time, the catalogue last: who is interrupted loses nothing, and runs it again.

    Parameters
    ----------
    out
        The catalogue; without any labels it is left alone.
    labels
        Labels by subject and view. Images that they annotate get these labels; what other images of the view had is kept.

    Raises
    ------
    ShardError
        A subject or view is not in the catalogue, labels do not have the shape of its images, or nothing can be written. What is
        wrong with the labels is found before anything is written.
    """
    if labels:
        write_label_files(out, labels)
        refresh_catalogue(out)


def write_label_files(out: Path, labels: LabelTree) -> None:
    """Do as :func:`write_labels` does, but leave the catalogue for :func:`refresh_catalogue`: for many subjects, some at a time."""
    with Catalogue(out) as catalogue:
        subjects, views = catalogue.subjects(), catalogue.views()
    shard_of = dict(zip(subjects.key, subjects.shard, strict=True))
    shapes = {
        (key, view): shape
        for key, view, *shape in zip(
            views.subject,
            views.view,
            *(column.tolist() for column in (views.n_phases, views.n_slices, views.rows, views.columns)),
            strict=True,
        )
    }
    by_shard: defaultdict[str, dict[str, dict[CardiacView, ViewLabels]]] = defaultdict(dict)
    for key, of_views in labels.items():
        for view, value in of_views.items():
            _check_shape(out, key, view, value, shapes.get((key, view.value)))
        by_shard[shard_of[key]][key] = dict(of_views)
    places = {key: place for place, key in enumerate(subjects.key)}
    folder = label_folder(out)
    try:
        folder.mkdir(exist_ok=True)
    except OSError as error:
        raise write_error(folder, error) from error
    for shard, new in by_shard.items():
        path = folder / Path(shard).name
        merged = _merge(read_label_file(path) if path.is_file() else {}, new)
        in_order = dict(sorted(merged.items(), key=lambda item: places.get(item[0], len(places))))
        write_label_file(path, in_order, codec=read_codec(out.parent / shard))


def refresh_catalogue(out: Path) -> None:
    """Write a catalogue again from its shards and label files; raises ShardError."""
    with Catalogue(out) as catalogue:
        configuration, versions = catalogue.configuration(), catalogue.versions()
    shards = [out.parent / shard.name for shard in read_sealed_shards(out)]
    write_catalogue(out, shards, configuration=configuration, versions=versions)


def _check_shape(out: Path, key: str, view: CardiacView, value: ViewLabels, shape: list[int] | None) -> None:
    if shape is None:
        raise ShardError(f"catalogue {str(out)!r} has no {view.title} images of subject {key!r}; 'cmr-planes inspect -v' says why")
    if value.labels.shape != tuple(shape):
        raise ShardError(
            f"labels of {view.title} of subject {key!r} have shape {value.labels.shape}, and its images have {tuple(shape)} "
            "(phase, slice, row, column)"
        )


def _merge(
    earlier: dict[str, dict[CardiacView, ViewLabels]], new: dict[str, dict[CardiacView, ViewLabels]]
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
