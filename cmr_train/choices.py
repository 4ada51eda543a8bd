"""The closed sets of the trainer: each is defined here and nowhere else, and its values are what options take."""

from enum import StrEnum


class Preset(StrEnum):
    """Where the defaults come from."""

    PAPER = "paper"
    """The settings of Bai et al., MICCAI 2019."""
    QUICK = "quick"
    """A small network and a short schedule, for CPUs and demonstrations."""


class Recipe(StrEnum):
    """What is trained."""

    PRETEXT = "pretext"
    """The nine positions."""
    FINETUNE = "finetune"
    """The anatomical structures."""


class Subset(StrEnum):
    """Whom a network is evaluated on."""

    TRAIN = "train"
    """Those who were learnt from."""
    VALIDATION = "validation"
    """Those on whom training was watched."""
    TEST = "test"
    """Those who were kept back."""
    ALL = "all"
    """Everybody: for a catalogue of other people than those trained on."""


class Head(StrEnum):
    """Heads of the network, one a task."""

    POSITIONS = "positions"
    """Task 1, ten classes."""
    STRUCTURES = "structures"
    """Task 2."""


class TransferMode(StrEnum):
    """How a pretrained network is used for segmentation."""

    SCRATCH = "scratch"
    """Not at all: random weights."""
    DECODER = "decoder"
    """The encoder stays as it is, its normalisation statistics too."""
    ALL = "all"
    """All weights are trained."""
    MULTITASK = "multitask"
    """All weights are trained, on both tasks in turn."""


class LossKind(StrEnum):
    """What is minimised."""

    CROSS_ENTROPY = "cross-entropy"
    """Mean over the pixels, as in the paper."""
    WEIGHTED = "weighted"
    """Cross-entropy with rare classes weighted up."""
    DICE = "dice"
    """One minus soft Dice, plus cross-entropy."""


class Schedule(StrEnum):
    """How the learning rate goes."""

    CONSTANT = "constant"
    """As in the paper."""
    ONE_CYCLE = "one-cycle"
    """Up over the first part of the run, and down to nearly nothing at its end."""


class Sharing(StrEnum):
    """Whether the two tasks of ``multitask`` have something in common."""

    SHARED = "shared"
    """One for both."""
    SEPARATE = "separate"
    """One each."""


class CacheKind(StrEnum):
    """Where images wait for their turn."""

    AUTO = "auto"
    """In memory if they fit into half of what is free, else on disk."""
    MEMORY = "memory"
    """Each is read once."""
    DISK = "disk"
    """Each is read every time."""


class DeviceKind(StrEnum):
    """What computes."""

    AUTO = "auto"
    """CUDA, else MPS, else the CPU."""
    CPU = "cpu"
    CUDA = "cuda"
    MPS = "mps"


class Precision(StrEnum):
    """Number format of the network's arithmetic."""

    AUTO = "auto"
    """bfloat16 where CUDA has it, else float32."""
    BFLOAT16 = "bf16"
    """bfloat16 autocast."""
    FLOAT32 = "fp32"
    """float32; on CUDA without TF32."""
