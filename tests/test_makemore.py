"""Models from the state dicts of makemore.py, against modules with its names and formulas."""

import subprocess
import sys
from typing import Any

import numpy as np
import pytest
import torch
from makemore_modules import (
    MakemoreBigram,
    MakemoreBoW,
    MakemoreGRU,
    MakemoreMLP,
    MakemoreRNN,
    MakemoreTransformer,
)

import moreish
from moreish import InputError
from moreish.engine.tape import PrefixTape, Tape, WordTape
from moreish.models.makemore import converted
from moreish.models.recurrent import RecurrentConfig

LETTERS = "abcdeg"
V, E, H, T = len(LETTERS) + 1, 8, 5, 6
WORDS = ["bad", "egged", "a", "cabba", "ebb", "dada"]
LONGER = [*WORDS, "cabbageabbagged", "dadadada"]  # than the block size
pytestmark = pytest.mark.usefixtures("one_torch_thread")

MODULES: dict[str, Any] = {
    "transformer": MakemoreTransformer,
    "transformer, two heads": lambda *sizes: MakemoreTransformer(*sizes, n_head=2, n_layer=1),
    "bow": MakemoreBoW,
    "mlp": MakemoreMLP,
    "bigram": MakemoreBigram,
    "rnn": MakemoreRNN,
    "gru": MakemoreGRU,
}


def random_module(name, *sizes):
    """A module with random weights, of which none is at its initial 0 or 1."""
    torch.manual_seed(3)
    module = MODULES[name](*(sizes or (V, E, H, T)))
    for parameter in module.parameters():
        torch.nn.init.normal_(parameter, std=0.7)
    return module.double()


def heads_of(name):
    return {"n_head": 2} if "two heads" in name else {}


def words_for(name):
    return WORDS if name.startswith(("transformer", "bow")) else LONGER


def logits_by(module, word):
    """The logits after each prefix of a word, (1 + characters, V)."""
    tokens = [0, *(1 + LETTERS.index(c) for c in word)]
    return module(torch.tensor([tokens])).detach().numpy()[0]


def log_softmax(logits):
    return logits - np.log(np.exp(logits).sum(-1, keepdims=True))


@pytest.mark.parametrize("name", MODULES)
def test_the_logits_are_those_of_makemore(name):
    """In float64, after every prefix."""
    module = random_module(name)
    config, n_vocab, params = converted(module.state_dict(), **heads_of(name))
    engine: Any = Tape if config.context else WordTape if isinstance(config, RecurrentConfig) else PrefixTape
    reader = engine(config.layers(n_vocab), config.context or 1, n_vocab, np.float64)
    for word in words_for(name):
        states = [reader.begin(params)]
        for c in word:
            states.append(reader.after(params, states[-1], np.array([1 + LETTERS.index(c)])))
        found = np.concatenate([reader.logits(params, state) for state in states])
        np.testing.assert_allclose(found, logits_by(module, word), rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("name", MODULES)
def test_a_model_scores_and_draws_as_makemore_does(name):
    module = random_module(name).float()
    model = moreish.from_makemore(module.state_dict(), WORDS, **heads_of(name))
    assert model.name == name.split(",")[0]
    assert model.vocab.characters == LETTERS
    assert model.longest == 5
    for word in words_for(name):
        logp = log_softmax(logits_by(module, word))
        tokens = [*(1 + LETTERS.index(c) for c in word), 0]
        np.testing.assert_allclose(model.score(word).per_char, -logp[np.arange(len(tokens)), tokens], rtol=2e-5)
        p = model.next(word)
        assert list(p) == ["", *LETTERS]
        np.testing.assert_allclose(list(p.values()), np.exp(logp[-1]), rtol=2e-5)
    drawn = model.sample(5, seed=2)
    assert len(drawn) == 5
    assert set("".join(drawn)) <= set(LETTERS)


@pytest.mark.parametrize("name", MODULES)
def test_arrays_and_tensors_of_any_type_are_read(name):
    state = {key: tensor.bfloat16().requires_grad_() for key, tensor in random_module(name).state_dict().items()}
    arrays = {key: tensor.detach().float().numpy() for key, tensor in state.items()}
    ours, same = (moreish.from_makemore(of, WORDS, **heads_of(name)) for of in (state, arrays))
    assert ours.config == same.config
    np.testing.assert_array_equal(ours.params, same.params)
    assert np.abs(ours.params).max() > 0.5


def test_arrays_are_read_without_torch():
    code = (
        "import sys\nsys.modules['torch'] = None\nimport numpy as np, moreish\n"
        "print(moreish.from_makemore({'logits': np.eye(3)}, ['ab', 'b']).params.tolist())"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == str(np.eye(3).ravel().tolist())


def without(name, key):
    state = random_module(name).state_dict()
    del state[key]
    return state


def with_tensor(name, key, tensor):
    return random_module(name).state_dict() | {key: tensor}


WRONG: dict[str, Any] = {
    "this is of type MakemoreBigram: give model.state_dict()": (lambda: random_module("bigram"), {}),
    "the names of the tensors (weight, bias) are not": (lambda: torch.nn.Linear(2, 3).state_dict(), {}),
    "the names of the tensors (none) are not those of one model of makemore.py": (dict, {}),
    "the names of the tensors (wte.weight, wpe.weight, lm_head.weight, ...) are not": (
        lambda: with_tensor("bow", "logits", torch.eye(V)),
        {},
    ),
    "the state dict has no transformer.h.1.ln_2.bias": (
        lambda: without("transformer", "transformer.h.1.ln_2.bias"),
        {},
    ),
    "the state dict also has lm_head.bias": (lambda: with_tensor("transformer", "lm_head.bias", torch.ones(V)), {}),
    "context_block.mlp.c_proj.weight has the shape (8, 4), and the other tensors need (8, 5)": (
        lambda: with_tensor("bow", "context_block.mlp.c_proj.weight", torch.ones(8, 4)),
        {},
    ),
    "wte.weight has the shape (7), and the other tensors need (any, any)": (
        lambda: with_tensor("gru", "wte.weight", torch.ones(7)),
        {},
    ),
    "start has the shape (1, 0)": (lambda: with_tensor("rnn", "start", torch.ones(1, 0)), {}),
    "mlp.0.weight takes 47 numbers, not a multiple of the 8": (
        lambda: with_tensor("mlp", "mlp.0.weight", torch.ones(H, 47)),
        {},
    ),
    "logits has the shape (7, 6)": (lambda: {"logits": np.ones((7, 6))}, {}),
    "logits is of type str: it must be an array of numbers": (lambda: {"logits": "abc"}, {}),
    "n_head is 3, and must divide 8, the size of the embedding": (
        lambda: random_module("transformer").state_dict(),
        {"n_head": 3},
    ),
    "n_head is 0, and must divide 8": (lambda: random_module("transformer").state_dict(), {"n_head": 0}),
    "the words have 3 different characters, and the model knows 6": (
        lambda: random_module("gru").state_dict(),
        {"words": ["abc"]},
    ),
    "the words have 0 different characters": (lambda: random_module("gru").state_dict(), {"words": []}),
    "'abcdeg' is a single string": (lambda: random_module("gru").state_dict(), {"words": "abcdeg"}),
}


@pytest.mark.parametrize("says", WRONG)
def test_a_state_dict_that_does_not_fit_is_refused_in_one_line(says):
    make, arguments = WRONG[says][0], dict(WRONG[says][1])
    with pytest.raises(InputError) as caught:
        moreish.from_makemore(make(), arguments.pop("words", WORDS), **arguments)
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)
