"""Models, runs and lists in other processes: pickled, copied, and after a fork; and how they show themselves."""

import copy
import os
import pickle
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from conftest import made_up_words

import moreish
from moreish.corpus import WordList, mapped
from moreish.models import MODELS, NETS

WAYS: dict[str, Callable[[Any], Any]] = {
    "pickle": lambda thing: pickle.loads(pickle.dumps(thing)),
    "deepcopy": copy.deepcopy,
    "copy": copy.copy,
}


def through_read_only_memory(thing: Any) -> Any:
    """Pickle with the arrays beside the pickle, and load them as read-only memory, as joblib gives them to a worker."""
    beside: list[pickle.PickleBuffer] = []
    state = pickle.dumps(thing, protocol=5, buffer_callback=beside.append)
    return pickle.loads(state, buffers=[bytes(buffer.raw()) for buffer in beside])


@pytest.fixture(scope="module")
def runs() -> dict[str, moreish.Run]:
    """A run of every model, and two mixtures. Each test gets copies of them."""
    words = made_up_words(150, seed=5)
    found = {name: moreish.train(words, name, **({"steps": 20} if name in NETS else {})) for name in MODELS}  # pyright: ignore[reportArgumentType]
    for kind in ("linear", "log-linear"):
        found[kind] = moreish.mix([found["ngram"], found["mlp"], found["wavenet"]], kind)
    return found


NAMES = [*MODELS, "linear", "log-linear"]


def used(run: moreish.Run) -> moreish.Run:
    """Use a run in every way that keeps something for the next time."""
    run.model.sample(3)
    run.model.sample(3, contains="a", max_length=5)
    run.model.score("bade")
    assert run.loss["val"] > 0
    assert run.corpus.mark("zzz") == "new"
    return run


@pytest.mark.parametrize("way", [*WAYS, "read-only"])
@pytest.mark.parametrize("name", NAMES)
def test_a_run_travels_before_and_after_it_is_used(name, way, runs):
    travel = WAYS.get(way, through_read_only_memory)
    run = runs[name]
    for original in (run, used(run)):
        there = travel(original)
        assert there.model.config == run.model.config
        assert list(there.corpus.words) == list(run.corpus.words)
        assert there.options == run.options
        for model in (there.model, travel(original.model)):
            assert model.sample(20, seed=4) == run.model.sample(20, seed=4)
            assert model.score("badax") == run.model.score("badax")
        assert there.loss == run.loss
        assert [there.corpus.mark(word) for word in run.corpus.words] == [
            run.corpus.mark(word) for word in run.corpus.words
        ]


def test_a_copy_has_weights_of_its_own(runs):
    model = runs["mlp"].model
    there = copy.deepcopy(model)
    before = model.sample(10)
    there.weights["0.embedding.C"][:] = 0
    assert model.sample(10) == before
    assert model.weights["0.embedding.C"].any()


def test_a_scorer_and_a_diagnosis_travel(runs):
    scorer = moreish.Scorer(runs["mlp"], 0.2)
    found = moreish.diagnose(runs["mlp"])
    for _ in ("before they are used", "after"):
        assert pickle.loads(pickle.dumps(scorer)).score("gada") == scorer.score("gada")
        there = pickle.loads(pickle.dumps(found))
        assert (there.start, there.end, there.verdicts) == (found.start, found.end, found.verdicts)


@pytest.mark.parametrize("split", ["lecture", "distinct"])
def test_a_corpus_on_disk_travels_by_the_name_of_its_folder(split, monkeypatch, tmp_path):
    monkeypatch.setattr(mapped, "prepared_folder", lambda: tmp_path / "prepared")
    words = made_up_words(3000, seed=8)
    on_disk = mapped.MappedWords.prepared(["".join(f"{word}\n" for word in words)], "words")
    corpus, plain = moreish.Corpus(on_disk, split), moreish.Corpus(words, split)
    for _ in ("before it is used", "after"):
        state = pickle.dumps(corpus)
        assert len(state) < 2000 < len(pickle.dumps(plain))
        there = pickle.loads(state)
        assert np.array_equal(there.stream("val"), plain.stream("val"))
        assert (
            list(corpus.parts["val"])
            == list(plain.parts["val"])
            == list(pickle.loads(pickle.dumps(there.parts["val"])))
        )
        assert there.mark(words[0]) == plain.mark(words[0])


