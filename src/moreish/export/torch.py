"""A net as a safetensors file for PyTorch, under the names that modules of torch.nn give to their parameters.

The net is made of modules of torch.nn alone. The lines of Python that make it are in the file, in the metadata
`python`. They take the file from the variable `path` and leave the net in `net`, in eval mode. For a small mlp they are

    from safetensors.torch import load_file
    from torch import nn

    net = nn.Sequential(
        nn.Embedding(27, 24),
        nn.Flatten(1),
        nn.Linear(144, 256),
        nn.Tanh(),
        nn.Linear(256, 27),
    ).eval()
    net.load_state_dict(load_file(path))

Nets of contexts map contexts (B, T), int64, to logits (B, V). A wavenet-conv becomes the wavenet with the same weights.
Other nets map prefixes (B, L), which begin with 0, to logits (B, L, V). Dropout is left out. PyTorch is not needed to
write the file.
"""

from dataclasses import asdict
from pathlib import Path

import numpy as np
from safetensors.numpy import save

from ..errors import InputError
from ..layers import BatchNorm1d, Embedding, FlattenConsecutive, Linear
from ..models.bow import BagOfWords
from ..models.model import Model
from ..models.recurrent import RecurrentConfig
from ..models.recurrent_state_dict import not_of_pytorch, recurrent_state_dict
from ..models.transformer import TransformerConfig
from ..models.wavenet import WaveNet, WaveNetConv
from ..training.run import Run
from .metadata import metadata
from .refusals import need_layers, need_no_labels

Arrays = dict[str, np.ndarray]

BATCH_NORM = {"weight": "gamma", "bias": "beta", "running_mean": "running_mean", "running_var": "running_var"}
SEQUENTIAL = """\
from safetensors.torch import load_file
from torch import nn

net = nn.Sequential(
{}).eval()
net.load_state_dict(load_file(path))
"""
RECURRENT = """\
from safetensors.torch import load_file
from torch import nn


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.embedding, self.head = nn.Embedding({V}, {n_embd}), nn.Linear({n_hidden}, {V})
        self.recurrent = nn.{kind}({n_embd}, {n_hidden}, {n_layer}, batch_first=True)

    def forward(self, prefixes):
        return self.head(self.recurrent(self.embedding(prefixes))[0])


net = Net().eval()
net.load_state_dict(load_file(path))
"""
TRANSFORMER = """\
from functools import partial

import torch
from safetensors.torch import load_file
from torch import nn


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.embedding, self.positions = nn.Embedding({V}, {n_embd}), nn.Embedding({n_positions}, {n_embd})
        options = {{"activation": partial(nn.functional.gelu, approximate="tanh"), "dropout": 0.0}}
        block = nn.TransformerEncoderLayer({n_embd}, {n_head}, {width}, batch_first=True, norm_first=True, **options)
        self.blocks = nn.TransformerEncoder(block, {n_layer}, nn.LayerNorm({n_embd}), enable_nested_tensor=False)
        self.head = nn.Linear({n_embd}, {V})

    def forward(self, prefixes):
        places = torch.arange(prefixes.shape[1], device=prefixes.device)
        x = self.embedding(prefixes) + self.positions(places.clamp(max={last}))
        return self.head(self.blocks(x, mask=places > places[:, None]))


net = Net().eval()
net.load_state_dict(load_file(path))
"""
BAG_OF_WORDS = """\
import torch
from safetensors.torch import load_file
from torch import nn


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.embedding, self.positions = nn.Embedding({V}, {n_embd}), nn.Embedding({n_positions}, {n_embd})
        self.hidden, self.back = nn.Linear({n_embd}, {n_hidden}), nn.Linear({n_hidden}, {n_embd})
        self.head = nn.Linear({n_embd}, {V})

    def forward(self, prefixes):
        places = torch.arange(prefixes.shape[1], device=prefixes.device)
        x = self.embedding(prefixes) + self.positions(places.clamp(max={last}))
        x = x + x.cumsum(1) / (places + 1)[:, None]
        return self.head(x + self.back(torch.tanh(self.hidden(x))))


net = Net().eval()
net.load_state_dict(load_file(path))
"""
BLOCK = (
    "norm1.weight",
    "norm1.bias",
    "self_attn.in_proj_weight",
    "self_attn.in_proj_bias",
    "self_attn.out_proj.weight",
    "self_attn.out_proj.bias",
    "norm2.weight",
    "norm2.bias",
    "linear1.weight",
    "linear1.bias",
    "linear2.weight",
    "linear2.bias",
)
PLACES, HEAD = ("embedding.weight", "positions.weight"), ("head.weight", "head.bias")


