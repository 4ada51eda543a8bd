"""Small catalogues and networks, for the tests of the trainer."""

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from click.testing import CliRunner, Result

from cmr_planes.geometry import BoxLayout
from cmr_planes.shards.catalogue import Catalogue
from cmr_planes.shards.records import ViewLabels
from cmr_planes.views import CardiacView, Structure
from cmr_train.choices import DeviceKind, Recipe
from cmr_train.cli import main
from cmr_train.config import RunConfig
from cmr_train.presets import configure
from tests.helpers.catalogues import write_batches
from tests.helpers.labels import write_labels
from tests.helpers.records import make_subject

SIZE = 48
"""Rows and columns of the images."""
SMALL: dict[str, Any] = {
    "rows": SIZE,
    "columns": SIZE,
    "base_channels": 4,
    "levels": 2,
    "batch_size": 4,
    "iterations": 6,
    "log_every": 2,
    "checkpoint_every": 100,
    "threads": 1,
    "device": DeviceKind.CPU,
}
"""Settings of a run that takes a second."""


def small_catalogue(
    folder: Path, n_subjects: int = 8, views: Sequence[CardiacView] = (CardiacView.SAX,), *, first: int = 1, **options: Any
) -> Path:
    """Write a catalogue of subjects of three SAX slices and two phases each, from a number on, in two shards; return its path."""
    settings = {"matrix": (SIZE, SIZE), "spacing_mm": 7.0, "layout": BoxLayout(size=5, gap=8), **options}
    subjects = [make_subject(number, views=views, **settings) for number in range(first, first + n_subjects)]
    return write_batches(folder, [subjects[: n_subjects // 2], subjects[n_subjects // 2 :]])


def mixed_catalogue(folder: Path, spacings_mm: Sequence[float], **options: Any) -> Path:
    """Write a catalogue of one subject of each pixel size, as :func:`small_catalogue`."""
    settings = {"views": (CardiacView.SAX,), "matrix": (SIZE, SIZE), "layout": BoxLayout(size=5, gap=8), **options}
    return write_batches(folder, [[make_subject(n, spacing_mm=edge, **settings) for n, edge in enumerate(spacings_mm, start=1)]])


def labels_of(images: np.ndarray) -> np.ndarray:
    """Make up labels, classes 0 to 3, by brightness: they look like nothing, but they can be learnt."""
    return np.digitize(images, (150, 300, 600)).astype(np.uint8)


def annotate(
    path: Path,
    structures: Sequence[Structure] = (Structure.LV, Structure.MYO, Structure.RV),
    *,
    view: CardiacView = CardiacView.SAX,
    at_es: Sequence[Structure] | None = None,
    also: Mapping[str, Sequence[Structure]] | None = None,
    keys: Collection[str] | None = None,
) -> Path:
    """Give every image of a view labels, as if some structures had been drawn; at end-systole others, on some subjects also others.

    With ``keys``, only these subjects get labels.
    """
    labels = {}
    with Catalogue(path) as catalogue:
        for key in catalogue.subjects().key if keys is None else keys:
            phases, slices = catalogue.view_attributes(key, view).shape[:2]
            images = [[catalogue.image(key, view, phase, level) for level in range(slices)] for phase in range(phases)]
            classes = labels_of(np.array(images))
            drawn = np.zeros((phases, slices, len(Structure)), dtype=bool)
            for phase in range(phases):
                chosen = [*(structures if at_es is None or phase == 0 else at_es), *(also or {}).get(key, ())]
                classes[phase][~np.isin(classes[phase], chosen)] = 0
                drawn[phase][:, [0, *chosen]] = True
            labels[key] = {view: ViewLabels(labels=classes, structures=drawn, source="nifti")}
    write_labels(path, labels)
    return path


def small_config(data: Path, recipe: Recipe = Recipe.PRETEXT, **given: Any) -> RunConfig:
    """A configuration for a small catalogue."""
    return configure(recipe, **{**SMALL, "data": data, **given})


def options(**given: Any) -> list[str]:
    """Return command-line options of a small run."""
    names = {"rotation_deg": "rotation"}
    values = {**SMALL, **given}
    return [text for name, value in values.items() for text in (f"--{names.get(name, name).replace('_', '-')}", str(value))]


def train(*arguments: object) -> Result:
    """Run a command of ``cmr-train``; anything but a clean exit with a code is a failure of the test."""
    result = CliRunner().invoke(main, [str(argument) for argument in arguments])
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    assert "Traceback" not in result.output
    return result


def open_index(path: Path, view: CardiacView = CardiacView.SAX):
    """Open a catalogue and the index of a view."""
    catalogue = Catalogue(path)
    return catalogue, catalogue.index(view)
