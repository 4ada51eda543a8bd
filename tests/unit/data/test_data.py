import pickle

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy import ndimage

from cmr_planes.errors import ShardError
from cmr_planes.views import CardiacView
from cmr_train.choices import CacheKind, Head
from cmr_train.data.augment import Augmentation, adjust, draw_matrices, sampling_grid, transform
from cmr_train.data.batches import BatchOptions, Order, batches
from cmr_train.data.datasets import PlaneDataset, Target, choose_cache, class_frequencies
from cmr_train.data.images import Grid, fit, intensity_window, normalise, resample, unfit
from cmr_train.data.memory import free_bytes
from cmr_train.data.splits import Split, choose_participants, split_participants
from cmr_train.errors import TrainError
from tests.helpers.training import SIZE, open_index, small_catalogue

KEYS = st.lists(st.text(min_size=1, max_size=8), max_size=40, unique=True)
CPU = torch.device("cpu")


# Splits


@given(KEYS, st.integers(0, 9))
def test_sets_are_disjoint_and_complete(keys, seed):
    split = split_participants(keys, seed=seed)
    assert sorted([*split.train, *split.validation, *split.test]) == sorted(keys)
    assert Split.from_json(split.to_json()) == split


@given(KEYS, KEYS, st.integers(0, 9))
def test_nobody_moves_when_others_join(keys, others, seed):
    before, after = split_participants(keys, seed=seed), split_participants(keys + others, seed=seed)
    for old, new in ((before.train, after.train), (before.validation, after.validation), (before.test, after.test)):
        assert set(old) <= set(new)


def test_the_split_is_the_same_on_every_machine():
    split = split_participants([f"SYN-{number:04}" for number in range(1, 11)], seed=0)
    assert split.test == ("SYN-0003", "SYN-0006", "SYN-0008")
    assert len(split_participants(map(str, range(10000)), seed=3).test) == pytest.approx(2000, abs=150)


@given(KEYS, st.integers(0, 20), st.integers(0, 20))
def test_a_smaller_choice_is_part_of_a_larger_one(keys, first, second):
    small, large = (choose_participants(keys, n, seed=0) for n in sorted((first, second)))
    assert set(small) <= set(large)


# Images


def images(dtype=np.uint16) -> np.ndarray:
    return np.random.default_rng(0).gamma(2, 200, (3, 31, 44)).astype(dtype)


@pytest.mark.parametrize("dtype", [np.uint16, np.float32])
def test_the_window_is_the_first_and_last_percentile(dtype):
    for image in images(dtype):
        assert intensity_window(image) == pytest.approx(np.percentile(image, (1, 99)), rel=1e-6)


def test_intensities_end_at_0_and_1_whatever_their_unit():
    values = normalise(images())
    assert values.dtype == np.float32
    assert values.min() == 0
    assert values.max() == 1
    np.testing.assert_allclose(normalise(images().astype(np.float32) * 3 + 7), values, atol=1e-5)
    assert not normalise(np.full((1, 4, 4), 7)).any()


@given(st.integers(1, 9), st.integers(1, 9), st.integers(1, 9), st.integers(1, 9))
def test_unfit_undoes_fit_where_nothing_was_cut(rows, columns, new_rows, new_columns):
    image = np.arange(1, rows * columns + 1).reshape(rows, columns)
    fitted, offset = fit(image, new_rows, new_columns)
    back = unfit(fitted, rows, columns)
    assert fitted.shape == (new_rows, new_columns)
    assert back.shape == image.shape
    kept = back > 0
    assert (back[kept] == image[kept]).all()
    assert kept.sum() == min(rows, new_rows) * min(columns, new_columns)
    if min(offset) >= 0:
        assert fitted[offset[0], offset[1]] == 1


