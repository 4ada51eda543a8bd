"""Which subjects and views of a catalogue are exported."""

from collections.abc import Mapping, Sequence

from cmr_planes.errors import ExportError, SourceError
from cmr_planes.shards.catalogue import Catalogue
from cmr_planes.views import CardiacView


def choose_subjects(catalogue: Catalogue, keys: Sequence[str]) -> dict[str, tuple[CardiacView, ...]]:
    """Return the views of each subject with images, of those that are named, or of all.

    Raises
    ------
    ExportError
        A key names no subject with images.
    SourceError
        The catalogue has no images.
    """
    table = catalogue.views()
    views: dict[str, tuple[CardiacView, ...]] = {}
    for key, view in zip(table.subject, table.view, strict=True):
        views[key] = (*views.get(key, ()), CardiacView(view))
    if not views:
        raise SourceError(f"{str(catalogue.path)!r} holds no images; 'cmr-planes inspect' says what was left out and why")
    unknown = [key for key in keys if key not in views]
    if unknown:
        raise ExportError(
            f"{len(unknown)} of the subjects that were asked for have no images in {str(catalogue.path)!r}; 'cmr-planes inspect "
            "-v' lists what was left out"
        )
    return {key: views[key] for key in dict.fromkeys(keys)} if keys else views


def annotated_views(catalogue: Catalogue) -> Mapping[str, frozenset[CardiacView]]:
    """Return the annotated views of each subject that has any."""
    table = catalogue.annotations()
    found: dict[str, frozenset[CardiacView]] = {}
    for key, view in zip(table.subject, table.view, strict=True):
        found[key] = found.get(key, frozenset()) | {CardiacView(view)}
    return found
