"""The compiled machine: closed forms of what it computes, and that nothing compiles twice."""

import itertools
import json
import math
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numba.core import event

import moreish
from moreish import Corpus, Model, Vocab
from moreish.engine.batches import windows
from moreish.engine.tape import Tape
from moreish.engine.tape.machine import WINDOWS_PER_GROUPING
from moreish.layers.layout import Layout
from moreish.models import MLP, MODELS, NETS, BigramCounts


def test_softmax_of_zeros_costs_log_v():
    vocab = Vocab("abcdef")
    model = Model(MLP(init="zero"), vocab)
    assert (model.params == 0).all()
    assert model.nll(vocab.stream(["abc", "f"])) == pytest.approx([math.log(7)] * 6, rel=1e-6)


def test_the_default_init_starts_at_about_log_v_and_the_naive_one_far_above(corpus):
    stream = corpus.stream("train")
    default = Model(MLP(), corpus.vocab).nll(stream).mean()
    naive = Model(MLP(init="naive"), corpus.vocab).nll(stream).mean()
    assert default == pytest.approx(math.log(len(corpus.vocab)), rel=0.1)
    assert naive > 3 * default


def test_bigram_counts_are_the_counts(corpus):
    for smoothing in (1.0, 0.25):
        counts = np.full((len(corpus.vocab), len(corpus.vocab)), smoothing)
        for word in corpus.parts["train"]:
            tokens = [0, *corpus.vocab.encode(word), 0]
            for a, b in itertools.pairwise(tokens):
                counts[a, b] += 1
        p = counts / counts.sum(axis=1, keepdims=True)
        stream = corpus.stream("val")
        run = moreish.train(corpus, "bigram-counts", added=smoothing)
        np.testing.assert_allclose(run.model.nll(stream), -np.log(p[stream[:-1], stream[1:]]), rtol=1e-5)
        assert run.loss["val"] == pytest.approx(-np.log(p[stream[:-1], stream[1:]]).mean(), rel=1e-5)


def markov_words(n: int, transition: np.ndarray, seed: int) -> list[str]:
    """Words from a Markov source: transition (V, V) over tokens, of which 0 is the end."""
    generator, words = np.random.default_rng(seed), []
    while len(words) < n:
        token, word = 0, ""
        while True:
            token = int(generator.choice(len(transition), p=transition[token]))
            if token == 0:
                break
            word += "abcdefgh"[token - 1]
        words.append(word)
    return words


def test_a_markov_source_is_learnt_to_its_entropy():
    """On average no model is better than the entropy of the source, and a good one is close to it."""
    transition = np.array(
        [
            [0.0, 0.5, 0.3, 0.2],
            [0.3, 0.1, 0.5, 0.1],
            [0.2, 0.5, 0.1, 0.2],
            [0.4, 0.2, 0.2, 0.2],
        ]
    )
    corpus = Corpus(markov_words(20_000, transition, seed=1))
    values, vectors = np.linalg.eig(transition.T)
    stationary = np.real(vectors[:, np.argmax(np.real(values))])
    stationary /= stationary.sum()
    logs = np.log(transition, where=transition > 0, out=np.zeros_like(transition))
    entropy = -(stationary[:, None] * transition * logs).sum()
    trainings: list[tuple[str, dict[str, Any]]] = [
        ("bigram-counts", {}),
        ("mlp", {"block_size": 3, "epochs": 8.0, "lr": 0.005}),
    ]
    for model, options in trainings:
        run = moreish.train(corpus, model, **options)
        test = corpus.stream("test")
        error = float(np.std(run.model.nll(test))) / math.sqrt(len(test))
        assert run.loss["test"] == pytest.approx(entropy, abs=4 * error)


def some_model(name: str, alphabet: str) -> Model:
    """A model by name, with random weights or counted on random words."""
    if name in NETS:
        return Model(MODELS[name](), Vocab(alphabet), seed=3)
    generator = np.random.default_rng(3)
    return moreish.train(["".join(generator.choice(list(alphabet), 9)) for _ in range(200)], name).model


