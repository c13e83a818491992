"""Weights from the models of makemore.py (Karpathy 2022), by the names of its state dicts. PyTorch is not needed.

Its linear maps have (n_out, n_in) weights, ours (n_in, n_out). Otherwise its Transformer, bag of words and bigram are
ours, but for a bias of the Transformer's logits, which is zero here. Three models need more:

**RNN and GRU.** Their linear maps take [x, h] side by side, and the first h is learnt. The GRU resets before the
product. Its z is the share of the new state, ours that of the old one: ours = 1 - theirs, so its weights change sign.

**MLP.** Its context begins with the newest character, ours with the oldest. In front of a word it has the start, token
0, and before that BLANK, a token of its own; ours has 0 in all these places. So z leading zeros of ours stand for z - 1
BLANKs and the start. With W[p] (E, H), the weights of place p from the oldest, they must give the hidden layer

    S(z) = sum over p < z - 1 of C[BLANK] W[p] + C[0] W[z - 1],     S(0) = 0

S(z) is the sum over p < z of its differences, so a zero at place p must give

    d[p] = S(p + 1) - S(p) = C[0] W[p] + (C[BLANK] - C[0]) W[p - 1]     (without the second term for p = 0)

An embedding that is the same at all places cannot. So ours has one number more, which is 0 for characters, and 1 for
token 0, whose other numbers are 0. d[p] is the row of W[p] for it.
"""

from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any

import numpy as np

from ..corpus import Vocab, WordList
from ..errors import InputError
from ..layers.layout import Layout
from .bigram import Bigram
from .bow import BagOfWords
from .config import NetConfig
from .mlp import MLP
from .model import Model
from .recurrent import GRUConfig, RNNConfig
from .transformer import TransformerConfig

MASKS = (".attn.bias", ".cbow.bias")  # ends of the names of buffers that are not weights
COMPILED = "_orig_mod."  # beginning of all names in a module that torch.compile has compiled
CELL = {"cell.xh_to_h.weight", "cell.xh_to_hbar.weight"}  # of an RNN or a GRU

Found = tuple[NetConfig, int, list[np.ndarray]]  # a config, the number of tokens V, the weights in the layout's order


def from_makemore(state_dict: Mapping[str, Any], words: Iterable[str], *, n_head: int = 4) -> Model:
    """Make a model with the weights, and so the logits, of a model that makemore.py has trained.

    state_dict  tensors or arrays by name, of its Transformer, BoW, MLP, Bigram, RNN or GRU: model.state_dict(), or
                torch.load("out/model.pt", weights_only=True). Nothing is unpickled here
    words       the list that it was trained on, from which it has its characters
    n_head      heads of the Transformer, which its weights do not tell: another number gives other logits

    Token 0 and the order of the characters are the same in both. Another list with as many characters passes unnoticed.
    An MLP with embeddings of E numbers becomes one with E + 1. In a word longer than the block size of a Transformer or
    a BoW, makemore.py forgets the first characters; here all further places share the last vector.

    Raises InputError for other names or shapes, for values that are not finite, for words with more or fewer different
    characters than the model knows, and for a number of heads that does not divide the size of the embedding.
    """
    config, n_vocab, params = converted(state_dict, n_head)
    listed = WordList.of(words)
    vocab = Vocab(listed.character_counts())
    if len(vocab) != n_vocab:
        raise InputError(
            f"the words have {len(vocab) - 1:,} different characters, and the model knows {n_vocab - 1:,}: "
            "give the list that it was trained on"
        )
    model = Model(config, vocab, params.astype(np.float32))
    model.longest = int(listed.lengths.max(initial=0))
    return model


