"""Files that draw on the same images."""

import numpy as np

from cmr_planes.annotations.layers import DrawnImage, Layer, finished, settled
from cmr_planes.views import CardiacView, Structure
from tests.helpers.labels import LV, MYO, RV, make_target
from tests.helpers.records import make_plane

SAX = CardiacView.SAX
PLANE = make_plane(SAX, matrix=(12, 10))
TARGET = make_target(SAX, [PLANE, PLANE])


def image(*boxes: tuple[Structure, int, int]) -> DrawnImage:
    labels = np.zeros((PLANE.rows, PLANE.columns), dtype=np.uint8)
    for structure, low, high in boxes:
        labels[low:high, low:high] = structure
    return DrawnImage(labels, frozenset(structure for structure, _, _ in boxes))


def layer(name: str, *images: DrawnImage) -> Layer:
    return Layer(name, "cvi42", {(SAX, 0, level): one for level, one in enumerate(images)})


def test_the_last_file_wins_every_image_that_it_shares_with_another_reader() -> None:
    first = layer("file 1", image((MYO, 1, 9), (LV, 3, 7)), image((LV, 2, 4)))
    second = layer("file 2", image((LV, 4, 6)))
    kept, sentences = settled([first, second])
    placed = finished(TARGET, kept)
    np.testing.assert_array_equal(placed.labels[0, 0], second.images[SAX, 0, 0].labels)
    np.testing.assert_array_equal(placed.labels[0, 1], first.images[SAX, 0, 1].labels)
    assert [sentence.split(";")[0] for sentence in sentences] == ["1 image is annotated in more than one file, and not alike"]
    assert "(file 2)" in sentences[0]


def test_equal_files_and_files_of_other_structures_are_joined_without_a_word() -> None:
    first = layer("file 1", image((MYO, 1, 9), (LV, 3, 7)))
    kept, sentences = settled([first, first, layer("file 2", image((RV, 0, 2)))])
    placed = finished(TARGET, kept)
    assert sentences == []
    assert set(np.unique(placed.labels[0, 0])) == {0, LV, MYO, RV}


def test_what_was_refused_counts_as_not_annotated_though_others_drew_it_elsewhere() -> None:
    drawn = image((LV, 3, 7), (RV, 0, 2))
    placed = finished(TARGET, [layer("file 1", drawn, drawn.without({RV}))])
    assert placed.structures[0, :, RV].tolist() == [True, False]
    assert not (placed.labels[0, 1] == RV).any()
    assert finished(TARGET, [layer("file 1", drawn.without({LV, RV}))]) is None