@pytest.mark.parametrize("name", MODELS)
def test_predictions_do_not_see_what_comes_after(name):
    model = some_model(name, "abcde")
    one, other = model.score("abcdea").per_char, model.score("abcdbb").per_char
    assert one[:4] == other[:4]
    assert one[5] != other[5]


@pytest.mark.parametrize("name", MODELS)
def test_predictions_are_distributions(name):
    """After any context the probabilities of all characters and of the end sum to one."""
    model = some_model(name, "abcd")
    for prefix in ("", "a", "cab", "abcdabcd"):
        ends = model.score(prefix + "a").per_char[len(prefix)] if prefix else model.score("a").per_char[0]
        total = math.exp(-ends)
        total += sum(math.exp(-model.score(prefix + c).per_char[len(prefix)]) for c in "bcd")
        if prefix:
            total += math.exp(-model.score(prefix).per_char[-1])
        else:
            total += math.exp(-model.nll(np.array([0, 0], np.int32))[0])
        assert total == pytest.approx(1, rel=1e-5)


def test_the_loss_of_a_word_does_not_depend_on_its_neighbours(corpus):
    model = Model(MLP(), corpus.vocab, seed=4)
    words = corpus.parts["val"]
    together = model.nll(corpus.stream("val"))
    alone = np.concatenate([model.score(word).per_char for word in words])
    np.testing.assert_allclose(together, alone, rtol=1e-5)


class CountCompilations(event.Listener):
    def __init__(self):
        self.count = 0

    def on_start(self, event):
        self.count += 1

    def on_end(self, event):
        pass


def test_nothing_recompiles_when_sizes_and_options_change(words):
    """After one run, no width, depth, batch size, rate, optimizer state, alphabet or list makes Numba compile again."""
    for optimizer in ("adamw", "sgd"):
        for batch_size in (8, 200):
            moreish.train(words, steps=3, batch_size=batch_size, optimizer=optimizer).model.sample(3)
    moreish.train(words, steps=3, activation="relu")
    other = ["".join(reversed(word)).upper() + "é日" for word in words]
    listener = CountCompilations()
    with event.install_listener("numba:compile", listener):
        for data in (words, other):
            several: list[dict[str, Any]] = [
                {"n_hidden": 33, "n_embd": 7, "block_size": 2},
                {"n_layer": 4, "lr": 0.3, "optimizer": "sgd", "schedule": "cosine"},
                {"batch_size": 301, "activation": "relu", "weight_decay": 0.5},
            ]
            for options in several:
                run = moreish.train(data, steps=5, **options)
                run.model.sample(5, temperature=0.5, top_k=3)
                run.model.score(data[0])
    assert listener.count == 0
    with event.install_listener("numba:compile", listener):
        from moreish.layers.maths import kernel

        kernel(lambda x: x + 1)(1)
    assert listener.count > 0, "the listener sees compilations"


def test_bigram_counts_score_a_pair_by_its_frequency():
    run = moreish.train(["ab"] * 100, "bigram-counts", added=1e-9)
    assert run.model.score("ab").per_char == pytest.approx([0, 0, 0], abs=1e-6)
    assert run.model.score("ba").nll > 10
    assert BigramCounts(added=1e-9) == run.model.config