def test_resampling_keeps_the_field_of_view():
    image = np.add.outer(np.arange(20.0), np.arange(30.0)).astype(np.float32)
    finer = resample(image, (2.0, 2.0), 1.0)
    assert finer.shape == (40, 60)
    assert finer[20:, 30:].mean() - finer[:20, :30].mean() == pytest.approx(
        image[10:, 15:].mean() - image[:10, :15].mean(), rel=0.01
    )


# Augmentation


def test_images_and_masks_move_as_scipy_moves_them():
    rows, columns = 40, 52
    random = np.random.default_rng(1)
    image = ndimage.gaussian_filter(random.random((6, rows, columns)), (0, 2, 2)).astype(np.float32)
    mask = random.integers(0, 10, image.shape).astype(np.uint8)
    matrices = draw_matrices(6, random, rotation_deg=40, scaling=0.3)
    moved, classes = transform(*(torch.from_numpy(each) for each in (image[:, None], mask, matrices)))
    centre = np.array([(rows - 1) / 2, (columns - 1) / 2])
    for number, matrix in enumerate(matrices):
        offset = centre - matrix @ centre
        expected = ndimage.affine_transform(image[number], matrix, offset, order=1, mode="grid-constant")
        np.testing.assert_allclose(moved[number, 0].numpy(), expected, atol=1e-4)
        nearest = ndimage.affine_transform(mask[number], matrix, offset, order=0, mode="grid-constant")
        assert (classes[number].numpy() == nearest).mean() > 0.995  # a pixel on the border of two may go either way


def test_the_grid_is_that_of_torch():
    matrices = torch.from_numpy(draw_matrices(3, np.random.default_rng(0), rotation_deg=90, scaling=0.5))
    rows, columns = 12, 20
    half = torch.tensor([rows / 2, columns / 2])
    theta = torch.nn.functional.pad((matrices * half / half[:, None]).flip(1, 2), (0, 1))
    expected = torch.nn.functional.affine_grid(theta, [3, 1, rows, columns], align_corners=False)
    torch.testing.assert_close(sampling_grid(matrices, rows, columns), expected)


def test_an_image_and_its_mask_stay_together():
    mask = torch.zeros(1, 64, 64, dtype=torch.uint8)
    mask[:, 20:40, 10:30] = 1
    matrices = torch.from_numpy(draw_matrices(1, np.random.default_rng(5), rotation_deg=30, scaling=0.2))
    moved, classes = transform(mask[:, None].float(), mask, matrices)
    assert ((moved[:, 0] > 0.5) == (classes == 1)).float().mean() > 0.99


@given(st.floats(0, 180), st.floats(0, 0.9), st.integers(0, 99))
def test_nothing_is_ever_mirrored(rotation_deg, scaling, seed):
    matrices = draw_matrices(8, np.random.default_rng(seed), rotation_deg=rotation_deg, scaling=scaling)
    zoom = 1 / np.sqrt(np.linalg.det(matrices.astype(np.float64)))
    assert (np.linalg.det(matrices) > 0).all()
    assert (zoom <= (1 + scaling) * 1.0001).all()
    assert (zoom >= 1 / (1 + scaling) / 1.0001).all()


def test_no_range_changes_nothing():
    image, mask = torch.rand(2, 1, 16, 24), torch.randint(0, 9, (2, 16, 24), dtype=torch.uint8)
    still = draw_matrices(2, np.random.default_rng(0), rotation_deg=0, scaling=0)
    moved, classes = transform(image, mask, torch.from_numpy(still))
    torch.testing.assert_close(moved, image, atol=1e-5, rtol=0)
    assert torch.equal(classes, mask.long())


