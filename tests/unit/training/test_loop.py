import dataclasses
import json
import signal

import numpy as np
import pytest
import torch

from cmr_planes.errors import ShardError
from cmr_planes.views import CardiacView
from cmr_train.choices import DecoderSharing, Head, LossKind, Recipe, Schedule, Sharing, TransferMode
from cmr_train.compute.devices import Compute
from cmr_train.compute.distributed import World
from cmr_train.config import TrainingConfig
from cmr_train.data.batches import Order
from cmr_train.data.datasets import PlaneDataset, Target
from cmr_train.data.images import Grid
from cmr_train.errors import CheckpointError, DivergedError
from cmr_train.models.initial_weights import initialise
from cmr_train.models.unet import UNet
from cmr_train.runs.run import make_network
from cmr_train.training.adam import Adam
from cmr_train.training.loop import Hooks, Task, learning_rate, train
from cmr_train.training.losses import cross_entropy, weighted_cross_entropy
from cmr_train.training.objectives import ClassObjective
from cmr_train.training.state import make_state, restore, state_to_save
from cmr_train.training.tracking import Record, keep_until
from cmr_train.training.transfer import StatisticsBank, freeze, load_weights, set_training
from tests.helpers.damage import damage_chunk
from tests.helpers.training import SIZE, open_index, small_catalogue, small_config

CPU = Compute(torch.device("cpu"))
ALONE = World()


@pytest.fixture(autouse=True)
def _one_thread():
    torch.set_num_threads(1)


@pytest.fixture(scope="module")
def catalogue_path(tmp_path_factory):
    return small_catalogue(tmp_path_factory.mktemp("data"), 4)


def make_task(path, head=Head.POSITIONS, rows=None, batch_size=4) -> Task:
    """A task on some of the images; structures are learnt from the position masks, which is all the same to the loop."""
    catalogue, index = open_index(path)
    index = index if rows is None else index.select(np.array(rows))
    target = Target(view=CardiacView.SAX, head=Head.POSITIONS, classes=tuple(range(10)), grid=Grid((SIZE, SIZE)))
    order = Order(n_images=len(index), batch_size=batch_size, seed=0, task=[*Head].index(head))
    dataset = PlaneDataset(catalogue, index, target)
    return Task(head=head, name=head.value, dataset=dataset, order=order, objective=ClassObjective(cross_entropy))


def begin(path, **given):
    """A configuration, its first state and its tasks."""
    recipe = Recipe.FINETUNE if "mode" in given else Recipe.PRETEXT
    config = small_config(path, recipe, **given)
    heads, channels, depth = dict.fromkeys(config.heads, 10), config.network.base_channels, config.network.levels
    model = UNet(1, channels, depth, heads=heads, has_decoder_per_head=config.has_decoder_per_task)
    initialise(model, config.training.seed)
    heads = [config.head, *(Head(head) for head in config.heads if head != config.head)]
    return config, make_state(model, config, CPU), tuple(make_task(path, head) for head in heads)


def nothing(value: object) -> None:
    """Nobody listens."""


def go(config, state, tasks, **hooks) -> list[Record]:
    records: list[Record] = []
    listeners = {"on_record": records.append, "on_checkpoint": nothing, **hooks}
    train(state, tasks, config, CPU, ALONE, state.model, Hooks(**listeners))
    return records


def equal(first, second) -> bool:
    return all(torch.equal(first[name], second[name]) for name in first) and first.keys() == second.keys()


def copy_of(state) -> dict:
    return {name: tensor.clone() for name, tensor in state.model.state_dict().items()}


MULTITASK = [
    {"mode": TransferMode.MULTITASK, "beta": 2, "optimiser_state": optimiser, "normalisation": normalisation, "decoder": decoder}
    for optimiser in Sharing
    for normalisation in Sharing
    for decoder in DecoderSharing
]


