"""Another person's masks for each image: the same task without the geometry, a control."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from cmr_planes.shards.catalogue import Catalogue
from cmr_planes.shards.columns import ImageIndex
from cmr_train.compute.random_numbers import Stream, generator
from cmr_train.data.places import relative_places
from cmr_train.data.selection import participants


def derangement(keys: Sequence[str], seed: int) -> dict[str, str]:
    """Give each person another one, each of which is given once: all of them stand in one circle, in a random order.

    Parameters
    ----------
    keys
        Two persons or more, in any order; each once.
    seed
        Another seed gives another circle.

    Raises
    ------
    ValueError
        There are fewer than two.
    """
    if len(keys) < 2:
        raise ValueError(f"two persons or more can be exchanged, got {len(keys)}")
    ordered = sorted(keys)
    circle = [ordered[number] for number in generator(seed, Stream.DONORS).permutation(len(ordered))]
    return dict(zip(circle, [*circle[1:], circle[0]], strict=True))


def donor_rows(catalogue: Catalogue, index: ImageIndex, seed: int) -> NDArray[np.int64]:
    """Return whose mask goes with each image: of another person, of the same phase, and of the nearest relative place in the stack.

    Parameters
    ----------
    catalogue
        Where the images are.
    index
        Images of one view; their masks are exchanged among them.
    seed
        Of :func:`derangement`.

    Returns
    -------
        Shape (images,), rows of the index. A person of several examinations gives them in turn; where the donor has not the phase,
        the one of the nearest share of the cycle is taken.
    """
    donors = derangement(participants(index), seed)
    places = np.nan_to_num(relative_places(catalogue, index))
    subjects: dict[str, dict[str, list[int]]] = {}
    for subject, own in index.rows_by_subject().items():
        subjects.setdefault(index.participant(int(own[0])), {})[subject] = own.tolist()
    moments = np.zeros(len(index))
    for rows in (rows for visits in subjects.values() for rows in visits.values()):
        moments[rows] = index.phase_index[rows] / max(1, int(index.phase_index[rows].max()))
    found = np.empty(len(index), dtype=np.int64)
    for person, visits in subjects.items():
        given = [np.array(subjects[donors[person]][key]) for key in sorted(subjects[donors[person]])]
        for number, key in enumerate(sorted(visits)):
            offered = given[number % len(given)]
            for row in visits[key]:
                of_phase = offered[index.phase[offered] == index.phase[row]]
                if not len(of_phase):
                    apart = np.abs(moments[offered] - moments[row])
                    of_phase = offered[apart == apart.min()]
                found[row] = of_phase[np.abs(places[of_phase] - places[row]).argmin()]
    return found