def test_intensities_are_raised_to_a_power_then_get_noise():
    order = Order(n_images=9, batch_size=400, seed=3, task=0)
    augmentation = Augmentation(gamma=0.5, noise=0.2)
    powers, noise = order.powers(2, augmentation), order.noise(2, (16, 24), augmentation)
    assert powers is not None
    assert noise is not None
    assert 1 / 1.5 <= powers.min() < 0.7
    assert 1.45 < powers.max() <= 1.5
    assert np.log(powers).mean() == pytest.approx(0, abs=0.05)
    deviations = noise.std(axis=(1, 2))
    assert deviations.max() < 0.23
    assert np.quantile(deviations, 0.5) == pytest.approx(0.1, abs=0.02)
    images = torch.rand(400, 1, 16, 24)
    changed = adjust(images, torch.from_numpy(powers), torch.from_numpy(noise))
    np.testing.assert_allclose(changed[:, 0], images[:, 0].numpy() ** powers[:, None, None] + noise, atol=1e-6)


def test_without_gamma_and_noise_intensities_stay():
    order = Order(n_images=9, batch_size=4, seed=3, task=0)
    assert order.powers(0, Augmentation()) is None
    assert order.noise(0, (8, 8), Augmentation()) is None
    images = torch.rand(4, 1, 8, 8)
    assert torch.equal(adjust(images, None, None), images)


# Order


@given(st.integers(1, 12), st.integers(1, 10), st.integers(0, 30))
def test_every_image_comes_once_a_pass(n_images, batch_size, number):
    order = Order(n_images=n_images, batch_size=batch_size, seed=0, task=0)
    rows = np.concatenate([order.rows(each) for each in range(n_images)])
    assert (np.bincount(rows, minlength=n_images) == batch_size).all()
    np.testing.assert_array_equal(order.rows(number), order.rows(number))


def test_processes_share_a_batch():
    whole = Order(n_images=9, batch_size=6, seed=1, task=0)
    parts = [Order(n_images=9, batch_size=6, seed=1, task=0, rank=rank, n_ranks=3) for rank in range(3)]
    augmentation = Augmentation(rotation_deg=10, scaling=0.1)
    for number in range(5):
        np.testing.assert_array_equal(np.concatenate([part.rows(number) for part in parts]), whole.rows(number))
        matrices = [each.matrices(number, augmentation) for each in (*parts, whole)]
        np.testing.assert_array_equal(np.concatenate(matrices[:3]), matrices[3])


@given(st.integers(2, 12), st.integers(1, 5), st.data())
def test_favoured_images_have_their_share_of_every_batch(batch_size, n_favoured, data):
    n_favoured = min(n_favoured, batch_size - 1)
    favoured = tuple(sorted(data.draw(st.sets(st.integers(0, 19), min_size=1, max_size=6))))
    order = Order(n_images=20, batch_size=batch_size, seed=0, task=1, favoured=favoured, n_favoured=n_favoured)
    batches_of_rows = [order.rows(number) for number in range(60)]
    assert all(np.isin(rows[:n_favoured], favoured).all() for rows in batches_of_rows)
    counts = np.bincount(np.concatenate([rows[:n_favoured] for rows in batches_of_rows]), minlength=20)[list(favoured)]
    assert counts.max() - counts.min() <= 1
    common = np.bincount(np.concatenate([rows[n_favoured:] for rows in batches_of_rows]), minlength=20)
    assert common.max() - common.min() <= 1


def test_tasks_and_seeds_have_their_own_order():
    orders = [Order(n_images=50, batch_size=50, seed=seed, task=task).rows(0) for seed, task in ((0, 0), (0, 1), (1, 0))]
    assert not any((first == second).all() for first, second in ((orders[0], orders[1]), (orders[0], orders[2])))


# Datasets


TARGET = Target(view=CardiacView.SAX, head=Head.POSITIONS, n_classes=10, grid=Grid((SIZE, 64)))


@pytest.fixture(scope="module")
def catalogue_path(tmp_path_factory):
    return small_catalogue(tmp_path_factory.mktemp("data"), 4)


def make_dataset(path, target=TARGET) -> PlaneDataset:
    return PlaneDataset(*open_index(path), target)


