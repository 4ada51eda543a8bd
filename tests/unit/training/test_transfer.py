"""From a pretrained network to one with a decoder for each task."""

import torch

from cmr_train.choices import TransferMode
from cmr_train.models.initial_weights import initialise
from cmr_train.models.unet import UNet
from cmr_train.training.transfer import StatisticsBank, load_weights, set_training

HEADS = {"structures": 4, "positions": 10}


def pretrained() -> UNet:
    model = UNet(1, 4, 2, heads={"positions": 10})
    initialise(model, 9)
    return model


def test_the_decoder_of_each_task_begins_as_that_of_the_pretext():
    source = pretrained().state_dict()
    model = UNet(1, 4, 2, heads=HEADS, has_decoder_per_head=True)
    report = load_weights(model, source, TransferMode.MULTITASK)
    own = model.state_dict()
    for name, tensor in source.items():
        names = [name] if not name.startswith("decoder.") else [name.replace("decoder", f"decoders.{task}", 1) for task in HEADS]
        assert all(torch.equal(own[each], tensor) for each in names)
    assert report.new == ("heads.structures.weight", "heads.structures.bias")
    assert report.skipped == ()
    assert report.sentence() == "the encoder, the decoders and the head of positions copied, the head of structures random"


def test_what_is_kept_as_it_is_is_said():
    report = load_weights(UNet(1, 4, 2, heads={"structures": 4}), pretrained().state_dict(), TransferMode.DECODER)
    assert report.sentence() == "the encoder and the decoder copied, the head of structures random, the encoder stays as it is"


def test_with_its_own_decoder_the_pretext_answers_as_before():
    source = pretrained().eval()
    model = UNet(1, 4, 2, heads=HEADS, has_decoder_per_head=True).eval()
    load_weights(model, source.state_dict(), TransferMode.MULTITASK)
    images = torch.rand(2, 1, 16, 16)
    assert torch.equal(model(images, "positions"), source(images, "positions"))


def test_separate_statistics_are_those_of_the_layers_that_the_tasks_share():
    model = UNet(1, 4, 2, heads=HEADS, has_decoder_per_head=True)
    bank = StatisticsBank(model, "structures", ("positions",))
    (kept,) = bank.state_dict().values()
    assert kept
    assert all(name.startswith("encoder.") for name in kept)
    set_training(model)
    model(torch.rand(2, 1, 16, 16), "structures")
    private = model.decoders["structures"][0].convolutions[1].running_mean.clone()
    bank.enter("positions")
    assert torch.equal(model.decoders["structures"][0].convolutions[1].running_mean, private)
