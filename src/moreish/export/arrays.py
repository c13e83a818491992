"""Models as a description in JSON and the bytes of their arrays, as model.js reads them."""

from dataclasses import fields
from typing import Any

import numpy as np

from ..layers import Layer, Residual
from ..layers.layout import Layout
from ..models import ModelConfig, NetConfig
from ..models.gate import Gate
from ..models.mixture import BY_CONTEXT, Mixture, of_part
from ..models.model import Model
from ..models.ngram import AutomatonConfig

ALIGNMENT = 4  # bytes: an array begins at a multiple
OF_COUNTS = ("first", "parent", "char", "after", "start", "p", "share")


class Arrays:
    """Bytes of arrays one after another.

    bits    of a number in a weight matrix: 32, or 8 with a scale for each row
    """

    def __init__(self, bits: int = 32):
        self.bits, self._parts, self._size = bits, list[bytes](), 0

    def add(self, array: np.ndarray) -> dict[str, Any]:
        """Add an array; return its place as model.js takes it."""
        place: dict[str, Any] = {"at": self._size, "size": array.size}
        if array.dtype.kind == "i":
            data, place["type"] = array.astype("<i4").tobytes(), "int32"
        elif self.bits == 8 and array.ndim == 2:
            whole, scale = quantised(array)
            data = whole.tobytes() + scale.astype("<f4").tobytes()
            place |= {"type": "int8", "rows": len(array)}
        elif array.dtype == np.float64 and outside_float32(array):
            data, place["type"] = array.astype("<f8").tobytes(), "float64"
        else:
            data, place["type"] = array.astype("<f4").tobytes(), "float32"
        data += bytes(-len(data) % ALIGNMENT)
        self._parts.append(data)
        self._size += len(data)
        return place

    def to_bytes(self) -> bytes:
        """Return all bytes."""
        return b"".join(self._parts)


def quantised(array: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Round a matrix (R, C) to 8 bits a number: int8 (R, C), and the float32 scales (R,) that multiply the rows."""
    scale = (np.maximum(np.abs(array).max(1), 1e-30) / 127).astype(np.float32)
    return np.round(array / scale[:, None]).astype(np.int8), scale


def outside_float32(array: np.ndarray) -> bool:
    """Return True if float32 would round a positive number of an array to 0 or a denormal, or to infinity."""
    limits = np.finfo(np.float32)
    return bool(((array > 0) & (array < limits.tiny) | (array > limits.max)).any())


def as_quantised(model: Model) -> Model:
    """Return a net with its matrices rounded to 8 bits a number. Raises InputError for a model without layers."""
    model.need_layers()
    params = model.params.copy()
    for array in model.layout.views(params).values():
        if array.ndim == 2:
            whole, scale = quantised(array)
            array[...] = whole * scale[:, None]
    return model.with_params(params)


def described(model: Model, arrays: Arrays) -> dict[str, Any]:
    """Describe a model for model.js, and add its arrays; with labels, the model given each of them."""
    about: dict[str, Any] = {"model": model.name, "characters": list(model.vocab.characters)}
    about["most_extra"] = model.sampling_models()[0].most_extra
    if model.labels is None:
        return about | {"reader": _reader(model.name, model.config, model.weights, len(model.vocab), arrays)}
    each = [model.of_label(number) for number in range(len(model.labels))]
    readers = [_reader(model.name, one.config, one.weights, len(model.vocab), arrays) for one in each]
    shares = {"names": list(model.labels.names), "shares": model.labels.shares.tolist()}
    return about | {"reader": readers[0], "labels": shares | {"readers": readers}}


def _reader(
    name: str, config: ModelConfig, weights: dict[str, np.ndarray], n_vocab: int, arrays: Arrays
) -> dict[str, Any]:
    about: dict[str, Any] = {"model": name, "context": config.context}
    if isinstance(config, NetConfig):
        layers = config.layers(n_vocab)
        slots = iter(Layout(layers).slots)

        def of_layer(layer: Layer) -> dict[str, Any]:
            found: dict[str, Any] = {"kind": type(layer).__name__, "sizes": _sizes(layer), "weights": {}}
            if isinstance(layer, Residual):
                return found | {"layers": list(map(of_layer, layer.layers))}
            return found | {"weights": {slot.parameter.name: arrays.add(weights[slot.name]) for slot in next(slots)}}

        return about | {"layers": list(map(of_layer, layers))}
    if isinstance(config, AutomatonConfig):
        return about | {"arrays": {name: arrays.add(weights[name]) for name in OF_COUNTS}}
    assert isinstance(config, Mixture)
    parts = [
        _reader(part["model"], own, of_part(weights, i), n_vocab, arrays)
        for i, (part, own) in enumerate(zip(config.parts or [], config.configs, strict=True))
    ]
    about |= {"kind": config.kind.removesuffix(BY_CONTEXT), "weights": weights["weights"].tolist(), "parts": parts}
    if config.by_context:
        gate = Gate.of(weights)
        about["gate"] = {name: getattr(gate, name).tolist() for name in ("theta", "centre", "scale")}
    return about


def _sizes(layer: Any) -> dict[str, float]:
    """The numbers among the fields of a layer."""
    values = {f.name: getattr(layer, f.name) for f in fields(layer)}
    return {name: value for name, value in values.items() if isinstance(value, int | float)}
