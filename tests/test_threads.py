"""Threads: no result depends on their number, they share the cores, and none waits for ever."""

import os
import signal
import threading
import time
from functools import partial
from itertools import count, pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import moreish
from moreish import InputError, get_threads, set_threads
from moreish.cli import run
from moreish.engine import threads
from moreish.engine.protocol import Draw
from moreish.engine.tape import engine
from moreish.engine.threads import cores, in_order, reserved_threads, run_parallel
from moreish.ngram import automaton, windows
from moreish.ngram.chunks import SEARCH_TOKENS, split_at_words
from moreish.ngram.windows import count_windows

pytestmark = pytest.mark.usefixtures("threads_as_before")


def test_evaluating_and_sampling_are_the_same_with_any_number_of_threads(corpus, made_by):
    stream = np.r_[corpus.stream("train"), np.tile(corpus.stream("train")[1:], 60)]  # long enough for five threads
    models = [moreish.train(corpus, name, steps=30).model for name in ("mlp", "wavenet")]
    models.append(moreish.train(corpus, "ngram").model)
    in_engine, in_automaton = made_by(engine), made_by(automaton)
    for model in models:
        found: list[Any] = []
        for n in (1, 2, 5):
            set_threads(n)
            found.append((model.nll(stream), list(model.sample(640, seed=3, max_length=9, exact=True))))
        for nll, words in found[1:]:
            assert np.array_equal(nll, found[0][0])
            assert words == found[0][1]
    assert in_engine == [1, 2, 5, 1, 1, 2, 2, 5, 5], "the mlp has few contexts, and draws from a table of them"
    assert in_automaton == [1, 2, 5]
    set_threads(3)
    engine_of = models[0].engine
    all_at_once = engine_of.generate(models[0].params, 400, Draw(seed=4, first=5))
    set_threads(1)
    assert np.array_equal(all_at_once, engine_of.generate(models[0].params, 400, Draw(seed=4, first=5)))


@pytest.mark.parametrize("at_least", [1, 3])
def test_counting_is_the_same_with_any_number_of_threads(at_least, corpus, monkeypatch, made_by):
    monkeypatch.setattr(windows, "TOKENS_PER_THREAD", 10)
    monkeypatch.setattr(windows, "TOKENS_AT_A_TIME", 500)
    stream, found = corpus.stream("train"), []
    for n in (1, 2, 5):
        set_threads(n)
        counted = count_windows(stream, 4, len(corpus.vocab), at_least)
        found.append((counted.counts, counted.lengths, *(counted.at(place) for place in range(4))))
    for other in found[1:]:
        assert all(np.array_equal(a, b) for a, b in zip(found[0], other, strict=True))
    assert found[0][0].sum() == len(stream) - 1
    most = len(found[0][0])  # as many as fit: runs are short, and rare windows go to the disk
    set_threads(2)
    made = made_by(windows)
    again = count_windows(stream, 4, len(corpus.vocab), at_least, memory=most * 4 * windows.BYTES_PER_TOKEN)
    assert np.array_equal(again.counts, found[0][0])
    assert made[0] == 2
    assert len(made) > 2 or at_least > 1, "there were several rounds"


@given(st.lists(st.integers(0, 3), max_size=60), st.integers(1, 7))
def test_pieces_are_of_whole_words_and_all_there_is(tokens, n):
    stream = np.array([0, *tokens, 0], np.int32)
    pieces = split_at_words(stream, n)
    assert len(pieces) <= n
    assert pieces[0][0] == 0
    assert pieces[-1][1] == len(stream) - 1
    assert all(a[1] == b[0] for a, b in pairwise(pieces))
    assert all(stream[a] == 0 == stream[b] for a, b in pieces)


