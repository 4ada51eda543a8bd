"""A network as ONNX, with its card in the file."""

import contextlib
import io
import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from cmr_planes.system.whole_file import write_whole
from cmr_train.errors import TrainError
from cmr_train.interchange.card import CARD_KEY, INPUT, OUTPUT, NetworkCard
from cmr_train.interchange.one_head import one_head
from cmr_train.models.network import Network

if TYPE_CHECKING:
    from onnx import ModelProto

OPSET = 20
"""Of ONNX's operators."""


def write_model(model: Network, card: NetworkCard, path: Path) -> None:
    """Write a network for images of any number and of any size that its multiples allow, whole or not at all.

    Parameters
    ----------
    model
        The network, on any device; it is left as it is.
    card
        Its card, which becomes ``metadata_props`` of the file.
    path
        The file.

    Raises
    ------
    TrainError
        The library is not installed, or the network cannot be converted.
    """
    proto = _converted(model, card)
    found = [entry.version for entry in proto.opset_import if entry.domain in ("", "ai.onnx")]
    if found != [OPSET]:
        raise TrainError(
            f"the network was converted to ONNX's opset {found}, and {OPSET} is expected; use another release of torch"
        )
    _forget_the_source(proto)
    entry = proto.metadata_props.add()
    entry.key, entry.value = CARD_KEY, card.to_text()
    path.parent.mkdir(parents=True, exist_ok=True)
    write_whole(path, proto.SerializeToString(deterministic=True))


def _converted(model: Network, card: NetworkCard) -> "ModelProto":
    """Convert a network."""
    try:
        import onnxscript  # noqa: F401  # torch's exporter needs it
        from onnx import ModelProto
    except ImportError as error:
        raise TrainError(
            "this form needs the libraries onnx and onnxscript; install them with: pip install 'cmr-planes[export]'"
        ) from error
    rows, columns = card.grid.multiples
    sizes: dict[int, Any] = {0: torch.export.Dim("batch"), 2: _multiple_of(rows, "r"), 3: _multiple_of(columns, "c")}
    try:
        with _silence():
            program = torch.onnx.export(
                one_head(model, card.head.value),
                (torch.zeros(2, 1, 2 * rows, 3 * columns),),
                input_names=[INPUT],
                output_names=[OUTPUT],
                dynamic_shapes={INPUT: sizes},
                opset_version=OPSET,
                dynamo=True,
                external_data=False,
                verbose=False,
            )
    except (RuntimeError, ValueError, TypeError, AssertionError) as error:
        raise TrainError(f"the network cannot be converted to ONNX: {str(error).splitlines()[0]}") from error
    if program is None or not isinstance(program.model_proto, ModelProto):
        raise TrainError("the network cannot be converted to ONNX: torch returned no model")
    return program.model_proto


def _multiple_of(step: int, name: str) -> Any:  # noqa: ANN401  # torch's dimensions have no common type
    return torch.export.Dim(name) if step == 1 else step * torch.export.Dim(name)


@contextmanager
def _silence() -> Iterator[None]:
    """Keep what torch's exporter prints, warns and logs from the terminal, where results stand."""
    before = logging.root.manager.disable
    with contextlib.redirect_stdout(io.StringIO()), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        logging.disable(logging.WARNING)
        try:
            yield
        finally:
            logging.disable(before)


def _forget_the_source(proto: "ModelProto") -> None:
    """Remove what torch notes of where the code lies: paths of this machine, in every node."""
    graphs = [proto.graph]
    while graphs:
        graph = graphs.pop()
        for part in (graph, *graph.node, *graph.input, *graph.output, *graph.value_info, *graph.initializer):
            part.ClearField("doc_string")
            part.ClearField("metadata_props")
        graphs += [attribute.g for node in graph.node for attribute in node.attribute if attribute.HasField("g")]
    for function in proto.functions:
        for part in (function, *function.node):
            part.ClearField("doc_string")
            part.ClearField("metadata_props")
    proto.ClearField("doc_string")
    proto.ClearField("metadata_props")
