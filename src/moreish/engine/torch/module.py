"""A list of layers as a module of PyTorch. Its parameters are views of one flat vector."""

from collections.abc import Callable, Sequence
from typing import cast

import torch
from torch import nn

from ...layers import LAYERS, Layer, Residual
from ...layers.layout import Layout, Slot
from .levels import RowLevels


class TorchLayer(nn.Module):
    """A layer as a module. Its parameters have their own names and are views of the flat vector.

    Parameters that are not trained are buffers.
    """

    def __init__(self, layer: Layer, parameters: dict[Slot, torch.Tensor]):
        super().__init__()
        self.layer = layer
        self.compute: Callable[..., torch.Tensor] = LAYERS[type(layer)].torch or nn.Identity()
        self.along = LAYERS[type(layer)].levels
        for slot, value in parameters.items():
            if slot.parameter.trained:
                self.register_parameter(slot.parameter.name, nn.Parameter(value))
            else:
                self.register_buffer(slot.parameter.name, value)

    def forward(self, x: torch.Tensor, levels: RowLevels | None = None) -> torch.Tensor:
        return self.compute(self, x, levels) if self.along else self.compute(self, x)

    def extra_repr(self) -> str:
        return str(self.layer)


class TorchLayers(nn.Sequential):
    """Layers one after another."""

    @property
    def along(self) -> bool:
        """True if a layer goes along words, or along contexts as if they were words."""
        return any(part.along for part in parts_of(self))

    def forward(self, input: torch.Tensor, levels: RowLevels | None = None) -> torch.Tensor:
        x = input
        for part in parts_of(self):
            x = part(x, levels)
        return x


class TorchResidual(TorchLayers):
    """A Residual as a module."""

    def forward(self, input: torch.Tensor, levels: RowLevels | None = None) -> torch.Tensor:
        return input + super().forward(input, levels)


Part = TorchLayer | TorchResidual


def parts_of(module: nn.Sequential) -> list[Part]:
    """The modules of layers in a module."""
    return cast(list[Part], list(module))


class TorchNet(TorchLayers):
    """Layers as a module, from contexts (B, T), int64, to logits (B, V) or (B, L, V)."""

    def levels_of(self, contexts: torch.Tensor, key: int = 0) -> RowLevels | None:
        """The levels of contexts of one length, if a layer goes along them; `key` of the step's random numbers."""
        if not self.along:
            return None
        first = cast(TorchLayer, self[0]).layer
        positions = first.out_shape(tuple(contexts.shape[1:]))[0]  # without the column of labels
        return RowLevels.of_contexts(len(contexts), positions, self.training, key)

    def forward(self, input: torch.Tensor, levels: RowLevels | None = None) -> torch.Tensor:
        return super().forward(input, levels or self.levels_of(input))


def view(flat: torch.Tensor, slot: Slot) -> torch.Tensor:
    """A parameter as a view of a flat vector, in its own shape."""
    return flat[slot.start : slot.start + slot.parameter.size].view(slot.shape)


def to_module(layers: Sequence[Layer], flat: torch.Tensor) -> TorchNet:
    """Make a module of the layers, from contexts (B, T), int64, to logits (B, V).

    Its parameters are views of the flat vector (P,), named by layer and parameter: `0.C`, `2.W`, `2.b` and so on, and
    `3.1.W` in a Residual.
    """
    slots = iter(Layout(layers).slots)

    def module_of(layer: Layer) -> Part:
        if isinstance(layer, Residual):
            return TorchResidual(*map(module_of, layer.layers))
        return TorchLayer(layer, {slot: view(flat, slot) for slot in next(slots)})

    return TorchNet(*map(module_of, layers))
