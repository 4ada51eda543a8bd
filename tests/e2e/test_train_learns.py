"""A small network learns the nine positions from a synthetic cohort in half a minute."""

import numpy as np
import pytest
import torch

from cmr_planes.geometry import BoxLayout
from cmr_planes.shards.catalogue import Catalogue
from cmr_planes.views import CardiacView, PositionClass
from cmr_train.prediction.inference import label_images
from cmr_train.runs.run import load_run
from tests.helpers.training import small_catalogue, train

SIZE = 64
QUICK = ("--preset", "quick", "--rows", SIZE, "--columns", SIZE, "--iterations", 150, "--threads", 1)


@pytest.mark.slow
def test_the_quick_preset_learns_all_nine_positions(tmp_path):
    torch.set_num_threads(1)
    path = small_catalogue(tmp_path, 12, matrix=(SIZE, SIZE), spacing_mm=5.5, layout=BoxLayout(size=7, gap=10))
    done = train("pretext", "--data", path, "--out", tmp_path / "run", "--device", "cpu", *QUICK)
    assert done.exit_code == 0, done.output
    run = load_run(tmp_path / "run")
    both, either = np.zeros(len(PositionClass)), np.zeros(len(PositionClass))
    with Catalogue(path) as catalogue:
        index = catalogue.index(CardiacView.SAX)
        for row in range(len(index)):
            if index.participant(row) in run.split.train:
                continue
            address = (index.subject(row), CardiacView.SAX, int(index.phase_index[row]), int(index.slice_index[row]))
            truth = catalogue.positions(*address)
            found = label_images(run, [catalogue.image(*address)], [(5.5, 5.5)])[0]
            for position in PositionClass:
                both[position] += ((found == position) & (truth == position)).sum()
                either[position] += (found == position).sum() + (truth == position).sum()
    assert either[1:].min() > 0
    assert (2 * both / either).min() > 0.5
