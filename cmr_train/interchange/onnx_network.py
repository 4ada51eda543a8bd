"""A network that was exported as ONNX, run by onnxruntime on the CPU. Nothing here imports torch."""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cmr_train.errors import CheckpointError, TrainError
from cmr_train.interchange.card import CARD_KEY, INPUT, OUTPUT, NetworkCard


class OnnxClassifier:
    """A network of one head, as a :class:`cmr_train.runs.trained_network.Classifier`.

    Parameters
    ----------
    session
        An ``onnxruntime.InferenceSession``.
    failures
        What it raises.
    """

    def __init__(self, session: Any, failures: tuple[type[Exception], ...]) -> None:  # noqa: ANN401  # onnxruntime has no types
        self._session, self._failures = session, failures

    @property
    def turns_images(self) -> bool:
        """Whether it takes an angle: images are turned by torch."""
        return False

    def probabilities(
        self,
        images: NDArray[np.float32],
        *,
        rotate_deg: float = 0.0,
        pixel_mm: NDArray[np.float64] | None = None,  # noqa: ARG002  # nothing is turned
    ) -> NDArray[np.float32]:
        """Return the probability of every class at every pixel."""
        logits = self._logits(images, rotate_deg)
        logits -= logits.max(axis=1, keepdims=True)
        np.exp(logits, out=logits)
        logits /= logits.sum(axis=1, keepdims=True)
        return logits

    def most_likely(
        self,
        images: NDArray[np.float32],
        *,
        rotate_deg: float = 0.0,
        pixel_mm: NDArray[np.float64] | None = None,  # noqa: ARG002  # nothing is turned
    ) -> NDArray[np.uint8]:
        """Return the most likely output at every pixel."""
        found: NDArray[np.uint8] = self._logits(images, rotate_deg).argmax(axis=1).astype(np.uint8)
        return found

    def _logits(self, images: NDArray[np.float32], rotate_deg: float) -> NDArray[np.float32]:
        if rotate_deg:
            raise ValueError("images are turned by torch, and this network runs without")
        try:
            (logits,) = self._session.run([OUTPUT], {INPUT: np.ascontiguousarray(images[:, np.newaxis])})
        except self._failures as error:
            raise CheckpointError(
                f"the network in ONNX does not answer on images of {images.shape[1]} × {images.shape[2]} pixels: it is damaged, or "
                "not one that cmr-train exported"
            ) from error
        found: NDArray[np.float32] = logits
        return found


def open_onnx(path: Path) -> tuple[NetworkCard, OnnxClassifier]:
    """Open a network in ONNX.

    Raises
    ------
    CheckpointError
        The file is missing, damaged, or was not exported by cmr-train.
    TrainError
        The library is not installed.
    """
    try:
        import onnxruntime
        from onnxruntime.capi import onnxruntime_pybind11_state as states
    except ImportError as error:
        raise TrainError(
            "a network in ONNX needs the library onnxruntime; install it with: pip install 'cmr-planes[onnx]'"
        ) from error
    failures = (
        *(states.EPFail, states.Fail, states.InvalidArgument, states.InvalidGraph, states.InvalidProtobuf, states.NotImplemented),
        *(RuntimeError, ValueError),
    )
    try:
        content, options = path.read_bytes(), onnxruntime.SessionOptions()
        options.log_severity_level = 4  # nothing but fatal errors: what is wrong with a file is said here
        session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"], enable_fallback=0)
        text = session.get_modelmeta().custom_metadata_map.get(CARD_KEY, "")
    except OSError as error:
        raise CheckpointError(f"{str(path)!r} cannot be read: {error}") from error
    except failures as error:
        raise CheckpointError(f"{str(path)!r} cannot be used: it is damaged, or no network in ONNX") from error
    card = NetworkCard.from_text(text, repr(str(path)))
    names = [[one.name for one in session.get_inputs()], [one.name for one in session.get_outputs()]]
    n_outputs = session.get_outputs()[0].shape[1] if names == [[INPUT], [OUTPUT]] else None
    if n_outputs != len(card.outputs):
        raise CheckpointError(f"the network in {str(path)!r} is another one than its card says")
    return card, OnnxClassifier(session, failures)