def converted(state_dict: Mapping[str, Any], n_head: int = 4) -> tuple[NetConfig, int, np.ndarray]:
    """Return the config, the number of tokens and the weights, flat float64 (P,), of a state dict of makemore.py.

    Raises InputError as `from_makemore` does.
    """
    if not isinstance(state_dict, Mapping):  # type: ignore[redundant-expr]
        raise InputError(
            f"a state dict is needed, and this is of type {type(state_dict).__name__}: give model.state_dict(), or "
            "torch.load(path, weights_only=True)"
        )
    kinds: dict[str, Callable[[Tensors], Found]] = {  # by a name that no other kind has
        "transformer.wte.weight": partial(_transformer, n_head=n_head),
        "context_block.mlp.c_fc.weight": _bow,
        "mlp.0.weight": _mlp,
        "logits": _bigram,
        "cell.xh_to_h.weight": _rnn,
        "cell.xh_to_hbar.weight": _gru,
    }
    tensors = Tensors(state_dict)
    found = [kind for name, kind in kinds.items() if name in tensors.left]
    if len(found) != 1:
        names = ", ".join([*list(tensors.left)[:3], *["..."] * (len(tensors.left) > 3)]) or "none"
        raise InputError(
            f"the names of the tensors ({names}) are not those of one model of makemore.py: give the state dict "
            "of its Transformer, BoW, MLP, Bigram, RNN or GRU"
        )
    config, n_vocab, weights = found[0](tensors)
    tensors.end()
    return config, n_vocab, Layout(config.layers(n_vocab)).joined(weights)


class Tensors:
    """The tensors of a state dict, checked as they are taken.

    left    those that are not taken yet, by name
    """

    def __init__(self, state_dict: Mapping[str, Any]):
        names = {str(name).removeprefix(COMPILED): value for name, value in state_dict.items()}
        self.left = {name: value for name, value in names.items() if not name.endswith(MASKS)}

    def take(self, name: str, *shape: int | None) -> np.ndarray:
        """Take a tensor as float64; None in its shape is any size. Raises InputError if it is missing or another."""
        if name not in self.left:
            raise InputError(f"the state dict has no {name}: give all tensors of a model of makemore.py")
        value = self.left.pop(name)
        try:  # PyTorch has types that NumPy does not know, such as bfloat16, so it converts its own
            array = np.asarray(value.detach().cpu().double() if hasattr(value, "detach") else value, np.float64)
        except (TypeError, ValueError):
            raise InputError(f"{name} is of type {type(value).__name__}: it must be an array of numbers") from None
        if not np.isfinite(array).all():
            raise InputError(f"{name} has values that are not finite: the training has diverged")
        fits = array.ndim == len(shape) and all(
            own in (size, None) for own, size in zip(shape, array.shape, strict=True)
        )
        if not fits or not array.size:
            wanted = ", ".join("any" if size is None else str(size) for size in shape)
            raise InputError(
                f"{name} has the shape ({', '.join(map(str, array.shape))}), and the other tensors need ({wanted}): "
                "give the state dict of one model, unchanged"
            )
        return array

    def linear(self, name: str, n_in: int | None, n_out: int | None) -> tuple[np.ndarray, np.ndarray]:
        """Take the weights (n_in, n_out) and the bias (n_out,) of an nn.Linear."""
        weight = self.take(f"{name}.weight", n_out, n_in)
        return weight.T, self.take(f"{name}.bias", len(weight))

    def end(self) -> None:
        """Raise InputError if a tensor is left."""
        for name in self.left:
            raise InputError(f"the state dict also has {name}, which is not in makemore.py: give that of its own model")


def _transformer(tensors: Tensors, n_head: int) -> Found:
    n_layer = sum(name.endswith(".ln_1.weight") for name in tensors.left)
    C = tensors.take("transformer.wte.weight", None, None)
    V, E = C.shape
    if not (isinstance(n_head, int) and n_head > 0 and E % n_head == 0):  # type: ignore[redundant-expr]
        raise InputError(
            f"n_head is {n_head}, and must divide {E}, the size of the embedding: give that of the training"
        )

    def norm(name: str) -> list[np.ndarray]:
        return [tensors.take(f"{name}.{part}", E) for part in ("weight", "bias")]

    P = tensors.take("transformer.wpe.weight", None, E)
    found = [C, P]
    for block in (f"transformer.h.{number}" for number in range(n_layer)):
        found += norm(f"{block}.ln_1")
        found += tensors.linear(f"{block}.attn.c_attn", E, 3 * E)
        found += tensors.linear(f"{block}.attn.c_proj", E, E)
        found += norm(f"{block}.ln_2")
        found += tensors.linear(f"{block}.mlp.c_fc", E, 4 * E)
        found += tensors.linear(f"{block}.mlp.c_proj", 4 * E, E)
    found += [*norm("transformer.ln_f"), tensors.take("lm_head.weight", V, E).T, np.zeros(V)]
    return TransformerConfig(n_layer=n_layer, n_head=n_head, n_embd=E, n_positions=len(P), dropout=0.0), V, found


