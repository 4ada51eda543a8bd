import pickle

import numpy as np
import pytest
import torch

from cmr_planes.errors import ShardError
from cmr_planes.views import CardiacView
from cmr_train.choices import CacheKind, Head
from cmr_train.data.augment import Augmentation
from cmr_train.data.batches import BatchOptions, Order, batches
from cmr_train.data.datasets import PlaneDataset, Target, choose_cache, class_frequencies
from cmr_train.data.images import Grid, fit, normalise
from cmr_train.data.memory import free_bytes
from cmr_train.errors import TrainError
from tests.helpers.damage import damage_chunk
from tests.helpers.training import SIZE, open_index, small_catalogue

CPU = torch.device("cpu")


TARGET = Target(view=CardiacView.SAX, head=Head.POSITIONS, classes=tuple(range(10)), grid=Grid((SIZE, 64)))


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
    pixel_mm = None if resample_mm is None else (resample_mm, resample_mm)
    target = Target(view=TARGET.view, head=TARGET.head, classes=tuple(range(10)), grid=Grid(TARGET.grid.size, pixel_mm))
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
    dataset = make_dataset(
        catalogue_path, Target(view=CardiacView.SAX, head=Head.POSITIONS, classes=tuple(range(4)), grid=Grid((SIZE, SIZE)))
    )
    with pytest.raises(TrainError, match=r"subject 'SYN-0001', SAX, phase 0, slice 0 has class 9, .* 0 to 3"):
        dataset.check()


def test_a_shard_that_is_cut_short_is_found_before_training(tmp_path):
    path = small_catalogue(tmp_path, 4)
    shard = tmp_path / "out.shards" / "00001.h5"
    shard.write_bytes(shard.read_bytes()[:-1000])
    with pytest.raises(ShardError, match=r"00001\.h5"):
        make_dataset(path).check()


def test_a_shard_that_is_cut_short_is_found_though_its_subjects_are_not_among_the_checked(tmp_path, monkeypatch):
    monkeypatch.setattr("cmr_train.data.datasets.CHECKED_SUBJECTS", 1)
    path = small_catalogue(tmp_path, 4)
    make_dataset(path).check()
    shard = tmp_path / "out.shards" / "00001.h5"
    shard.write_bytes(shard.read_bytes()[:-1000])
    with pytest.raises(ShardError, match=r"00001\.h5"):
        make_dataset(path).check()
    shard.unlink()
    with pytest.raises(ShardError, match=r"00001\.h5.* does not exist"):
        make_dataset(path).check()


def test_of_many_subjects_some_are_read_before_the_training(catalogue_path, monkeypatch):
    dataset, read = make_dataset(catalogue_path), []
    monkeypatch.setattr(dataset, "_read", read.append)
    dataset.check()
    assert read == dataset.index.first_rows().tolist()
    read.clear()
    monkeypatch.setattr("cmr_train.data.datasets.CHECKED_SUBJECTS", 2)
    dataset.check()
    assert read == [0, dataset.index.first_rows()[-1]]


@pytest.mark.parametrize("workers", [0, 1])
def test_a_damaged_image_is_named_where_its_batch_comes(tmp_path, workers):
    path = small_catalogue(tmp_path, 4)
    damage_chunk(tmp_path / "out.shards" / "00001.h5", "SYN-0003", 4)
    dataset = make_dataset(path)
    order = Order(n_images=len(dataset), batch_size=1, seed=0, task=0)
    bad = next(number for number in range(len(dataset)) if order.rows(number)[0] == 16)
    assert bad > 0
    stream = batches(dataset, order, BatchOptions(workers=workers), CPU, start=bad - 1, stop=len(dataset))
    assert next(stream).number == bad - 1
    with pytest.raises(
        ShardError, match=r"^sax/image, phase 1, slice 1 of subject 'SYN-0003' cannot be read: shard '.*' is damaged; [^\n]*$"
    ):
        next(stream)


def test_a_batch_goes_to_a_device_whole(catalogue_path):
    dataset = make_dataset(catalogue_path)
    order = Order(n_images=len(dataset), batch_size=3, seed=0, task=0)
    augmentation = Augmentation(rotation_deg=10, gamma=0.2, noise=0.1, blur=0.5)
    batch = next(batches(dataset, order, BatchOptions(augmentation=augmentation), CPU, start=0, stop=1))
    sent = batch.to(torch.device("meta"))
    tensors = {name for name in ("images", "masks", "matrices", "powers", "blurs", "noise") if getattr(sent, name).is_meta}
    assert len(tensors) == 6
    assert (sent.number, sent.undrawn) == (0, None)
    np.testing.assert_array_equal(sent.rows, order.rows(0))


def test_frequencies_are_those_of_the_masks(catalogue_path):
    dataset = make_dataset(catalogue_path)
    masks = np.stack([dataset.mask(row) for row in range(len(dataset))])
    np.testing.assert_allclose(class_frequencies(dataset), np.bincount(masks.ravel(), minlength=10) / masks.size)


def test_images_are_kept_in_memory_if_they_fit_into_half_of_it(catalogue_path):
    dataset = make_dataset(catalogue_path)
    assert dataset.n_bytes == len(dataset) * SIZE * 64 * 3
    assert choose_cache([dataset], CacheKind.AUTO, 2 * dataset.n_bytes)
    assert not choose_cache([dataset], CacheKind.AUTO, 2 * dataset.n_bytes - 2)
    assert choose_cache([dataset], CacheKind.MEMORY, 0)
    assert not choose_cache([dataset], CacheKind.DISK, 1 << 50)
    assert free_bytes() > 0
