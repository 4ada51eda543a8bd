"""The closed sets of the trainer; their values are those that settings and options take."""

from enum import StrEnum


class Preset(StrEnum):
    """Source of the defaults."""

    PAPER = "paper"
    """The settings of Bai et al., MICCAI 2019."""
    QUICK = "quick"
    """A small network and a short schedule, for CPUs and demonstrations."""


class Recipe(StrEnum):
    """The two recipes that train; only their runs have a configuration. Evaluation and prediction use that of a run."""

    PRETEXT = "pretext"
    """The nine positions, or another target."""
    FINETUNE = "finetune"
    """The anatomical structures."""


class Subset(StrEnum):
    """Subjects to evaluate."""

    TRAIN = "train"
    """Training set."""
    VALIDATION = "validation"
    """Validation set."""
    TEST = "test"
    """Test set."""
    ALL = "all"
    """All subjects."""
    UNSEEN = "unseen"
    """All subjects that the run has not seen, with labels or with positions: for a catalogue of another cohort."""


class People(StrEnum):
    """Whether equal keys in two catalogues of different origin are the same persons."""

    SAME = "same"
    """They are: subjects of the second that a run has seen are not new to it."""
    OTHER = "other"
    """They are not: the second catalogue is of other people."""


class Resampling(StrEnum):
    """Pixel sizes to which images are resampled, other than a number."""

    AUTO = "auto"
    """That of the nnU-Net plan or the pretext; else the median of the training set where its sizes vary by more than a tenth."""
    NONE = "none"
    """Each image keeps its own."""


class Head(StrEnum):
    """Heads of the network, one per task."""

    POSITIONS = "positions"
    """Task 1, the pretext, whatever its target."""
    STRUCTURES = "structures"
    """Task 2."""


class PretextTarget(StrEnum):
    """What a network learns in the pretext task."""

    BOXES = "boxes"
    """The nine positions, as in the paper."""
    LINES = "lines"
    """The two lines in which other views meet the image, as a heat map each."""
    SLICE = "slice"
    """The relative place of the image in its stack, 0 at the base and 1 at the apex."""
    MASKED = "masked"
    """The intensities of hidden patches."""
    SHUFFLED = "shuffled"
    """The nine positions of another person: a control, which is the same task without the geometry."""


class TransferMode(StrEnum):
    """Transfer mode: the use of a pretrained network for segmentation."""

    SCRATCH = "scratch"
    """Random initial weights; the pretrained network is not used."""
    DECODER = "decoder"
    """The encoder is frozen, its normalisation statistics included."""
    ALL = "all"
    """All weights are trained."""
    MULTITASK = "multitask"
    """All weights are trained, alternating between the tasks."""


class LossKind(StrEnum):
    """Loss function."""

    CROSS_ENTROPY = "cross-entropy"
    """Mean over the pixels, as in the paper."""
    WEIGHTED = "weighted"
    """Cross-entropy with rare classes weighted up."""
    DICE = "dice"
    """One minus soft Dice, plus cross-entropy."""


class Schedule(StrEnum):
    """Learning-rate schedule."""

    CONSTANT = "constant"
    """Constant, as in the paper."""
    ONE_CYCLE = "one-cycle"
    """Rises over the first part of the run, then falls to nearly zero at its end."""
    COSINE = "cosine"
    """Falls from the first iteration to nearly zero at the end, along half a cosine."""


class Norm(StrEnum):
    """Normalisation between the convolutions of the network."""

    BATCH = "batch"
    """Over a batch, per channel, as in the paper; running statistics in prediction."""
    INSTANCE = "instance"
    """Over one image, per channel."""
    GROUP = "group"
    """Over one image, per group of channels: eight groups, or fewer where the channels do not divide by eight."""


class AugmentationKind(StrEnum):
    """Source of the defaults of the augmentation."""

    PAPER = "paper"
    """Rotation and scaling."""
    STRONG = "strong"
    """More rotation and scaling; gamma, noise and blur besides."""


class Sharing(StrEnum):
    """Whether the two tasks of ``multitask`` share a state."""

    SHARED = "shared"
    """One for both."""
    SEPARATE = "separate"
    """One per task."""


class DecoderSharing(StrEnum):
    """Decoder of the two tasks of ``multitask``."""

    SHARED = "shared"
    """One for both, as in the paper."""
    PER_TASK = "per-task"
    """One per task; both begin as copies of the pretext's."""


class NetworkForm(StrEnum):
    """Form in which a network is given away."""

    RUN = "run"
    """A run without its people, for cmr-train."""
    NNUNET = "nnunet"
    """Pretrained weights for nnU-Net."""
    SAFETENSORS = "safetensors"
    """Weights and a card, one file."""
    ONNX = "onnx"
    """A network that runs without torch, one file."""
    MONAI = "monai"
    """A MONAI bundle."""


class Weights(StrEnum):
    """Weights of a run that was validated while it trained."""

    LAST = "last"
    """After the last iteration."""
    BEST = "best"
    """Of the validation with the highest mean Dice, the first third of the run aside."""


class CacheKind(StrEnum):
    """Whether images are kept in memory."""

    AUTO = "auto"
    """In memory if they fit into half of the free memory, else on disk."""
    MEMORY = "memory"
    """Every image is read once, and kept."""
    DISK = "disk"
    """Every image is read from disk whenever it is used."""


class MapFormat(StrEnum):
    """How a prediction writes label maps."""

    NIFTI = "nifti"
    """NIfTI volumes in the scanner's coordinates."""
    SEG = "seg"
    """DICOM segmentations that refer to their source images, and a structured report of the volumes."""


class DeviceKind(StrEnum):
    """Device of the network."""

    AUTO = "auto"
    """CUDA, else MPS, else the CPU."""
    CPU = "cpu"
    CUDA = "cuda"
    MPS = "mps"


class Precision(StrEnum):
    """Numeric precision of the network."""

    AUTO = "auto"
    """On CUDA bfloat16 where the GPU has it, else float16; elsewhere float32."""
    BFLOAT16 = "bf16"
    """bfloat16 autocast."""
    FLOAT16 = "fp16"
    """float16 autocast; the loss is scaled, so that small gradients do not vanish."""
    FLOAT32 = "fp32"
    """float32; on CUDA without TF32."""
