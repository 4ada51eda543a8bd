import numpy as np
import pytest
import torch

from cmr_train.choices import LossKind, Norm
from cmr_train.models.initial_weights import initialise
from cmr_train.models.unet import UNet
from cmr_train.training.losses import class_weights, cross_entropy, dice_cross_entropy, make_loss, weighted_cross_entropy

CPU = torch.device("cpu")


@pytest.fixture(autouse=True)
def _one_thread():
    torch.set_num_threads(1)


def test_the_default_network_has_31_million_parameters():
    with torch.device("meta"):
        model = UNet(heads={"positions": 10})
    assert round(sum(parameter.numel() for parameter in model.parameters()) / 1e6, 1) == 31.0


@pytest.mark.parametrize("levels", [1, 2, 3])
@pytest.mark.parametrize("factors", [(1, 2), (3, 2), (5, 7)])
def test_every_size_that_the_levels_divide_is_kept(levels, factors):
    rows, columns = (factor << levels for factor in factors)
    logits = UNet(1, 2, levels, heads={"a": 3, "b": 5})(torch.zeros(2, 1, rows, columns), "b")
    assert logits.shape == (2, 5, rows, columns)


@pytest.mark.parametrize("shape", [(16, 18), (18, 16)])
def test_another_size_is_refused_with_what_to_do(shape):
    with pytest.raises(ValueError, match="must be multiples of 4; pad or crop"):
        UNet(1, 2, 2, heads={"a": 3})(torch.zeros(1, 1, *shape), "a")


def test_each_head_may_have_a_decoder_of_its_own():
    model = UNet(1, 2, 2, heads={"a": 3, "b": 5}, has_decoder_per_head=True).eval()
    names = [*model.state_dict()]
    assert not [name for name in names if name.startswith("decoder.")]
    of_a, of_b = (
        [name.removeprefix(prefix) for name in names if name.startswith(prefix)] for prefix in ("decoders.a.", "decoders.b.")
    )
    assert (
        of_a == of_b == [name.removeprefix("decoder.") for name in UNet(1, 2, 2, heads={"a": 3}).state_dict() if "decoder." in name]
    )
    images = torch.rand(2, 1, 8, 8)
    before = {head: model(images, head) for head in "ab"}
    assert before["b"].shape == (2, 5, 8, 8)
    with torch.no_grad():
        for parameter in model.decoders["a"].parameters():
            parameter.mul_(2)
    assert not torch.equal(model(images, "a"), before["a"])
    assert torch.equal(model(images, "b"), before["b"])


def test_a_head_depends_on_its_own_parameters_and_no_others():
    model = UNet(1, 2, 2, heads={"a": 3, "b": 5}, has_decoder_per_head=True)
    model(torch.rand(2, 1, 8, 8), "b").sum().backward()
    used = {name for name, parameter in model.named_parameters() if parameter.grad is not None}
    own = {id(parameter) for parameter in model.parameters_of("b")}
    assert used == {name for name, parameter in model.named_parameters() if id(parameter) in own}


