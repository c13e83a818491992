"""The operators of ONNX that compute each kind of layer.

A Linear before a recurrent layer is a part of its operator, which computes x W + b itself. The operator's blocks come
in another order than ours, and its weights are transposed. Outside training a BatchNorm is a scale and a shift, and a
dropout is nothing.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ..layers import (
    GELU,
    GRU,
    LSTM,
    RNN,
    BatchNorm1d,
    CausalAverage,
    CausalSelfAttention,
    ChoGRU,
    Dropout,
    Embedding,
    FlattenConsecutive,
    LabelledEmbedding,
    Layer,
    LayerNorm,
    Linear,
    PositionalEmbedding,
    ReLU,
    Residual,
    Tanh,
    TanhGELU,
    Unfold,
)
from ..layers import layernorm as layer_norm
from ..layers.norm import fold
from ..layers.recurrent import Recurrent
from ..models.model import Model


class Graph:
    """The nodes and constants of a graph in the making. A tensor is known by its name.

    here    the path and kind of the layer whose operators are added, such as 2.linear
    shape   the shape of the layer's input for one example, where the length of a word counts as T
    gates   the weights W and b of a Linear that is a part of the recurrent layer after it
    """

    def __init__(self, model: Model, tokens: str):
        self.weights, self.tokens = model.weights, tokens
        self.nodes: list[Any] = []
        self.constants: dict[str, np.ndarray] = {}
        self.here, self.shape = "", (0,)
        self.gates = np.zeros(0), np.zeros(0)
        self._shared: dict[str, str] = {}

    def add(self, operator: str, *inputs: str, outputs: int = 1, **attributes: Any) -> str:
        """Add a node and return the name of its first output; the others are named after it, with .1, .2, ..."""
        from onnx import helper

        name = f"{self.here}.{operator}.{len(self.nodes)}"
        names = [name, *(f"{name}.{number}" for number in range(1, outputs))]
        self.nodes.append(helper.make_node(operator, inputs, names, name, **attributes))
        return name

    def constant(self, name: str, array: Any) -> str:
        """Add a constant and return its name."""
        self.constants[name] = np.asarray(array, order="C")
        return name

    def weight(self, name: str) -> str:
        """Add a parameter of the layer, under its name in the model."""
        return self.constant(f"{self.here}.{name}", self.weights[f"{self.here}.{name}"])

    def ints(self, *values: int) -> str:
        """Add whole numbers, as shapes and axes are."""
        return self.constant(f"ints.{'.'.join(map(str, values))}", np.array(values, np.int64))

    def shared(self, name: str, make: Callable[[], str]) -> str:
        """Return a tensor that several layers use. It is made the first time."""
        if name not in self._shared:
            here, self.here = self.here, name
            self._shared[name] = make()
            self.here = here
        return self._shared[name]

    def places(self) -> str:
        """Return the places 0, 1, ... in a word, int64 (L,)."""

        def make() -> str:
            length = self.add("Shape", self.tokens, start=1, end=2)
            zero, one = self.constant("zero", np.int64(0)), self.constant("one", np.int64(1))
            return self.add("Range", zero, self.add("Squeeze", length), one)

        return self.shared("places", make)

    def later(self) -> str:
        """Return True for each place that comes after another, bool (L, L): what attention must not see."""

        def make() -> str:
            rows, columns = (self.add("Unsqueeze", self.places(), self.ints(axis)) for axis in (1, 0))
            return self.add("Greater", columns, rows)

        return self.shared("later", make)

    def walk(self, layers: Sequence[Layer], x: str, path: str = "") -> str:
        """Add the operators of layers, and return the output."""
        for number, (layer, after) in enumerate(zip(layers, [*layers[1:], None], strict=True)):
            self.here = f"{path}{number}.{type(layer).__name__.lower()}"
            if isinstance(layer, Residual):
                z = self.walk(layer.layers, x, f"{path}{number}.")
                self.here = f"{path}{number}.residual"
                x = self.add("Add", x, z)
            elif isinstance(layer, Linear) and isinstance(after, Recurrent):
                self.gates = self.weights[f"{self.here}.W"], self.weights[f"{self.here}.b"]
            else:
                x = OPERATORS[type(layer)](self, layer, x)
            self.shape = layer.out_shape(self.shape)
        return x


def embedding(graph: Graph, layer: Embedding, x: str) -> str:
    return graph.add("Gather", graph.weight("C"), x)


def labelled_embedding(graph: Graph, layer: LabelledEmbedding, x: str) -> str:
    of_labels = graph.add("Gather", graph.weight("D"), "labels")
    of_words = graph.add("Unsqueeze", of_labels, graph.ints(1))
    return graph.add("Add", graph.add("Gather", graph.weight("C"), x), of_words)


def linear(graph: Graph, layer: Linear, x: str) -> str:
    y = graph.add("MatMul", x, graph.weight("W"))
    return y if layer.bias is None else graph.add("Add", y, graph.weight("b"))


def flatten(graph: Graph, layer: FlattenConsecutive, x: str) -> str:
    return graph.add("Reshape", x, graph.ints(0, *layer.out_shape(graph.shape)))


def unfold(graph: Graph, layer: Unfold, x: str) -> str:
    d, axis = layer.dilation, graph.ints(1)
    earlier = graph.add("Slice", x, graph.ints(0), graph.ints(-d), axis)
    later = graph.add("Slice", x, graph.ints(d), graph.ints(np.iinfo(np.int64).max), axis)
    return graph.add("Concat", earlier, later, axis=-1)


def batch_norm(graph: Graph, layer: BatchNorm1d, x: str) -> str:
    """Add the running statistics as one scale and one shift, as inference does."""
    own = [graph.weights[f"{graph.here}.{p.name}"] for p in layer.parameters()]
    scale, shift = fold(np.ones(layer.n_features, np.float32), np.zeros(layer.n_features, np.float32), *own)
    names = [graph.constant(f"{graph.here}.{name}", a) for name, a in (("scale", scale), ("shift", shift))]
    return graph.add("Add", graph.add("Mul", x, names[0]), names[1])


def layernorm(graph: Graph, layer: LayerNorm, x: str) -> str:
    weights = graph.weight("gamma"), graph.weight("beta")
    return graph.add("LayerNormalization", x, *weights, axis=-1, epsilon=layer_norm.EPSILON)


def position(graph: Graph, layer: PositionalEmbedding, x: str) -> str:
    last = graph.constant(f"{graph.here}.last", np.int64(layer.n_positions - 1))
    places = graph.add("Min", graph.places(), last)
    return graph.add("Add", x, graph.add("Gather", graph.weight("P"), places))


def average(graph: Graph, layer: CausalAverage, x: str) -> str:
    from onnx import TensorProto

    one = graph.constant("one", np.int64(1))
    counts = graph.add("Cast", graph.add("Add", graph.places(), one), to=TensorProto.FLOAT)
    total = graph.add("CumSum", x, graph.constant("one", np.int64(1)))
    return graph.add("Div", total, graph.add("Unsqueeze", counts, graph.ints(1)))


def attention(graph: Graph, layer: CausalSelfAttention, x: str) -> str:
    """Add attention to x (B, L, 3E)."""
    heads = graph.add("Split", x, outputs=3, axis=-1, num_outputs=3)
    divided = graph.ints(0, 0, layer.n_head, layer.n_embd // layer.n_head)
    q, k, v = (graph.add("Reshape", name, divided) for name in (heads, f"{heads}.1", f"{heads}.2"))
    q, v = (graph.add("Transpose", name, perm=[0, 2, 1, 3]) for name in (q, v))  # (B, heads, L, C)
    k = graph.add("Transpose", k, perm=[0, 2, 3, 1])
    root = graph.constant(f"{graph.here}.root", np.float32((layer.n_embd // layer.n_head) ** 0.5))
    scores = graph.add("Div", graph.add("MatMul", q, k), root)
    nothing = graph.constant("minus_infinity", np.float32(-np.inf))
    weights = graph.add("Softmax", graph.add("Where", graph.later(), nothing, scores), axis=-1)
    y = graph.add("Transpose", graph.add("MatMul", weights, v), perm=[0, 2, 1, 3])
    return graph.add("Reshape", y, graph.ints(0, 0, layer.n_embd))


def recurrent(graph: Graph, x: str, order: Sequence[int], U: np.ndarray, c: np.ndarray, **attributes: Any) -> str:
    """Add a recurrent operator to x (B, L, I). Its block number i is our block order[i]; U (H, G H), c (G H,)."""
    (W, b), H = graph.gates, len(U)

    def ordered(array: np.ndarray) -> np.ndarray:  # (..., G H) -> (G H, ...)
        return np.concatenate([array[..., i * H : (i + 1) * H].T for i in order])

    constants = {"W": ordered(W)[None], "R": ordered(U)[None], "B": np.concatenate([ordered(b), ordered(c)])[None]}
    inputs = [graph.constant(f"{graph.here}.{name}", array) for name, array in constants.items()]
    starts = [name for name in ("start", "start_c") if f"{graph.here}.{name}" in graph.weights]
    if starts:
        batch = graph.shared("batch", lambda: graph.add("Shape", graph.tokens, start=0, end=1))
        shape = graph.add("Concat", graph.ints(1), batch, graph.ints(H), axis=0)
        inputs += ["", *(graph.add("Expand", graph.weight(name), shape) for name in starts)]
    by_place = graph.add("Transpose", x, perm=[1, 0, 2])
    operator = {1: "RNN", 3: "GRU", 4: "LSTM"}[len(order)]
    y = graph.add(operator, by_place, *inputs, hidden_size=H, **attributes)  # (L, 1, B, H)
    return graph.add("Transpose", graph.add("Squeeze", y, graph.ints(1)), perm=[1, 0, 2])


def of_layer(graph: Graph, name: str) -> np.ndarray:
    return graph.weights[f"{graph.here}.{name}"]


def rnn(graph: Graph, layer: RNN, x: str) -> str:
    return recurrent(graph, x, [0], of_layer(graph, "U"), np.zeros(layer.n_hidden, np.float32))


def gru(graph: Graph, layer: GRU, x: str) -> str:
    """Add a GRU with the blocks z, r, n; ours are r, z, n."""
    c = np.append(np.zeros(2 * layer.n_hidden, np.float32), of_layer(graph, "c"))
    return recurrent(graph, x, [1, 0, 2], of_layer(graph, "U"), c, linear_before_reset=1)


def cho(graph: Graph, layer: ChoGRU, x: str) -> str:
    U = np.hstack([of_layer(graph, "U"), of_layer(graph, "V")])
    return recurrent(graph, x, [1, 0, 2], U, np.zeros(3 * layer.n_hidden, np.float32), linear_before_reset=0)


def lstm(graph: Graph, layer: LSTM, x: str) -> str:
    """Add an LSTM with the blocks i, o, f, g; ours are i, f, g, o."""
    return recurrent(graph, x, [0, 3, 1, 2], of_layer(graph, "U"), np.zeros(4 * layer.n_hidden, np.float32))


OPERATORS: dict[type[Any], Callable[[Graph, Any, str], str]] = {
    Embedding: embedding,
    LabelledEmbedding: labelled_embedding,
    FlattenConsecutive: flatten,
    Unfold: unfold,
    Linear: linear,
    BatchNorm1d: batch_norm,
    LayerNorm: layernorm,
    Tanh: lambda graph, layer, x: graph.add("Tanh", x),
    ReLU: lambda graph, layer, x: graph.add("Relu", x),
    GELU: lambda graph, layer, x: graph.add("Gelu", x),
    TanhGELU: lambda graph, layer, x: graph.add("Gelu", x, approximate="tanh"),
    Dropout: lambda graph, layer, x: x,
    PositionalEmbedding: position,
    CausalAverage: average,
    CausalSelfAttention: attention,
    RNN: rnn,
    GRU: gru,
    ChoGRU: cho,
    LSTM: lstm,
}