@pytest.mark.parametrize("given", [{}, {"schedule": Schedule.ONE_CYCLE}, *MULTITASK])
def test_a_run_in_two_parts_gives_the_weights_of_the_whole(catalogue_path, tmp_path, given):
    config, state, tasks = begin(catalogue_path, iterations=7, **given)
    saved = {}

    def save(at):
        if at.iteration == 3:
            torch.save(state_to_save(at, ALONE), tmp_path / "state.pt")
            saved["n"] = at.iteration

    every_three = dataclasses.replace(config, runtime=dataclasses.replace(config.runtime, checkpoint_every=3))
    whole = go(every_three, state, tasks, on_checkpoint=save)
    assert saved == {"n": 3}
    _, second, tasks = begin(catalogue_path, iterations=7, **given)
    restore(second, torch.load(tmp_path / "state.pt", weights_only=True))
    rest = go(config, second, tasks)
    assert equal(copy_of(state), copy_of(second))
    assert [record.losses for record in rest] == [record.losses for record in whole[-len(rest) :]]
    assert rest[0].iteration == 4


@pytest.mark.parametrize("given", [{}, {"mode": TransferMode.MULTITASK, "beta": 2}])
def test_damage_that_is_met_costs_no_iteration_and_changes_no_weight(tmp_path, given):
    path = small_catalogue(tmp_path, 4)
    config, whole, tasks = begin(path, iterations=6, **given)
    go(config, whole, tasks)
    main, *others = tasks
    first_read_at_4 = (row for row in main.order.rows(4) if not any(row in each.order.rows(n) for each in others for n in range(3)))
    row, index = int(next(first_read_at_4)), main.dataset.index
    shard = tmp_path / index.subjects.shard[index.subject_number[row]]
    before = damage_chunk(shard, index.subject(row), row % 6)
    _, state, tasks = begin(path, iterations=6, **given)
    saved = []
    with pytest.raises(ShardError, match=r"0000\d\.h5' is damaged; .*; the run resumes from the checkpoint after iteration 4$"):
        go(config, state, tasks, on_checkpoint=lambda at: saved.append(state_to_save(at, ALONE)))
    assert len(saved) == 1
    shard.write_bytes(before)
    _, resumed, tasks = begin(path, iterations=6, **given)
    restore(resumed, saved[0])
    go(config, resumed, tasks)
    assert equal(copy_of(resumed), copy_of(whole))


def test_the_seed_decides_the_weights(catalogue_path):
    weights = []
    for seed in (0, 0, 1):
        config, state, tasks = begin(catalogue_path, iterations=2, seed=seed)
        tasks = tuple(dataclasses.replace(task, order=dataclasses.replace(task.order, seed=seed)) for task in tasks)
        go(config, state, tasks)
        weights.append(copy_of(state))
    assert equal(weights[0], weights[1])
    assert not equal(weights[0], weights[2])


def test_a_network_learns_four_images_by_heart(catalogue_path):
    config, state, _ = begin(
        catalogue_path, iterations=150, base_channels=8, levels=4, rotation_deg=0.0, scaling=0.0, learning_rate=0.005
    )
    loss = weighted_cross_entropy(torch.tensor([1.0, *[10.0] * 9]))
    task = dataclasses.replace(make_task(catalogue_path, rows=range(4)), objective=ClassObjective(loss))
    records = go(config, state, (task,))
    images, masks = task.dataset.batch(range(4))
    with torch.inference_mode():
        found = state.model.eval()(torch.from_numpy(images[:, None]), "positions").argmax(1).numpy()
    dice = [
        2 * ((found == k) & (masks == k)).sum() / ((found == k).sum() + (masks == k).sum())
        for k in range(1, 10)
        if (masks == k).any()
    ]
    assert min(dice) > 0.8, dice
    assert records[-1].losses["positions"] < records[0].losses["positions"] / 20