def test_a_word_longer_than_what_is_looked_through_is_one_piece():
    stream = np.zeros(3 * SEARCH_TOKENS, np.int32)
    stream[5:-1] = 1
    assert split_at_words(stream, 4) == [(0, len(stream) - 1)]
    assert split_at_words(stream[:-1], 4) == [(0, len(stream) - 2)], "or where no end token stands"


def test_reserved_threads_are_not_free_for_others():
    set_threads(3)
    with reserved_threads(2) as first, reserved_threads(9) as second, reserved_threads(9) as third:
        assert (first, second, third) == (2, 1, 1), "each of them counts, and none waits"
    with reserved_threads(9) as all_of_them, reserved_threads(5) as alone:
        assert (all_of_them, alone) == (3, 1)
    with pytest.raises(RuntimeError), reserved_threads(3):
        raise RuntimeError
    with reserved_threads(3) as again, reserved_threads(0) as none:
        assert (again, none) == (3, 1)


def test_there_are_as_many_threads_as_cores_by_default(monkeypatch, tmp_path):
    monkeypatch.setattr(threads, "CPU_QUOTA", tmp_path / "cpu.max")
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
        with pytest.raises(InputError, match=f"the number of threads is {wrong}: it must be a whole number"):
            set_threads(wrong)  # type: ignore[arg-type]


def test_calls_run_at_the_same_time_and_an_error_of_one_is_raised():
    meeting = threading.Barrier(3, timeout=60)
    assert run_parallel([partial(lambda n: (meeting.wait(), n)[1], n) for n in (5, 6, 7)]) == [5, 6, 7]

    def fail():
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        run_parallel([lambda: 1, fail])


def test_ctrl_c_waits_for_the_calls():
    """Nothing else may use the memory that they write to before they have ended."""
    done, main = [], threading.main_thread().ident

    def slow(n):
        if n == 0:
            signal.raise_signal(signal.SIGINT)
        time.sleep(0.3)
        done.append(n)

    assert main == threading.get_ident()
    with pytest.raises(KeyboardInterrupt):
        run_parallel([partial(slow, n) for n in range(3)])
    assert sorted(done) == [0, 1, 2]


def test_if_a_thread_cannot_start_no_call_is_made(monkeypatch):
    started, made, start = [], [], threading.Thread.start

    def refuse(thread):
        if started:
            raise RuntimeError("can't start new thread")
        started.append(thread)
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", refuse)
    with pytest.raises(RuntimeError, match="new thread"):
        run_parallel([lambda: made.append(1)] * 3)
    started[0].join(60)
    assert not started[0].is_alive()
    assert made == []


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
    assert "the number of threads is 0: it must be a whole number, at least 1" in capsys.readouterr().err
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


@pytest.mark.parametrize("n_threads", [1, 3])
def test_results_are_in_the_order_of_their_calls(n_threads):
    """And an error is raised in its place, whether a call raises it or what makes the calls."""
    set_threads(n_threads)
    before, turn = threading.active_count(), threading.Semaphore(0)

    def call(i: int) -> int:
        if n_threads > 1 and i % 2 == 0:
            assert turn.acquire(timeout=60), "the next call is not made at the same time"
        turn.release()
        if i == 31:
            raise ValueError("31")
        return i

    assert list(in_order(partial(call, i) for i in range(20))) == list(range(20))
    results = in_order(partial(call, i) for i in range(20, 40))
    assert [next(results) for _ in range(11)] == list(range(20, 31))
    with pytest.raises(ValueError, match="31"):
        next(results)

    def broken():
        yield partial(call, 1)
        raise InputError("no more")

    results = in_order(broken())
    assert next(results) == 1
    with pytest.raises(InputError, match="no more"):
        next(results)
    taken = []
    endless = in_order(taken.append(i) or partial(call, 2 * i + 1) for i in count())
    assert [next(endless) for _ in range(3)] == [1, 3, 5]
    endless.close()
    while threading.active_count() > before:
        time.sleep(0.01)
    assert len(taken) <= 3 + n_threads + 2, "calls are made far ahead"