def sequential(model: Model) -> tuple[str, Arrays]:
    """Return the nn.Sequential that a net of contexts is, and its parameters by name."""
    config, V = model.config, len(model.vocab)
    as_tree = isinstance(config, WaveNetConv)
    layers = WaveNet(**asdict(config)).layers(V) if as_tree else model.layers
    found: list[str] = []
    tensors: Arrays = {}
    as_rows = False  # once positions are joined in groups, all positions of a batch are the rows of one matrix
    (T,) = shape = (model.columns,)
    for layer, slots in zip(layers, model.layout.slots, strict=True):
        own = {slot.parameter.name: slot.view(model.params) for slot in slots}
        theirs: Arrays = {}
        shape = layer.out_shape(shape)
        match layer:
            case Embedding():
                module, theirs = f"nn.Embedding({layer.n_vocab}, {layer.n_embd})", {"weight": own["C"]}
            case Linear():
                bias = ", bias=False" if layer.bias is None else ""
                module, theirs = f"nn.Linear({layer.n_in}, {layer.n_out}{bias})", {"weight": own["W"].T}
                theirs |= {"bias": own["b"]} if "b" in own else {}
            case BatchNorm1d():
                module, theirs = f"nn.BatchNorm1d({layer.n_features})", {k: own[v] for k, v in BATCH_NORM.items()}
                theirs["num_batches_tracked"] = np.array(0)
            case FlattenConsecutive():
                if layer.n < T:
                    found += [*([] if as_rows else ["nn.Flatten(0, 1)"]), f"nn.Unflatten(0, (-1, {layer.n}))"]
                    as_rows = True
                module = "nn.Flatten(1)"
            case _:
                module = f"nn.{type(layer).__name__}()"
        tensors |= {f"{len(found)}.{name}": array for name, array in theirs.items()}
        found.append(module)
    if len(shape) > 1:
        found.append("nn.Flatten(0, 1)")
    return SEQUENTIAL.format("".join(f"    {module},\n" for module in found)), tensors


def named(model: Model, names: list[str]) -> Arrays:
    """Return the parameters of a model by other names, which are in the order of its layout."""
    pairs = zip(names, model.layout, strict=True)
    views = {name: (slot.parameter.name, slot.view(model.params)) for name, slot in pairs}
    return {name: view.T if own == "W" else view for name, (own, view) in views.items()}


def net_of(run: Run) -> tuple[str, Arrays]:
    """Return the lines of Python that make the net of a run, and its parameters by name.

    Raises InputError if torch.nn has no such net.
    """
    need_layers(run, "torch")
    need_no_labels(run, "torch")
    model, config = run.model, run.model.config
    V, sizes = len(model.vocab), asdict(config)
    match config:
        case RecurrentConfig():
            if not_of_pytorch(config):
                what = "learnt starts" if config.learn_start else "a reset before the product"
                raise InputError(f"torch.nn has no {model.name} with {what}, as in {run.path}", "use --to onnx")
            code, tensors = RECURRENT, recurrent_state_dict(model)
        case TransformerConfig():
            sizes["width"] = 4 * config.n_embd
            blocks = [f"blocks.layers.{k}.{name}" for k in range(config.n_layer) for name in BLOCK]
            names = [*PLACES, *blocks, "blocks.norm.weight", "blocks.norm.bias", *HEAD]
            code, tensors = TRANSFORMER, named(model, names)
        case BagOfWords():
            names = [f"{layer}.{name}" for layer in ("hidden", "back") for name in ("weight", "bias")]
            code, tensors = BAG_OF_WORDS, named(model, [*PLACES, *names, *HEAD])
        case _:
            return sequential(model)
    return code.format(V=V, kind=model.name.upper(), last=sizes.get("n_positions", 1) - 1, **sizes), tensors


def data(run: Run) -> bytes:
    """Return a safetensors file."""
    lines, tensors = net_of(run)
    own = {name: np.ascontiguousarray(array) for name, array in tensors.items()}
    return save(own, {**metadata(run), "python": lines})


def use(run: Run, path: Path) -> str:
    """Say how to use the file."""
    made = f"print(safetensors.safe_open({str(path)!r}, 'numpy').metadata()['python'])"
    return f"net.load_state_dict(safetensors.torch.load_file({str(path)!r})), with the net that this tells: {made}"
