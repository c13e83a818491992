"""A net with an n-gram inside, while it is trained. What it becomes is a mixture of both, like any other.

The net's logits get a multiple of the n-gram's log-probabilities (see `layers.ngram_loss`). So the whole is the
log-linear mixture of the net with the weight 1 and the n-gram with this multiple as its weight.
"""

import numpy as np

from ..corpus import Vocab
from ..engine.protocol import Reader
from ..layers import NGramCrossEntropy
from ..layers.layout import Layout
from ..layers.ngram_loss import strength_of
from .config import NetConfig
from .mixture import Mixture, of_part
from .model import Model
from .ngram import NGram

NET, INSIDE = 0, 1  # the numbers of the parts


class NGramInside(Model):
    """A net over whole words, and the n-gram inside it.

    config  that of the mixture; its parts are the net and the n-gram, with fitted smoothing and no minimum count
    ngram   the n-gram's arrays by name
    net     the net's config
    params  the net's weights, and the logarithm of the n-gram's weight, flat

    Raises KeyError or ValueError if they do not fit together.
    """

    def __init__(self, config: Mixture, vocab: Vocab, ngram: dict[str, np.ndarray], seed: int = 42):
        match config.kind, config.configs:
            case "log-linear", [NetConfig(context=None) as net, NGram(smoothing="fitted", at_least=1) as inside]:
                self.net = net
            case _:
                raise ValueError("it is not a net over whole words with an n-gram inside")
        strengths = ngram["strengths"]
        if strengths.shape != (3, inside.order) or not (np.isfinite(strengths).all() and (strengths > 0).all()):
            raise ValueError("its strengths are not those of an n-gram with fitted smoothing")
        self.ngram = Model(inside, vocab, arrays=ngram)
        self.ngram.check()
        super().__init__(config, vocab, np.zeros(0, np.float32), arrays=ngram)
        self.config: Mixture = config
        self.layers = net.layers(len(vocab))
        self.layout = Layout([*self.layers, NGramCrossEntropy(len(vocab))])
        self.params = self.layout.initial(seed)

    @property
    def columns(self) -> int:
        return 1

    @property
    def weights(self) -> dict[str, np.ndarray]:
        """The arrays of the mixture by name."""
        of_parts: dict[int, dict[str, np.ndarray]] = {
            NET: Layout(self.layers).views(self.params[:-1]),
            INSIDE: self.arrays,
        }
        named = {f"part{i}.{name}": array for i, arrays in of_parts.items() for name, array in arrays.items()}
        return {**named, "n_vocab": np.array([len(self.vocab)]), "weights": np.array([1.0, strength_of(self.params)])}

    @property
    def n_parameters(self) -> int:
        return self.config.n_parameters(self.weights)

    @property
    def engine(self) -> Reader:  # pyright: ignore[reportIncompatibleVariableOverride]
        return self.config.reader(self.weights, len(self.vocab))

    @classmethod
    def of(cls, mixture: Model) -> "NGramInside":
        """Return the net and the n-gram of a mixture that `finished` returned; the net's weights are new ones."""
        assert isinstance(mixture.config, Mixture)
        return cls(mixture.config, mixture.vocab, of_part(mixture.arrays, INSIDE))

    def finished(self) -> Model:
        """Return the mixture, with a copy of the current weights."""
        mixture = Model(self.config, self.vocab, arrays={name: array.copy() for name, array in self.weights.items()})
        mixture.longest, mixture.corpus = self.longest, self.corpus
        return mixture