@pytest.mark.parametrize("mode", [*TransferMode])
def test_each_mode_moves_what_it_should(catalogue_path, mode):
    config, state, tasks = begin(catalogue_path, mode=mode, iterations=3, beta=2)
    pretrained = UNet(1, 4, 2, heads={"positions": 10})
    initialise(pretrained, 9)
    report = load_weights(state.model, {} if mode is TransferMode.SCRATCH else pretrained.state_dict(), mode)
    assert all(parameter.requires_grad for parameter in state.model.parameters())  # freeze alone freezes
    freeze(state.model, mode)
    state = make_state(state.model, config, CPU)
    before = copy_of(state)
    go(config, state, tasks)
    after = copy_of(state)
    same = {name for name in after if torch.equal(before[name], after[name])}
    encoder = {name for name in after if name.startswith("encoder.")}
    if mode is TransferMode.DECODER:
        assert same == encoder == set(report.frozen)
        assert all(torch.equal(pretrained.state_dict()[name], after[name]) for name in encoder)
    else:
        assert not same
        assert not report.frozen
    assert ("heads.positions.weight" in after) == (mode is TransferMode.MULTITASK)
    assert ("heads.positions.weight" in report.skipped) == (mode in {TransferMode.DECODER, TransferMode.ALL})
    assert set(report.loaded) | set(report.new) == set(after)


def test_multitask_counts_segmentation_steps_and_takes_one_of_the_pretext_before_every_beta(catalogue_path, monkeypatch):
    steps = []
    original = Adam.step

    def count(optimiser, *arguments):
        steps.append(id(optimiser))
        return original(optimiser, *arguments)

    config, state, tasks = begin(catalogue_path, mode=TransferMode.MULTITASK, iterations=7, beta=3)
    monkeypatch.setattr(Adam, "step", count)
    go(config, state, tasks)
    names = {id(optimiser): head.value[0] for head, optimiser in state.optimisers.items()}
    assert "".join(names[each] for each in steps) == "pssspsssps"


def test_shared_moments_are_one_optimiser(catalogue_path):
    _, state, _ = begin(catalogue_path, mode=TransferMode.MULTITASK, optimiser_state=Sharing.SHARED)
    assert len({id(each) for each in state.optimisers.values()}) == 1


def test_each_optimiser_has_the_tensors_that_its_task_uses(catalogue_path):
    for decoder in DecoderSharing:
        _, state, _ = begin(catalogue_path, mode=TransferMode.MULTITASK, decoder=decoder)
        names = {id(parameter): name for name, parameter in state.model.named_parameters()}
        for head, optimiser in state.optimisers.items():
            found = {names[id(parameter)] for parameter in optimiser.param_groups[0]["params"]}
            private = "decoder" if decoder is DecoderSharing.SHARED else f"decoders.{head.value}"
            stems = ("encoder.", f"{private}.", f"heads.{head.value}.")
            assert found == {name for name in names.values() if name.startswith(stems)}


def test_a_step_of_one_task_leaves_the_decoder_of_the_other_alone(catalogue_path):
    config, state, tasks = begin(catalogue_path, mode=TransferMode.MULTITASK, decoder="per-task", iterations=2, beta=2)
    before = copy_of(state)
    go(config, state, tasks[:1])  # the segmentation alone
    after = copy_of(state)
    moved = {name for name in after if not torch.equal(before[name], after[name])}
    assert moved == {name for name in after if name.startswith(("encoder.", "decoders.structures.", "heads.structures."))}


def test_separate_statistics_are_kept_for_each_task():
    model = UNet(1, 2, 1, heads={"a": 2})
    bank = StatisticsBank(model, "a", ("b",))
    set_training(model)
    first = model.encoder[0][1].running_mean.clone()
    model(torch.rand(2, 1, 4, 4), "a")
    own = model.encoder[0][1].running_mean.clone()
    bank.enter("b")
    assert torch.equal(model.encoder[0][1].running_mean, first)
    bank.enter("a")
    assert torch.equal(model.encoder[0][1].running_mean, own)


@pytest.mark.parametrize(("channels", "message"), [(8, "base_channels and levels must be those")])
def test_weights_of_another_network_are_refused(channels, message):
    with pytest.raises(CheckpointError, match=f"none of the pretrained tensors fits|{message}"):
        load_weights(UNet(1, 4, 2, heads={"a": 2}), UNet(1, channels, 2, heads={"a": 2}).state_dict(), TransferMode.ALL)


def test_weights_of_a_deeper_network_are_refused():
    with pytest.raises(CheckpointError, match=r"none of the pretrained|missing|expected"):
        load_weights(UNet(1, 4, 3, heads={"a": 2}), UNet(1, 4, 2, heads={"a": 2}).state_dict(), TransferMode.ALL)