def test_a_list_keeps_its_weights_and_labels_but_not_what_was_computed():
    listed = WordList.of(made_up_words(40)).with_weights(np.arange(1, 41)).with_labels(["x", "y"] * 20)
    for _ in ("before it is used", "after"):
        there = pickle.loads(pickle.dumps(listed[5:]))
        assert there == listed[5:]
        assert there.weights is not None
        assert there.labels is not None
        assert there.weights.tolist() == list(range(6, 41))
        assert [there.label_names[label] for label in there.labels] == list(("xy" * 20)[5:])
        assert there.places(listed[7]) == listed[5:].places(listed[7])
        assert listed.places(listed[3])
    assert b"_by_hash" not in pickle.dumps(listed)


SCRIPT = """
import multiprocessing, pickle, sys
import moreish

def words(given):
    model, seed = given
    return list(model.sample(5, seed=seed))

def marks(run):
    return [run.corpus.mark(word) for word in run.corpus.words]

if __name__ == "__main__":
    runs = pickle.load(open(sys.argv[1], "rb"))
    for name, run in runs.items():
        expected = [words((run.model, seed)) for seed in (1, 2)]
        for method in multiprocessing.get_all_start_methods():
            if method != "forkserver" and (method == "spawn" or name != "log-linear"):
                with multiprocessing.get_context(method).Pool(2) as pool:
                    assert pool.map(words, [(run.model, 1), (run.model, 2)]) == expected, (name, method)
                    assert pool.map(marks, [run]) == [marks(run)], (name, method)
    print("the same")
"""


def test_other_processes_draw_the_same_words_from_a_model_that_was_used(runs, tmp_path):
    (tmp_path / "script.py").write_text(SCRIPT, encoding="utf-8")
    some = {name: used(runs[name]) for name in ("ngram", "mlp", "log-linear")}
    (tmp_path / "runs.pickle").write_bytes(pickle.dumps(some))
    command = [sys.executable, "-W", "ignore", tmp_path / "script.py", tmp_path / "runs.pickle"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.stdout == "the same\n", done.stderr


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
def test_a_fork_while_other_threads_compute_starts_with_all_threads_free(runs):
    code = """
import os, sys, threading, warnings
warnings.simplefilter("ignore")
from moreish import set_threads
from moreish.engine import threads
set_threads(4)
inside, go_on = threading.Event(), threading.Event()
def work():
    with threads.reserved_threads(3):
        inside.set()
        go_on.wait()
helper = threading.Thread(target=work)
helper.start()
inside.wait()
with threads._lock:  # as if the fork came while another thread holds the lock
    child = os.fork()
    if not child:
        with threads.reserved_threads(4) as granted:
            os._exit(granted)
print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
go_on.set()
helper.join()
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.stdout == "4\n", done.stderr


def test_runs_models_and_lists_show_themselves_in_a_few_lines(runs, tmp_path):
    words = made_up_words(150, seed=5)
    run = moreish.train(words, "mlp", n_hidden=8, n_embd=3, steps=20, batch_size=16)
    size = f"{run.model.n_parameters:,}"
    assert repr(run.model) == f"Model(mlp, {size} parameters, 7 characters)"
    assert repr(run.corpus) == "Corpus(150 words, 7 characters, lecture split, train 120, val 15, test 15)"
    assert repr(run).splitlines() == [
        f"Run of {run.model!r}",
        f"  corpus  {run.corpus!r}",
        "  steps   20 of 16 examples",
        f"  val     {run.history[-1]['val']:.4f} nats per token, at step 20",
        "  folder  none",
    ]
    run.save(tmp_path / "kept")
    val = f"val {run.loss['val']:.4f}"
    assert val in repr(run)
    assert repr(run).endswith(f"folder  {tmp_path / 'kept'}")
    assert "steps" not in repr(runs["ngram"])


def test_a_list_shows_its_name(words):
    some = WordList.of(words[:3])
    assert repr(some) == f"WordList([{words[0]!r}, {words[1]!r}, {words[2]!r}], 3 words)"
    some.name = "<mine>\n"
    assert repr(some).endswith(r"], <mine>\n, 3 words)")
    assert "<b>&lt;mine&gt;\\n, 3 words</b>" in some._repr_html_()
    assert "<mine>" in repr(some.with_weights([1, 2, 3.5]))