def test_the_same_code_runs_uncompiled(words):
    """With NUMBA_DISABLE_JIT the kernels are plain Python, for a debugger, and compute the same."""
    code = (
        "import sys, numpy, moreish\n"
        "from moreish.engine.batches import Batches\n"
        "from moreish.engine.optim import zero_moments\n"
        "from moreish.engine.protocol import Steps\n"
        "from moreish.engine.tape import Tape\n"
        "words = sys.argv[1].split()\n"
        "run = moreish.train(words, steps=3, batch_size=8, n_hidden=9, keep='last', lr=0.1)\n"
        "print(run.loss['train'], *run.model.sample(5))\n"
        "model, V, stream = run.model, len(run.corpus.vocab), run.corpus.stream('train')\n"
        "tape = Tape(model.layers, model.config.context, V, shards=2)\n"
        "batches = Batches.drawn(stream, 64, 1, model.config.context, whole_words=False)\n"
        "moments = zero_moments('sgd', model.layout.n_trained)\n"
        "print(tape.train(model.params, moments, batches, Steps('sgd', 0.01, 0, numpy.full(3, 0.1)))[-1])\n"
        "small = dict(block_size=4, n_embd=3, n_hidden=5, steps=3)\n"
        "for model, options in (('ngram', {'order': 3}), ('wavenet', small), ('wavenet-conv', small)):\n"
        "    run = moreish.train(words, model, **options)\n"
        "    print(run.loss['train'], *run.model.sample(3, max_length=9))\n"
    )
    printed = []
    for disabled in ("0", "1"):
        command = [sys.executable, "-W", "error", "-c", code, " ".join(words[:60])]
        environment = {**os.environ, "NUMBA_DISABLE_JIT": disabled}
        done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=100)
        assert done.returncode == 0, done.stderr
        printed.append([line.split() for line in done.stdout.splitlines()])
    for compiled, plain in zip(*printed, strict=True):
        assert float(compiled[0]) == pytest.approx(float(plain[0]), rel=1e-5)
        assert compiled[1:] == plain[1:]


@pytest.mark.parametrize("T", [1, 3])
def test_a_long_stream_has_the_nll_of_each_of_its_windows(T):
    """Equal contexts are computed once among the windows that are grouped together; here there are several groups."""
    generator, V = np.random.default_rng(5), 4
    stream = np.append(generator.integers(0, V, 2 * WINDOWS_PER_GROUPING + 1000), 0).astype(np.int32)
    stream[0] = 0
    layers = MLP(block_size=T, n_embd=3, n_hidden=5).layers(V)
    tape, params = Tape(layers, T, V, np.float64), Layout(layers).initial(2, np.float64)
    params += 0.3 * generator.standard_normal(params.size)
    contexts, targets = np.zeros((len(stream) - 1, T), np.int64), np.zeros(len(stream) - 1, np.int64)
    windows(stream, 1, len(targets), contexts, targets)
    different, of_which = np.unique(contexts, axis=0, return_inverse=True)
    logits = tape.logits(params, different)
    expected = np.log(np.exp(logits).sum(1))[of_which.ravel()] - logits[of_which.ravel(), targets]
    np.testing.assert_allclose(tape.nll(params, stream), expected, rtol=1e-12)


def test_code_from_the_cache_computes_what_new_code_computes(tmp_path):
    """A kernel that was linked in this process may differ from the one that the cache has."""
    code = (
        "import sys, pathlib, json, moreish\n"
        "from moreish.engine.tape import compile\n"
        "compile.cache_folder = lambda: pathlib.Path(sys.argv[1])\n"
        "words = [a + b + c for a in 'abcdefg' for b in 'aeiou' for c in 'lmnrst']\n"
        "run = moreish.train(words, 'mlp', batch_norm=True, batch_size=256, steps=20, keep='last')\n"
        "print(json.dumps([run.loss['train'], *map(float, run.model.params)]))\n"
    )
    printed, began = [], 0.0
    for _ in range(2):
        began = time.time()
        done = subprocess.run([sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, timeout=300)
        assert done.returncode == 0, done.stderr
        printed.append(json.loads(done.stdout))
    kept = list(tmp_path.rglob("*.nbc"))
    assert kept
    assert max(path.stat().st_mtime for path in kept) < began, "the second time nothing is compiled"
    assert printed[0] == printed[1]


def test_compiled_code_of_other_sources_is_removed():
    code = "from moreish.engine.tape.cache import cache_folder; print(cache_folder())"

    def cache_folder() -> Path:
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=100)
        return Path(done.stdout.strip())

    folder = cache_folder()
    stale = folder.with_name("kernels-of-other-sources")
    stale.mkdir()
    (stale / "compiled").touch()
    assert cache_folder() == folder
    assert folder.exists()
    assert not stale.exists()
