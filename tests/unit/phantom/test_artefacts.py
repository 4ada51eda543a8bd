"""Artefacts, each against what its physics says."""

import numpy as np
import pytest

from cmr_planes.phantom.artefacts import (
    Artefacts,
    Device,
    Wave,
    banding,
    detected,
    displayed,
    flowing,
    ghosted,
    off_resonance,
    smeared,
)

SHAPE = (2, 24, 30)


def _images(seed=0):
    return np.random.default_rng(seed).uniform(50, 400, SHAPE).astype(np.float32)


def _points(*places):
    return tuple(np.array(values, dtype=np.float32) for values in zip(*places, strict=True))


def test_a_generator_disturbs_the_field_as_a_dipole():
    artefacts = Artefacts(device=Device(centre_mm=(10.0, 20.0, 30.0), moment=2.0))
    along, far, across = off_resonance(_points((10, 20, 230), (10, 20, 430), (210, 20, 30)), artefacts)
    assert along == pytest.approx(2.0 * (100 / 200) ** 3, rel=0.02)
    assert far == pytest.approx(along / 8, rel=0.02)
    assert across == pytest.approx(-along / 2, rel=0.02)


def test_what_the_shim_left_is_a_sum_of_waves():
    wave = Wave(amplitude=0.7, wave=(0.01, 0.02, -0.03), phase=0.4)
    found = off_resonance(_points((1, 2, 3), (40, -50, 60)), Artefacts(shim=(wave, wave), offset=0.5))
    expected = [0.5 + 1.4 * np.sin(0.01 * x + 0.02 * y - 0.03 * z + 0.4) for x, y, z in ((1, 2, 3), (40, -50, 60))]
    np.testing.assert_allclose(found, expected, rtol=1e-5)


def test_bands_lie_where_the_phase_is_half_a_turn_and_repeat_every_turn():
    phase = np.linspace(-3 * np.pi, 3 * np.pi, 601, dtype=np.float32)
    kept = banding(phase)
    dark = phase[kept < 0.2]
    assert {round(float(value / np.pi)) for value in dark} == {-3, -1, 1, 3}
    assert kept[300] == pytest.approx(1.0)
    np.testing.assert_allclose(kept[200:], kept[:-200], atol=1e-3)


def test_steep_fields_dephase_all_of_a_pixel():
    steep = np.tile(np.arange(6, dtype=np.float32) * 2 * np.pi, (6, 1))
    assert banding(steep).max() == 0


def test_texture_of_the_blood_leaves_muscle_as_it_is():
    frames = np.array([[[80.0, 100.0, 250.0, 400.0, 500.0]]], dtype=np.float32)
    found = flowing(frames, np.full_like(frames, 0.2), 100.0, 400.0)
    np.testing.assert_allclose(found[0, 0], [80, 100, 250 * 1.1, 400 * 1.2, 500 * 1.2], rtol=1e-6)


@pytest.mark.parametrize("axis", [1, 2])
def test_ghosts_lie_on_both_sides_of_what_moves(axis):
    frames, moving = np.zeros(SHAPE, np.float32), np.zeros(SHAPE, np.float32)
    moving[1, 12, 15] = 200.0
    found = ghosted(frames, moving, 7, 0.1, axis)
    places = {(12 - 7, 15), (12 + 7, 15)} if axis == 1 else {(12, 15 - 7), (12, 15 + 7)}
    assert {(int(row), int(column)) for _, row, column in np.argwhere(found)} == places
    assert found.max() == pytest.approx(20.0)


def test_smearing_keeps_the_middle_and_the_signal():
    frames = np.zeros(SHAPE, np.float32)
    frames[:, 12, 15] = 100.0
    found = smeared(frames, (4.0, -6.0))
    rows, columns = np.mgrid[:24, :30]
    assert found[0].sum() == pytest.approx(100.0, rel=1e-4)
    assert (found[0] * rows).sum() / 100 == pytest.approx(12.0, abs=1e-3)
    assert (found[0] * columns).sum() / 100 == pytest.approx(15.0, abs=1e-3)
    assert found[0, 12, 15] < 40
    np.testing.assert_array_equal(smeared(frames, (0.1, 0.1)), frames)


def test_without_noise_and_with_all_of_k_space_images_stay():
    frames = _images()
    found = detected(frames, 0.0, Artefacts(), np.random.default_rng(0))
    np.testing.assert_allclose(found, frames, rtol=1e-4)


def test_a_part_of_k_space_holds_no_finer_waves():
    columns = np.arange(30)
    coarse, fine = (100 + 20 * np.cos(2 * np.pi * waves * columns / 30) for waves in (3, 12))
    frames = np.broadcast_to(np.stack([coarse, fine])[:, None, :], SHAPE).astype(np.float32)
    found = detected(frames, 0.0, Artefacts(resolution=(1.0, 0.6)), np.random.default_rng(0))
    np.testing.assert_allclose(found[0], frames[0], rtol=1e-4)
    np.testing.assert_allclose(found[1], 100.0, rtol=1e-4)


@pytest.mark.parametrize("artefacts", [Artefacts(), Artefacts(resolution=(0.5, 0.7)), Artefacts(g_factor=1.0)], ids=str)
def test_noise_has_its_standard_deviation_whatever_part_of_k_space_is_measured(artefacts):
    frames = np.full((8, 64, 64), 1000.0, dtype=np.float32)
    found = detected(frames, 12.0, artefacts, np.random.default_rng(3))
    edge, middle = found[:, :4, :4].std(), found[:, 28:36, 28:36].std()
    if artefacts.g_factor:
        assert middle > 1.4 * edge
    else:
        assert found.std() == pytest.approx(12.0, rel=0.06)


def test_the_display_keeps_the_order_and_cuts_the_top():
    frames = np.array([[[0.0, 100.0, 200.0, 390.0, 400.0]]], dtype=np.float32)
    found = displayed(frames, Artefacts(gamma=0.5, saturation=0.5))
    np.testing.assert_allclose(found[0, 0], [0, 200 * 0.5**0.5, 200, 200, 200], rtol=1e-6)
    np.testing.assert_array_equal(displayed(np.zeros(SHAPE, np.float32), Artefacts()), 0)
