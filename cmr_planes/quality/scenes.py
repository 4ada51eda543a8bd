"""From a catalogue to the three planes of a subject in space."""

from cmr_planes.pictures.space import PlaneImage, Scene
from cmr_planes.shards.catalogue import Catalogue
from cmr_planes.views import TARGET_VIEWS, CardiacView


def read_scene(catalogue: Catalogue, subject: str, number: int, *, with_key: bool) -> Scene | None:
    """Read the images of a subject's three planes.

    Parameters
    ----------
    catalogue
        The catalogue, open.
    subject, number
        The subject's key, and its number in the catalogue from 1; it has all three views.
    with_key
        Whether the key is written above the picture, beside the number.

    Returns
    -------
        The middle short-axis slice, 2Ch and 4Ch at the first stored phase, None where the short axis has no positions or the
        planes' directions are not known.

    Raises
    ------
    ShardError
        A view is not there, or its shard is missing or damaged.
    """
    found = {view: catalogue.view_attributes(subject, view) for view in TARGET_VIEWS}
    boxes = found[CardiacView.SAX].boxes
    if boxes is None or not all(attributes.has_directions for attributes in found.values()):
        return None
    words = [f"subject {number}", found[CardiacView.SAX].phases[0].upper(), *([subject] if with_key else [])]
    levels = {view: attributes.shape[1] // 2 for view, attributes in found.items()}
    return Scene(
        images={
            view: PlaneImage(catalogue.image(subject, view, 0, levels[view]), found[view].planes[levels[view]])
            for view in TARGET_VIEWS
        },
        centres_px=boxes.centres_px[levels[CardiacView.SAX]],
        boxes=boxes.boxes[levels[CardiacView.SAX]],
        title=" · ".join(words),
    )