@pytest.mark.parametrize("norm", [Norm.INSTANCE, Norm.GROUP])
def test_without_batch_statistics_an_answer_depends_on_its_image_alone(norm):
    model = UNet(1, 8, 2, heads={"a": 3}, norm=norm)
    images = torch.rand(3, 1, 8, 8)
    together = model(images, "a")
    for number in range(3):
        torch.testing.assert_close(model(images[number : number + 1], "a")[0], together[number], rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(model.eval()(images, "a"), together)
    assert not [name for name in model.state_dict() if "running" in name]


@pytest.mark.parametrize("channels", [4, 6, 16])
def test_groups_are_eight_or_as_many_as_divide_the_channels(channels):
    model = UNet(1, channels, 1, heads={"a": 3}, norm=Norm.GROUP)
    groups = {4: 4, 6: 2, 16: 8}[channels]
    assert model.encoder[0][1].num_groups == groups
    features = torch.rand(2, channels, 4, 4)
    parts = features.reshape(2, groups, -1)
    expected = (parts - parts.mean(-1, keepdim=True)) / (parts.var(-1, correction=0, keepdim=True) + 1e-5).sqrt()
    torch.testing.assert_close(model.encoder[0][1](features), expected.reshape_as(features))


def test_a_network_needs_a_head():
    with pytest.raises(ValueError, match="must be positive"):
        UNet(heads={})


def test_weights_are_a_function_of_the_seed():
    def weights(seed: int, **heads: int) -> dict[str, torch.Tensor]:
        model = UNet(1, 2, 2, heads=heads)
        initialise(model, seed)
        return model.state_dict()

    first, second, other = weights(0, a=3), weights(0, b=5, a=3), weights(1, a=3)
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert not torch.equal(first["encoder.0.0.weight"], other["encoder.0.0.weight"])


def test_weights_are_spread_as_torch_spreads_them():
    ours, theirs = UNet(1, 16, 2, heads={"a": 3}), UNet(1, 16, 2, heads={"a": 3})
    initialise(ours, 0)
    for (name, mine), other in zip(ours.named_parameters(), theirs.parameters(), strict=True):
        if mine.numel() > 1000:
            assert mine.std().item() == pytest.approx(other.std().item(), rel=0.1), name


def batch(n: int = 4, n_classes: int = 4) -> tuple[torch.Tensor, torch.Tensor]:
    random = torch.Generator().manual_seed(0)
    return torch.randn(n, n_classes, 8, 6, generator=random), torch.randint(0, n_classes, (n, 8, 6), generator=random)


@pytest.mark.parametrize("kind", [*LossKind])
def test_losses_are_finite_positive_and_the_mean_of_their_halves(kind):
    loss = make_loss(kind, np.array([0.7, 0.2, 0.1, 0.0]), CPU)
    logits, classes = batch()
    whole = loss(logits, classes)
    assert whole.isfinite()
    assert whole >= 0
    halves = [loss(logits[part], classes[part]) for part in (slice(0, 2), slice(2, 4))]
    torch.testing.assert_close(sum(halves) / 2, whole)
    order = torch.tensor([2, 0, 3, 1])
    torch.testing.assert_close(loss(logits[order], classes[order]), whole)


def test_weights_of_one_give_plain_cross_entropy():
    logits, classes = batch()
    torch.testing.assert_close(weighted_cross_entropy(torch.ones(4))(logits, classes), cross_entropy(logits, classes))


def test_rare_classes_weigh_more_and_a_pixel_one_in_the_mean():
    frequencies = np.array([0.96, 0.03, 0.01, 0.0])
    weights = class_weights(frequencies)
    assert weights[0] < weights[1] < weights[2]
    assert weights[3] == 0
    assert weights @ frequencies == pytest.approx(1)


def test_dice_is_that_of_monai():
    monai = pytest.importorskip("monai.losses")
    logits, classes = batch()
    theirs = monai.DiceLoss(include_background=False, softmax=True, to_onehot_y=True, smooth_nr=1, smooth_dr=1)
    expected = theirs(logits, classes[:, None]) + cross_entropy(logits, classes)
    torch.testing.assert_close(dice_cross_entropy(logits, classes), expected)


def test_a_perfect_answer_costs_nothing():
    _, classes = batch()
    logits = 50 * torch.nn.functional.one_hot(classes, 4).movedim(-1, 1).float()
    assert dice_cross_entropy(logits, classes).item() == pytest.approx(0, abs=1e-5)


@pytest.mark.parametrize("has_decoder_per_head", [False, True])
def test_a_pooled_head_answers_once_from_the_lowest_level_and_has_no_decoder(has_decoder_per_head):
    heads = {"dense": 4, "pooled": 2}
    model = UNet(1, 2, 2, heads=heads, pooled_heads=("pooled",), has_decoder_per_head=has_decoder_per_head).eval()
    images = torch.rand(3, 1, 16, 24)
    assert model(images, "dense").shape == (3, 4, 16, 24)
    features = images
    for step, block in enumerate(model.encoder):
        features = block(features if step == 0 else torch.nn.functional.max_pool2d(features, 2))
    head = model.heads["pooled"]
    expected = features.mean(dim=(2, 3)) @ head.weight[:, :, 0, 0].T + head.bias
    torch.testing.assert_close(model(images, "pooled")[:, :, 0, 0], expected)
    trained = {id(parameter) for parameter in model.parameters_of("pooled")}
    assert trained == {id(parameter) for part in (model.encoder, head) for parameter in part.parameters()}
    alone = UNet(1, 2, 2, heads={"pooled": 2}, pooled_heads=("pooled",))
    assert {name.split(".")[0] for name in alone.state_dict()} == {"encoder", "heads"}