def test_an_item_is_the_normalised_image_and_its_mask_on_the_common_matrix(catalogue_path):
    dataset = make_dataset(catalogue_path)
    image, mask = dataset[5]
    index, catalogue = dataset.index, dataset.catalogue
    address = (index.subject(5), CardiacView.SAX, int(index.phase_index[5]), int(index.slice_index[5]))
    np.testing.assert_allclose(image, fit(normalise(catalogue.image(*address)), SIZE, 64)[0], atol=1e-5)
    np.testing.assert_array_equal(mask, fit(catalogue.positions(*address), SIZE, 64)[0])


@pytest.mark.parametrize("resample_mm", [None, 8.0])
def test_memory_and_disk_give_the_same_bytes(catalogue_path, resample_mm):
    target = Target(view=TARGET.view, head=TARGET.head, n_classes=10, grid=Grid(TARGET.grid.size, resample_mm))
    disk, memory = make_dataset(catalogue_path, target), make_dataset(catalogue_path, target)
    memory.fill_cache()
    assert memory.is_cached
    assert not disk.is_cached
    for from_disk, from_memory in zip(disk.batch([3, 0, 7]), memory.batch([3, 0, 7]), strict=True):
        np.testing.assert_array_equal(from_disk, from_memory)


@pytest.mark.parametrize("workers", [0, 1])
def test_threads_and_processes_bring_the_same_batches(catalogue_path, workers):
    dataset = make_dataset(catalogue_path)
    order = Order(n_images=len(dataset), batch_size=3, seed=0, task=0)
    options = BatchOptions(augmentation=Augmentation(rotation_deg=10, scaling=0.1, gamma=0.2, noise=0.1), workers=workers)
    got = list(batches(dataset, order, options, CPU, start=2, stop=4))
    assert len(got) == 2
    for number, batch in enumerate(got, start=2):
        images, masks = dataset.batch(order.rows(number).tolist())
        np.testing.assert_array_equal(batch.images[:, 0].numpy(), images)
        np.testing.assert_array_equal(batch.masks.numpy(), masks)


def test_a_dataset_that_is_sent_elsewhere_opens_its_files_there(catalogue_path):
    dataset = make_dataset(catalogue_path)
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(dataset))[1][0], dataset[1][0])  # noqa: S301  # our own bytes


def test_classes_that_do_not_match_are_named(catalogue_path):
    dataset = make_dataset(catalogue_path, Target(view=CardiacView.SAX, head=Head.POSITIONS, n_classes=4, grid=Grid((SIZE, SIZE))))
    with pytest.raises(TrainError, match=r"subject 'SYN-0001', SAX, phase 0, slice 0 has class 9, .* 0 to 3"):
        dataset.check()


def test_a_shard_that_is_cut_short_is_found_before_training(tmp_path):
    path = small_catalogue(tmp_path, 4)
    shard = tmp_path / "out.shards" / "00001.h5"
    shard.write_bytes(shard.read_bytes()[:-1000])
    with pytest.raises(ShardError, match=r"00001\.h5"):
        make_dataset(path).check()


def test_frequencies_are_those_of_the_masks(catalogue_path):
    dataset = make_dataset(catalogue_path)
    masks = np.stack([dataset.mask(row) for row in range(len(dataset))])
    np.testing.assert_allclose(class_frequencies(dataset), np.bincount(masks.ravel(), minlength=10) / masks.size)


def test_images_are_kept_in_memory_if_they_fit_into_half_of_it(catalogue_path):
    dataset = make_dataset(catalogue_path)
    assert dataset.n_bytes == len(dataset) * SIZE * 64 * 3
    assert choose_cache([dataset], CacheKind.AUTO, 2 * dataset.n_bytes)
    assert not choose_cache([dataset], CacheKind.AUTO, 2 * dataset.n_bytes - 2)
    assert not choose_cache([dataset], CacheKind.AUTO, None)
    assert choose_cache([dataset], CacheKind.MEMORY, 0)
    assert not choose_cache([dataset], CacheKind.DISK, 1 << 50)
    assert free_bytes() is None or free_bytes() > 0
