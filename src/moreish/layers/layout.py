"""The layout of the flat vector that holds all parameters of a list of layers.

Gradients and the optimizer's moments are vectors of the same layout, and all engines use it.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from .residual import Residual, leaves
from .spec import Layer, Parameter, Shape


def outputs(layers: Sequence[Layer], in_shape: Shape, path: str = "") -> Iterator[tuple[str, Layer, Shape]]:
    """Yield the path of each layer, the layer, and the shape of its output; a Residual comes after its branch."""
    for number, layer in enumerate(layers):
        if isinstance(layer, Residual):
            yield from outputs(layer.layers, in_shape, f"{path}{number}.")
        in_shape = layer.out_shape(in_shape)
        yield f"{path}{number}", layer, in_shape


@dataclass(frozen=True)
class Slot:
    """A parameter's place: `name` is unique in the model; `start` counts elements.

    The name has the path of its layer, the kind and the parameter, such as `2.linear.W`, or `3.1.linear.W` in a
    Residual.
    """

    name: str
    start: int
    parameter: Parameter

    @property
    def shape(self) -> Shape:
        return self.parameter.shape

    def view(self, flat: np.ndarray) -> np.ndarray:
        """The parameter as a view of a flat vector, in its own shape."""
        return flat[self.start : self.start + self.parameter.size].reshape(self.shape)


class Layout:
    """The places of all parameters of `layers`.

    slots       slots[i] are the slots of layer i, where a Residual counts as its layers: see `residual.leaves`
    n_trained   the number of elements that gradient descent trains. They come first, so gradients have this length
    size        the length of the vector, with the parameters that are not trained at its end
    """

    def __init__(self, layers: Sequence[Layer]):
        self.slots: list[list[Slot]] = []
        self.n_trained = sum(p.size for _, layer in leaves(layers) for p in layer.parameters() if p.trained)
        ends = {True: 0, False: self.n_trained}
        for path, layer in leaves(layers):
            self.slots.append([])
            for parameter in layer.parameters():
                name = f"{path}.{type(layer).__name__.lower()}.{parameter.name}"
                self.slots[-1].append(Slot(name, ends[parameter.trained], parameter))
                ends[parameter.trained] += parameter.size
        self.size = ends[False]

    def __iter__(self) -> Iterator[Slot]:
        return (slot for of_layer in self.slots for slot in of_layer)

    def views(self, flat: np.ndarray) -> dict[str, np.ndarray]:
        """Every parameter of a flat vector of weights or gradients by name, as views in their shapes."""
        return {slot.name: slot.view(flat) for slot in self if slot.start < flat.size}

    def fill(self, flat: np.ndarray, arrays: Mapping[str, np.ndarray]) -> None:
        """Copy arrays by name into the parameters of a flat vector (size,).

        Raises KeyError if one is missing, and ValueError unless each has the shape and type of its parameter and holds
        finite numbers, which are not negative for a variance.
        """
        for slot in self:
            place, array = slot.view(flat), arrays[slot.name]
            if array.dtype != flat.dtype or array.shape != place.shape:
                raise ValueError(f"{slot.name} is {array.dtype} {array.shape}, not {flat.dtype} {place.shape}")
            if not np.isfinite(array).all():
                raise ValueError(f"{slot.name} has values that are not finite numbers")
            if slot.parameter.name == "running_var" and (array < 0).any():
                raise ValueError(f"{slot.name} has a negative variance")
            place[...] = array

    def joined(self, arrays: Sequence[np.ndarray]) -> np.ndarray:
        """Put arrays, one for each parameter in order, into a flat vector, float64: the reverse of `views`.

        Raises ValueError unless each has the shape of its parameter.
        """
        flat = np.zeros(self.size)
        for slot, array in zip(self, arrays, strict=True):
            if array.shape != slot.shape:
                raise ValueError(f"{slot.name} is {array.shape}, not {slot.shape}")
            slot.view(flat)[...] = array
        return flat

    def initial(self, seed: int, dtype: type = np.float32) -> np.ndarray:
        """Draw initial weights (size,): each parameter from its own distribution, in order, by one generator."""
        generator = np.random.default_rng(seed)
        flat = np.empty(self.size, dtype)
        for slot in self:
            slot.view(flat)[...] = slot.parameter.init.draw(slot.shape, generator)
        return flat
