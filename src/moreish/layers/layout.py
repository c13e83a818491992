"""One flat vector holds all parameters of a list of layers; this is where each one lies in it.

Gradients and the optimizer's moments are vectors of the same layout, and so are the weights of every engine.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from .spec import Layer, Parameter, Shape


@dataclass(frozen=True)
class Slot:
    """A parameter's place: `name` is unique in the model, such as `2.linear.W`; `start` counts elements."""

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
    """The places of all parameters of `layers`: `slots[i]` are those of layer i, `size` is the flat length."""

    def __init__(self, layers: Sequence[Layer]):
        self.slots: list[list[Slot]] = []
        self.size = 0
        for index, layer in enumerate(layers):
            of_layer = []
            for parameter in layer.parameters():
                name = f"{index}.{type(layer).__name__.lower()}.{parameter.name}"
                of_layer.append(Slot(name, self.size, parameter))
                self.size += parameter.size
            self.slots.append(of_layer)

    def __iter__(self):
        return (slot for of_layer in self.slots for slot in of_layer)

    def views(self, flat: np.ndarray) -> dict[str, np.ndarray]:
        """Every parameter of a flat vector, by name, as views in their shapes."""
        return {slot.name: slot.view(flat) for slot in self}

    def initial(self, seed: int, dtype: type = np.float32) -> np.ndarray:
        """Fresh weights (size,): each parameter drawn from its own distribution, in order, from one generator."""
        generator = np.random.default_rng(seed)
        flat = np.empty(self.size, dtype)
        for slot in self:
            slot.view(flat)[...] = slot.parameter.init.draw(slot.shape, generator)
        return flat