def test_nothing_is_saved_once_a_loss_is_nan(catalogue_path):
    config, state, (task,) = begin(catalogue_path, iterations=9, log_every=100)
    config = dataclasses.replace(config, runtime=dataclasses.replace(config.runtime, checkpoint_every=2))
    saved, calls = [], []

    def loss(logits, classes, _undrawn=None):
        calls.append(1)
        return cross_entropy(logits, classes) * (float("nan") if len(calls) == 6 else 1)

    with pytest.raises(DivergedError, match=r"no longer finite after iteration 6; .* lower learning_rate"):
        go(
            config,
            state,
            (dataclasses.replace(task, objective=ClassObjective(loss)),),
            on_checkpoint=lambda at: saved.append(at.iteration),
        )
    assert saved == [2, 4]


def test_sigterm_saves_and_stops_after_the_iteration(catalogue_path):
    config, state, tasks = begin(catalogue_path, iterations=50)
    saved, before = [], signal.getsignal(signal.SIGTERM)

    def stop(iteration: int) -> None:
        if iteration == 3:
            signal.raise_signal(signal.SIGTERM)

    hooks = Hooks(on_record=nothing, on_checkpoint=lambda at: saved.append(at.iteration), on_iteration=stop)
    assert not train(state, tasks, config, CPU, ALONE, state.model, hooks)
    assert saved == [4]
    assert state.iteration == 4
    assert signal.getsignal(signal.SIGTERM) is before


def test_one_cycle_rises_then_falls_to_nearly_nothing():
    training = TrainingConfig(iterations=100, schedule=Schedule.ONE_CYCLE, learning_rate=0.01)
    rates = [learning_rate(training, iteration) for iteration in range(100)]
    assert rates[0] == pytest.approx(0.01 / 25)
    assert rates[30] == pytest.approx(0.01)
    assert rates[-1] == pytest.approx(1e-6)
    assert np.argmax(rates) == 30
    assert (np.diff(rates[:30]) > 0).all()
    assert (np.diff(rates[30:]) < 0).all()
    assert learning_rate(TrainingConfig(), 12345) == 0.001


def test_a_cosine_falls_from_the_start_to_nearly_nothing():
    training = TrainingConfig(iterations=101, schedule=Schedule.COSINE, learning_rate=0.01)
    rates = np.array([learning_rate(training, iteration) for iteration in range(101)])
    expected = 0.01 * (1e-4 + (1 - 1e-4) * np.cos(np.linspace(0, np.pi / 2, 101)) ** 2)  # half a cosine, by the half angle
    np.testing.assert_allclose(rates, expected, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("schedule", [Schedule.ONE_CYCLE, Schedule.COSINE])
@pytest.mark.parametrize("iterations", [1, 2, 3])
def test_very_short_schedules_are_finite(iterations, schedule):
    training = TrainingConfig(iterations=iterations, schedule=schedule)
    assert all(0 < learning_rate(training, number) <= 0.001 for number in range(iterations))


def test_lines_after_a_checkpoint_are_removed(tmp_path):
    path = tmp_path / "metrics.jsonl"
    lines = [json.dumps({"iteration": number}) for number in (2, 4, 6)]
    path.write_text("\n".join(lines) + '\n{"iterat')
    keep_until(path, 4)
    assert path.read_text() == "\n".join(lines[:2]) + "\n"


@pytest.mark.cuda
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs an NVIDIA GPU")
def test_a_step_on_the_gpu_agrees_with_the_cpu(catalogue_path):
    losses = []
    for compute in (CPU, Compute(torch.device("cuda"), torch.bfloat16)):
        config = small_config(catalogue_path, iterations=2, loss=LossKind.CROSS_ENTROPY)
        model = make_network(config)
        initialise(model, 0)
        state = make_state(model, config, compute)
        records: list[Record] = []
        hooks = Hooks(on_record=records.append, on_checkpoint=nothing)
        train(state, (make_task(catalogue_path),), config, compute, ALONE, state.model, hooks)
        losses.append(records[-1].losses["positions"])
    assert losses[1] == pytest.approx(losses[0], rel=0.02)
