"""A net as an ONNX graph, made from the list of layers: see `operators`.

Inputs and output, with any batch size B and any length L:

    contexts (B, T) int64       the last T characters, 0 before a word  ->  logits (B, V)
    contexts (B, T - 1 + L)     the same, of a net that reads whole words at once  ->  logits (B, L, V)
    prefixes (B, L) int64       whole words so far, which begin with 0  ->  logits (B, L, V) after each character
    labels (B,) int64           the number of each word's label, of a net with labels

Metadata has the characters (of tokens 1, 2, ...; 0 is the end), T as `context`, the labels in JSON, and what
config.json says about the run.

The opset is 20, the first with LayerNormalization (since 17) and Gelu; ONNX Runtime reads it since 1.17, of 2024.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from .._version import __version__
from ..errors import InputError, missing
from ..models import NetConfig
from ..models.model import Model
from ..training.run import Run
from .metadata import metadata
from .operators import Graph
from .refusals import need_layers

if TYPE_CHECKING:
    from onnx import ModelProto

OPSET, IR_VERSION = 20, 9  # that belong together
LARGEST = 2**31 - 2**20  # bytes of weights: a file of Protocol Buffers has less than 2 GB


def shapes(model: Model) -> tuple[str, list[Any], list[Any]]:
    """Return the name of the input, its shape, and the shape of the logits; text stands for any size."""
    config, V = model.config, len(model.vocab)
    assert isinstance(config, NetConfig)
    if config.context is None:
        return "prefixes", ["batch", "length"], ["batch", "length", V]
    if config.whole_words:
        before = f"{config.context - 1} + length" if config.context > 1 else "length"
        return "contexts", ["batch", before], ["batch", "length", V]
    return "contexts", ["batch", config.context], ["batch", V]


def graph_of(run: Run) -> "ModelProto":
    """Make the ONNX model of a run. Raises InputError without layers, without the package onnx, and if it is large."""
    need_layers(run, "onnx")
    try:
        from onnx import TensorProto, helper, numpy_helper
    except ImportError:
        raise missing("--to onnx needs the package onnx", "onnx") from None
    model = run.model
    if model.params.nbytes > LARGEST:
        raise InputError(f"--to onnx takes weights of up to {LARGEST / 2**30:.1f} GB: export a smaller net")
    tokens, in_shape, out_shape = shapes(model)
    graph = Graph(model, tokens)
    graph.shape = (model.columns,)
    logits = graph.walk(model.layers, tokens)
    if len(out_shape) < 1 + len(graph.shape):  # (B, 1, V)
        logits = graph.add("Squeeze", logits, graph.ints(1))
    graph.nodes.append(helper.make_node("Identity", [logits], ["logits"], "logits"))
    inputs = [helper.make_tensor_value_info(tokens, TensorProto.INT64, in_shape)]
    if model.labels is not None:
        inputs.append(helper.make_tensor_value_info("labels", TensorProto.INT64, ["batch"]))
    output = helper.make_tensor_value_info("logits", TensorProto.FLOAT, out_shape)
    constants = [numpy_helper.from_array(array, name) for name, array in graph.constants.items()]
    made = helper.make_graph(graph.nodes, model.name, inputs, [output], constants, model.summary)
    opsets = [helper.make_opsetid("", OPSET)]
    of_us = {"producer_name": "moreish", "producer_version": __version__, "ir_version": IR_VERSION}
    found = helper.make_model(made, opset_imports=opsets, **of_us)
    helper.set_model_props(found, metadata(run))
    return found


def data(run: Run) -> bytes:
    """Return an ONNX file."""
    return graph_of(run).SerializeToString()


def use(run: Run, path: Path) -> str:
    """Say how to use an ONNX file."""
    (tokens, in_shape, out_shape), labels = shapes(run.model), "" if run.model.labels is None else ', "labels": labels'
    shape, logits = (f"({', '.join(map(str, of))})" for of in (in_shape, out_shape))
    call = f'onnxruntime.InferenceSession({str(path)!r}).run(None, {{"{tokens}": {tokens}{labels}}})'
    return f"{call}  # int64 {shape} -> logits {logits}"