def _bow(tensors: Tensors) -> Found:
    C = tensors.take("wte.weight", None, None)
    V, E = C.shape
    P = tensors.take("wpe.weight", None, E)
    W, b = tensors.linear("context_block.mlp.c_fc", E, None)
    H = len(b)
    found = [C, P, W, b, *tensors.linear("context_block.mlp.c_proj", H, E), *tensors.linear("lm_head", E, V)]
    return BagOfWords(n_embd=E, n_hidden=H, n_positions=len(P)), V, found


def _mlp(tensors: Tensors) -> Found:
    """See the top of the file."""
    C = tensors.take("wte.weight", None, None)
    V, E = len(C) - 1, C.shape[1]
    stacked, b = tensors.linear("mlp.0", None, None)
    T, H = max(len(stacked) // E, 1), len(b)
    if len(stacked) != T * E:
        raise InputError(
            f"mlp.0.weight takes {len(stacked)} numbers, not a multiple of the {E} of an embedding: "
            "give the state dict of one model, unchanged"
        )
    W, start, blank = stacked.reshape(T, E, H)[::-1], C[0], C[V]
    d = start @ W  # (T, H)
    d[1:] += (blank - start) @ W[:-1]
    wide_C, wide_W = np.zeros((V, E + 1)), np.zeros((T, E + 1, H))
    wide_C[1:, :E], wide_C[0, E] = C[1:V], 1
    wide_W[:, :E], wide_W[:, E] = W, d
    found = [wide_C, wide_W.reshape(-1, H), b, *tensors.linear("mlp.2", H, V)]
    return MLP(n_embd=E + 1, n_hidden=H, block_size=T), V, found


def _bigram(tensors: Tensors) -> Found:
    logits = tensors.take("logits", None, None)
    V = len(logits)
    if logits.shape != (V, V):
        raise InputError(f"logits has the shape {logits.shape}: it must have a row and a column for each character")
    return Bigram(), V, [logits]


def _rnn(tensors: Tensors) -> Found:
    (V, E, H), embedding, rest = _around_cell(tensors)
    W, U, b = _gate(tensors, "h", E, H)
    return RNNConfig(n_embd=E, n_hidden=H, dropout=0.0, learn_start=True), V, [*embedding, W, b, U, *rest]


def _gru(tensors: Tensors) -> Found:
    (V, E, H), embedding, rest = _around_cell(tensors)
    (Wr, Ur, br), (Wz, Uz, bz), (Wn, Un, bn) = (_gate(tensors, name, E, H) for name in ("r", "z", "hbar"))
    W, U, b = np.hstack([Wr, -Wz, Wn]), np.hstack([Ur, -Uz]), np.hstack([br, -bz, bn])
    config = GRUConfig(n_embd=E, n_hidden=H, dropout=0.0, learn_start=True, reset="before")
    return config, V, [*embedding, W, b, U, Un, *rest]


def _around_cell(tensors: Tensors) -> tuple[tuple[int, int, int], list[np.ndarray], list[np.ndarray]]:
    """Take all but the gates of an RNN or a GRU: sizes (V, E, H); embedding; first state and the layer of logits."""
    C, start = tensors.take("wte.weight", None, None), tensors.take("start", 1, None)[0]
    (V, E), H = C.shape, len(start)
    return (V, E, H), [C], [start, *tensors.linear("lm_head", H, V)]


def _gate(tensors: Tensors, name: str, E: int, H: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Take a gate: weights of x (E, H) and of h (H, H), and the bias (H,)."""
    weight, bias = tensors.linear(f"cell.xh_to_{name}", E + H, H)
    return weight[:E], weight[E:], bias
