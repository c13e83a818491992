"""Threads: that no result depends on how many there are, that they share the cores, and that none waits for ever."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import moreish
from moreish import InputError, get_threads, set_threads, threads
from moreish.cli import run
from moreish.counts import automaton, windows
from moreish.counts.pieces import LOOK, pieces_of
from moreish.counts.windows import count_windows
from moreish.layers import Layer, SoftmaxCrossEntropy
from moreish.layers.layout import Layout
from moreish.models import MLP, NETS, WaveNet, WaveNetConv
from moreish.optim import OPTIMIZERS, zero_moments
from moreish.tape import Batches, Draw, Steps, Tape, engine
from moreish.tape.parts import EXAMPLES, MOST, part_of, parts_of
from moreish.tape.plan import make_plan
from moreish.threads import borrowed, cores, side_by_side

SMALL: Any = {"n_embd": 5, "n_hidden": 22}
CONFIGS = {
    "mlp": MLP(block_size=3, **SMALL),
    "mlp, 5 tokens, BatchNorm": MLP(block_size=5, n_layer=2, batch_norm=True, **SMALL),
    "wavenet": WaveNet(block_size=4, **SMALL),
    "wavenet-conv": WaveNetConv(block_size=4, **SMALL),
}


@pytest.fixture(autouse=True)
def _limit():
    yield
    set_threads(None)


def recorded(monkeypatch, module) -> list[int]:
    """How many calls a module from now on makes side by side, each time."""
    made: list[int] = []

    def noted(calls):
        made.append(len(calls))
        return side_by_side(calls)

    monkeypatch.setattr(module, "side_by_side", noted)
    return made


def in_parts(monkeypatch, parts: int) -> None:
    monkeypatch.setattr(engine, "parts_of", lambda *arguments: parts)


@given(st.integers(1, 700), st.integers(1, 20))
def test_the_parts_of_a_batch_are_all_of_it(B, parts):
    bounds = [part_of(B, parts, part) for part in range(parts)]
    assert bounds[0][0] == 0
    assert bounds[-1][1] == B
    assert all(a[1] == b[0] for a, b in pairwise(bounds))
    assert max(b - a for a, b in bounds) - min(b - a for a, b in bounds) <= 32


@pytest.mark.parametrize("name", NETS)
def test_no_part_is_too_small_to_be_worth_it(name):
    sizes = (1, 32, 256, 1024, 1 << 16)
    config = NETS[name]()
    counts = [parts_of([*config.layers(27), SoftmaxCrossEntropy(27)], B, config.context) for B in sizes]
    assert counts[0] == 1
    assert counts == sorted(counts)
    assert counts[-1] <= MOST
    assert all(n == 1 or n * EXAMPLES <= B for n, B in zip(counts, sizes, strict=True))


def test_two_threads_have_work_from_these_sizes_on():
    of_mlp = [*MLP(block_size=4, n_embd=10, n_hidden=200).layers(27), SoftmaxCrossEntropy(27)]
    of_tree = [*WaveNet(block_size=8, n_embd=24, n_hidden=128).layers(27), SoftmaxCrossEntropy(27)]
    assert [parts_of(of_mlp, B, 4) for B in (32, 64)] == [1, 1], "one thread is faster"
    assert parts_of(of_mlp, 256, 4) >= 2
    assert parts_of(of_tree, 128, 8) >= 2


def gradients(layers: list[Layer], batches: Batches, context: int, V: int) -> tuple[float, np.ndarray, np.ndarray]:
    """Loss, gradients and what is kept beside them, in float64, from one batch."""
    params = Layout(layers).initial(1, np.float64)
    params += 0.1 * np.random.default_rng(2).standard_normal(params.size)
    batch = batches.room(context)
    batches.fill(3, *batch)
    return *Tape(layers, context, V, np.float64).loss_and_grads(params, *batch), params


@pytest.mark.parametrize("B", [97, 250])
@pytest.mark.parametrize("name", CONFIGS)
def test_the_gradients_of_all_parts_are_those_of_the_whole(name, B, corpus, monkeypatch):
    config, V = CONFIGS[name], len(corpus.vocab)
    batches = Batches.drawn(corpus.stream("train"), B, 1, config.context, config.whole_words)
    whole = gradients(config.layers(V), batches, config.context, V)
    for parts in (2, 3, 5):
        kinds = {op.name for op in make_plan(config.layers(V), (B, config.context, 1), parts=parts).operations}
        assert "LookupLinear" in kinds or name == "wavenet-conv" or B == 97, "the fused kernel is to be among them"
        in_parts(monkeypatch, parts)
        loss, grads, _ = gradients(config.layers(V), batches, config.context, V)
        assert loss == pytest.approx(whole[0], rel=1e-12)
        np.testing.assert_allclose(grads, whole[1], rtol=1e-9, atol=1e-12)
        assert np.abs(whole[1]).max() > 1e-3


def trained(config, corpus, batches, optimizer: str, dtype: type, steps: int = 12) -> list[np.ndarray]:
    """Losses, weights and moments after some steps."""
    layers = config.layers(len(corpus.vocab))
    layout = Layout(layers)
    params, moments = layout.initial(1, dtype), zero_moments(optimizer, layout.n_trained, dtype)
    tape = Tape(layers, config.context, len(corpus.vocab), dtype)
    losses = tape.train(params, moments, batches, Steps(optimizer, 0.01, 0, np.full(steps, 0.05)))
    assert losses[-1] < losses[0]
    return [losses, params, moments]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("name", CONFIGS)
def test_training_is_the_same_bit_for_bit_by_any_number_of_threads(name, optimizer, dtype, corpus, monkeypatch):
    in_parts(monkeypatch, 5)
    config = CONFIGS[name]
    batches = Batches.drawn(corpus.stream("train"), 250, 1, config.context, config.whole_words)
    found, made = [], recorded(monkeypatch, engine)
    for n in (1, 2, 3, 5, 8):
        set_threads(n)
        found.append(trained(config, corpus, batches, optimizer, dtype))
    assert made == [1, 2, 3, 5, 5], "a thread has at least one part"
    for other in found[1:]:
        for one, another in zip(found[0], other, strict=True):
            assert np.array_equal(one, another)


def test_the_gradient_over_all_data_is_the_same_too(corpus, monkeypatch):
    config, found = CONFIGS["mlp"], []
    batches = Batches.of_all(corpus.stream("train"), config.context)
    for parts, n in ((1, 1), (3, 1), (3, 3)):
        in_parts(monkeypatch, parts)
        set_threads(n)
        found.append(trained(config, corpus, batches, "sgd", np.float64))
    np.testing.assert_allclose(found[1][1], found[0][1], rtol=1e-9, atol=1e-12)
    assert np.array_equal(found[2][1], found[1][1])


def test_a_loss_that_is_not_finite_stops_all_threads(corpus, monkeypatch):
    in_parts(monkeypatch, 3)
    config, layers, found = CONFIGS["mlp"], CONFIGS["mlp"].layers(len(corpus.vocab)), []
    for n in (1, 3):
        set_threads(n)
        params = Layout(layers).initial(1)
        moments = zero_moments("sgd", Layout(layers).n_trained)
        batches = Batches.drawn(corpus.stream("train"), 150, 1, config.context, whole_words=False)
        rates = np.r_[np.full(4, 0.1), np.full(30, 1e30)]
        losses = Tape(layers, 3, len(corpus.vocab)).train(params, moments, batches, Steps("sgd", 0.0, 0, rates))
        assert not np.isfinite(losses[-1])
        assert 4 < len(losses) < 34
        found.append(losses)
    assert np.array_equal(*found, equal_nan=True)


def test_evaluating_and_sampling_are_the_same_by_any_number_of_threads(corpus, monkeypatch):
    monkeypatch.setattr(engine, "EVALUATION_PIECE", 100)
    monkeypatch.setattr(engine, "GENERATION_PIECE", 10)
    monkeypatch.setattr(automaton, "PIECE", 100)
    models = [moreish.train(corpus, name, steps=30).model for name in ("mlp", "wavenet")]
    models.append(moreish.train(corpus, "ngram").model)
    in_engine, in_automaton = recorded(monkeypatch, engine), recorded(monkeypatch, automaton)
    for model in models:
        found: list[Any] = []
        for n in (1, 2, 5):
            set_threads(n)
            found.append((model.nll(corpus.stream("train")), list(model.sample(100, seed=3, max_length=9))))
        for nll, words in found[1:]:
            assert np.array_equal(nll, found[0][0])
            assert words == found[0][1]
    assert in_engine == [1, 2, 5, 1, 1, 2, 2, 5, 5], "the mlp knows few contexts, and draws from a table of them"
    assert in_automaton == [1, 2, 5]
    set_threads(3)
    engine_of = models[0].engine
    all_at_once = engine_of.generate(models[0].params, 70, Draw(seed=4, first=5))
    set_threads(1)
    assert np.array_equal(all_at_once, engine_of.generate(models[0].params, 70, Draw(seed=4, first=5)))


@pytest.mark.parametrize("at_least", [1, 3])
def test_counting_is_the_same_by_any_number_of_threads(at_least, corpus, monkeypatch):
    monkeypatch.setattr(windows, "PIECE", 100)
    stream, found = corpus.stream("train"), []
    for n in (1, 2, 5):
        set_threads(n)
        counted = count_windows(stream, 4, len(corpus.vocab), at_least)
        found.append((counted.counts, counted.lengths, *(counted.at(place) for place in range(4))))
    for other in found[1:]:
        assert all(np.array_equal(a, b) for a, b in zip(found[0], other, strict=True))
    assert found[0][0].sum() == len(stream) - 1
    most = len(found[0][0])  # as many as fit: no thread may have them all, and together they are still counted
    set_threads(2)
    made = recorded(monkeypatch, windows)
    again = count_windows(stream, 4, len(corpus.vocab), at_least, memory=most * 4 * windows.PER_TOKEN)
    assert np.array_equal(again.counts, found[0][0])
    assert made[0] == 2
    assert len(made) > 2 or at_least > 1, "there were several rounds"


@given(st.lists(st.integers(0, 3), max_size=60), st.integers(1, 7))
def test_pieces_are_of_whole_words_and_all_there_is(tokens, n):
    stream = np.array([0, *tokens, 0], np.int32)
    pieces = pieces_of(stream, n)
    assert len(pieces) <= n
    assert pieces[0][0] == 0
    assert pieces[-1][1] == len(stream) - 1
    assert all(a[1] == b[0] for a, b in pairwise(pieces))
    assert all(stream[a] == 0 == stream[b] for a, b in pieces)


def test_a_word_longer_than_what_is_looked_through_is_one_piece():
    stream = np.zeros(3 * LOOK, np.int32)
    stream[5:-1] = 1
    assert pieces_of(stream, 4) == [(0, len(stream) - 1)]
    assert pieces_of(stream[:-1], 4) == [(0, len(stream) - 2)], "or where no end token stands"


def test_what_is_borrowed_is_not_there_for_others():
    set_threads(3)
    with borrowed(2) as first, borrowed(9) as second, borrowed(9) as third:
        assert (first, second, third) == (2, 1, 1), "each of them counts, and none waits"
    with borrowed(9) as all_of_them, borrowed(5) as alone:
        assert (all_of_them, alone) == (3, 1)
    with pytest.raises(RuntimeError), borrowed(3):
        raise RuntimeError
    with borrowed(3) as again, borrowed(0) as none:
        assert (again, none) == (3, 1)


def test_there_are_as_many_threads_as_cores_unless_said_otherwise(monkeypatch, tmp_path):
    monkeypatch.setattr(threads, "QUOTA", tmp_path / "cpu.max")
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: set(range(6)), raising=False)
    for quota, expected in (
        (None, 6),
        ("max 100000", 6),
        ("250000 100000", 2),
        ("50000 100000", 1),
        ("9900000 100000", 6),
    ):
        if quota is not None:
            (tmp_path / "cpu.max").write_text(quota + "\n")
        assert cores() == get_threads() == expected
    set_threads(4)
    assert get_threads() == 4
    for wrong in (0, 2.5):
        with pytest.raises(InputError, match=f"a whole number from 1 on, not {wrong}"):
            set_threads(wrong)  # type: ignore[arg-type]


def test_calls_run_at_the_same_time_and_what_one_raises_is_raised():
    meeting = threading.Barrier(3, timeout=60)
    assert side_by_side([partial(lambda n: (meeting.wait(), n)[1], n) for n in (5, 6, 7)]) == [5, 6, 7]

    def fail():
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        side_by_side([lambda: 1, fail])


def test_ctrl_c_waits_for_the_calls():
    """What they write to is not to be used by others before they are through."""
    done, main = [], threading.main_thread().ident

    def slow(n):
        if n == 0:
            signal.raise_signal(signal.SIGINT)
        time.sleep(0.3)
        done.append(n)

    assert main == threading.get_ident()
    with pytest.raises(KeyboardInterrupt):
        side_by_side([partial(slow, n) for n in range(3)])
    assert sorted(done) == [0, 1, 2]


def test_where_a_thread_cannot_be_had_no_call_is_made(monkeypatch):
    started, made, start = [], [], threading.Thread.start

    def refuse(thread):
        if started:
            raise RuntimeError("can't start new thread")
        started.append(thread)
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", refuse)
    with pytest.raises(RuntimeError, match="new thread"):
        side_by_side([lambda: made.append(1)] * 3)
    started[0].join(60)
    assert not started[0].is_alive()
    assert made == []


def test_several_trainings_in_one_process_come_to_what_each_comes_to_alone(corpus, monkeypatch):
    in_parts(monkeypatch, 4)
    tasks = [
        partial(
            trained,
            CONFIGS[name],
            corpus,
            Batches.drawn(corpus.stream("train"), 150, seed, CONFIGS[name].context, whole_words=False),
            "adamw",
            np.float32,
            40,
        )
        for seed in (1, 2)
        for name in ("mlp", "mlp, 5 tokens, BatchNorm", "wavenet")
    ]
    set_threads(1)
    alone = [task() for task in tasks]
    set_threads(4)
    with ThreadPoolExecutor(len(tasks)) as pool:
        together = [future.result(100) for future in [pool.submit(task) for task in tasks]]
    for one, other in zip(alone, together, strict=True):
        assert all(np.array_equal(a, b) for a, b in zip(one, other, strict=True))


def test_the_option_changes_no_result(words, tmp_path, capsys):
    (tmp_path / "list.txt").write_text("\n".join(words))
    found = []
    for n in ("1", "2"):
        out = tmp_path / n
        options = ["--batch-size", "512", "--steps", "40", "--n-hidden", "100", "--out", str(out), "--threads", n]
        assert run(["train", str(tmp_path / "list.txt"), *options]) == 0
        capsys.readouterr()  # it tells the seconds
        assert run(["eval", str(out), "--json", f"--threads={n}"]) == 0
        found.append((capsys.readouterr().out, moreish.load(out).model.params))
    assert found[0][0] == found[1][0]
    assert np.array_equal(found[0][1], found[1][1])
    assert get_threads() == 2
    assert run(["models", "--threads", "0"]) == 2
    assert "threads: a whole number from 1 on, not 0" in capsys.readouterr().err
    assert run(["models", "--threads", "2.5"]) == 2


def test_pytorch_takes_as_many_threads(words):
    import torch

    before = torch.get_num_threads()
    try:
        for n in (2, 1):
            set_threads(n)
            moreish.train(words, "bigram", engine="torch", steps=1)
            assert torch.get_num_threads() == n
    finally:
        torch.set_num_threads(before)


def test_what_was_just_compiled_and_what_was_kept_compute_the_same(tmp_path):
    """A kernel that is linked from two pieces may be another one than it is when it comes from the disk."""
    code = (
        "import sys, pathlib, json, moreish\n"
        "from moreish.tape import compiled\n"
        "compiled.cache_folder = lambda: pathlib.Path(sys.argv[1])\n"
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
