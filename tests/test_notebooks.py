"""Results in a notebook and at the prompt: what they show of themselves, and views of work while it runs."""

import pickle
import re
import subprocess
import sys
import time
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from typing import Any, cast

import nbformat
import numpy as np
import pytest
from conftest import made_up_words
from nbclient import NotebookClient

import moreish
from moreish.display import compiling, live
from moreish.display.curves import curves_svg
from moreish.display.shown import Page

HOSTILE = ["<script>alert(1)</script>", "<b>&amp;", "'\"><img src=x>", "a\x1b[31m", "y" * 3000, "ɐ<i>\u202e"]
TAGS = {"div", "b", "i", "bdi", "table", "tr", "th", "td", "svg", "path", "text", "polyline", "progress"}

CELLS = {
    "train": "run = moreish.train(words, n_hidden=16, steps=300, out=folder)\nrun",
    "quiet": "quiet = moreish.train(words, n_hidden=16, steps=20, progress=False)",
    "resume": "begun = moreish.train(words, n_hidden=16, steps=20, on_progress=stop)",
    "find_lr": "found = moreish.find_lr(words, n_hidden=16)",
    "words": "words",
    "model": "run.model",
    "corpus": "run.corpus",
    "samples": "run.model.sample(12)",
    "diagnosis": "moreish.diagnose(run)",
    "comparison": "moreish.compare([run])",
    "novelty": "moreish.novelty(run, 200)",
    "figure": "moreish.plots.plot_loss(run)",
    "inline": "%matplotlib inline\nmoreish.plots.plot_start(run)",
}


@pytest.fixture(scope="module")
def outputs(tmp_path_factory) -> dict[str, list[nbformat.NotebookNode]]:
    """The outputs of the cells of a notebook by the name of the cell."""
    folder = tmp_path_factory.mktemp("notebook")
    setup = (
        f'import moreish\nfolder = {str(folder / "run")!r}\nwords = moreish.bundled("dinosaurs")\n'
        "def stop(at):\n    raise KeyboardInterrupt"
    )
    cells = [nbformat.v4.new_code_cell(source) for source in (setup, *CELLS.values())]
    cells[list(CELLS).index("resume") + 1].metadata["tags"] = ["raises-exception"]
    notebook = nbformat.v4.new_notebook(cells=cells)
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("PYTHONWARNINGS", raising=False)
        NotebookClient(notebook, timeout=300).execute()
    assert not cells[0].outputs
    return dict(zip(CELLS, (cell.outputs for cell in notebook.cells[1:]), strict=True))


pytestmark = pytest.mark.filterwarnings("ignore:Kernel is running over TCP")


def test_a_training_shows_one_view_that_it_updates_to_its_end(outputs):
    view, run = outputs["train"]
    assert view.output_type == "display_data"
    assert run.output_type == "execute_result"
    html = view.data["text/html"]
    assert re.search(r"Training mlp: 300 steps, train \d\.\d{4}, val \d\.\d{4} nats per token", html)
    assert html.count("<polyline") == 2
    assert "<progress" not in html
    assert len(html) < 4000
    assert view.data["text/plain"] in html


def test_a_training_is_quiet_if_asked(outputs):
    assert outputs["quiet"] == []


def test_a_view_says_that_the_work_stopped(outputs):
    view, error = outputs["resume"]
    assert view.data["text/plain"].endswith("; stopped")
    assert error.ename == "KeyboardInterrupt"


def test_the_sweep_of_learning_rates_ends_with_the_suggestion(outputs):
    (view,) = outputs["find_lr"]
    assert re.search(r"Learning rate for mlp: [\d.]+ suggested", view.data["text/plain"])
    assert view.data["text/html"].count("<polyline") == 1


@pytest.mark.parametrize("name", ["words", "model", "corpus", "samples", "diagnosis", "comparison", "novelty"])
def test_results_show_themselves_as_a_small_table(outputs, name):
    (result,) = outputs[name]
    assert set(result.data) == {"text/plain", "text/html"}
    assert len(result.data["text/plain"]) < 1500
    assert 100 < len(result.data["text/html"]) < 6000
    assert "color" not in result.data["text/html"].lower().replace("currentcolor", "")


def test_a_run_shows_its_losses_and_words(outputs):
    html = outputs["train"][1].data["text/html"]
    assert re.search(r"train \d\.\d{4}, val \d\.\d{4}, test \d\.\d{4} nats per token", html)
    assert html.count("<bdi>") == 10
    assert "run</td>" in html  # the folder


def test_samples_show_which_words_are_in_the_list(words):
    run = moreish.train(words, "ngram")
    samples = run.model.sample(40, seed=3)
    html = samples._repr_html_()
    marks = [run.corpus.mark(word) for word in samples]
    assert "new" in marks
    assert "train" in marks
    for part in ("train", "val", "test"):
        assert html.count(f"(in {part})") == marks.count(part)
    assert "(in" not in type(samples)(samples, "plain", 1.0, "", 40)._repr_html_()  # of a model without a run


def test_samples_and_models_are_pickled_without_the_list(saved_run):
    samples = saved_run.model.sample(5)
    assert samples.corpus is saved_run.corpus
    again = pickle.loads(pickle.dumps(samples))
    assert (again, again.method, again.corpus) == (samples, "plain", None)
    assert pickle.loads(pickle.dumps(saved_run.model)).corpus is None
    run = pickle.loads(pickle.dumps(saved_run))
    assert run.model.corpus is run.corpus


def test_a_diagnosis_shows_its_problems(outputs):
    html = outputs["diagnosis"][0].data["text/html"]
    assert "3.tanh" in html
    assert "No problems found." in html or ": " in html.split("</table>")[1]


@pytest.mark.parametrize("name", ["figure", "inline"])
def test_a_figure_shows_itself_once(outputs, name):
    (result,) = outputs[name]
    assert set(result.data) == {"text/plain", "image/png"}


class _Tags(HTMLParser):
    """The tags of a piece of HTML, which must be closed in order, its text, and the pages in its frames."""

    def __init__(self, html: str):
        super().__init__()
        self.found, self.open, self.text, self.pages = set(), [], "", []
        self.feed(str(html))
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.found.add(tag)
        self.open.append(tag)
        self.pages += [value for name, value in attrs if name == "srcdoc"]

    def handle_startendtag(self, tag, attrs):
        self.found.add(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text += data


class Made:
    """Runs, and what is made of them, on a list with words, labels and a folder that look like HTML."""

    def __init__(self, folder: Path):
        rng = np.random.default_rng(7)
        self.words = HOSTILE * 5 + made_up_words(100, seed=4)
        labels = [("<i>", "b&c", "<script>")[int(x)] for x in rng.integers(0, 3, len(self.words))]
        listed = moreish.WordList.of(self.words).with_weights(rng.uniform(1, 9, len(self.words)))
        self.listed, self.progress = listed.with_labels(labels), []
        self.counted = moreish.train(self.listed, "ngram", order=3, out=folder / "<b>&")
        options: dict[str, Any] = {"n_hidden": 8, "n_embd": 3, "steps": 40, "batch_size": 16, "diagnostics": True}
        self.net = moreish.train(self.words, "mlp", on_progress=self.progress.append, **options)
        self.pairs = moreish.train(self.words, "bigram-counts")
        _ = self.counted.loss, self.net.loss
        self.mixture = moreish.mix([self.pairs, self.net])
        self.diagnosis = moreish.diagnose(self.net)
        self.comparison = moreish.compare([self.net, self.pairs], names=["<u>a", "<u>b"], samples=100)
        self.novelty = moreish.novelty(self.net, 300)
        self.scorer, self.classifier = moreish.Scorer(self.net, 0.2), moreish.Classifier(self.counted)
        self.tuned = moreish.tune(self.words, "bigram-counts", out=folder / "<s>study", trials=3)


RESULTS: dict[str, Callable[[Made], object]] = {
    "list": lambda made: moreish.WordList.of(made.words),
    "list with labels": lambda made: made.listed,
    "vocabulary": lambda made: moreish.Vocab(map(chr, range(300, 5000))),
    "corpus": lambda made: made.counted.corpus,
    "counted run": lambda made: made.counted,
    "run of a net": lambda made: made.net,
    "run of a mixture": lambda made: made.mixture,
    "counted model": lambda made: made.counted.model,
    "net": lambda made: made.net.model,
    "mixture": lambda made: made.mixture.model,
    "labels": lambda made: made.counted.model.labels,
    "samples": lambda made: made.net.model.sample(60),
    "drawing": lambda made: made.net.model.stream(5),
    "candidates": lambda made: made.net.model.most_likely(30),
    "candidate": lambda made: made.net.model.most_likely(1)[0],
    "score": lambda made: made.scorer.score(HOSTILE[0]),
    "score of a long word": lambda made: made.net.model.score("y" * 3000),
    "scorer": lambda made: made.scorer,
    "scores": lambda made: made.scorer.scores(HOSTILE * 50),
    "evaluation": lambda made: moreish.evaluate(made.counted.model, made.counted.corpus, intervals=True),
    "comparison": lambda made: made.comparison,
    "row of a comparison": lambda made: made.comparison.rows[0],
    "diagnosis": lambda made: made.diagnosis,
    "verdicts": lambda made: made.diagnosis.verdicts,
    "trace": lambda made: made.diagnosis.start_trace,
    "layer of a trace": lambda made: made.diagnosis.start_trace.layers[0],
    "beginnings": lambda made: made.diagnosis.beginnings,
    "novelty": lambda made: made.novelty,
    "similarity": lambda made: made.novelty.samples,
    "classifier": lambda made: made.classifier,
    "classification": lambda made: made.classifier.classify(HOSTILE[0]),
    "confusion": lambda made: made.classifier.confusion("train"),
    "sweep": lambda made: moreish.find_lr(made.words, n_hidden=8),
    "study": lambda made: made.tuned,
    "progress": lambda made: made.progress[-1],
    "gradients": lambda made: moreish.check_gradients(lambda t: t("<b>", np.ones(3)).sum(), {"<b>": np.ones(3)}),
    "estimator": lambda made: moreish.WordModel("ngram", order=3).fit(made.words),
    "start": lambda made: moreish.train(made.words, from_run=made.net, steps=5).start,
}


@pytest.fixture(scope="module")
def results(tmp_path_factory) -> dict[str, object]:
    """A result of each kind."""
    made = Made(tmp_path_factory.mktemp("runs"))
    return {kind: of(made) for kind, of in RESULTS.items()}


def test_every_kind_of_result_is_tested(results):
    kinds = {type(result).__name__ for result in results.values()}
    functions_and_errors = {name for name in moreish.__all__ if not isinstance(getattr(moreish, name), type)}
    errors = {"MoreishError", "InputError", "WorkError"}
    assert set(moreish.__all__) - functions_and_errors - errors <= kinds


@pytest.mark.parametrize("kind", RESULTS)
def test_the_repr_of_a_result_is_short(results, kind):
    text = repr(results[kind])
    assert len(text) < 2000
    assert len(text.splitlines()) <= 16
    assert " at 0x" not in text
    assert "\x1b" not in text


@pytest.mark.parametrize("kind", RESULTS)
def test_the_html_of_a_result_is_small_and_escapes_its_texts(results, kind):
    if not hasattr(results[kind], "_repr_html_"):
        assert "\n" not in repr(results[kind])
        return
    html = results[kind]._repr_html_()
    assert len(html) < 10_000
    assert _Tags(html).found <= TAGS
    assert "\x1b" not in html


def test_words_that_look_like_html_are_shown_as_they_are(results):
    assert HOSTILE[0] in _Tags(results["list"]._repr_html_()).text
    assert "<b>&" in _Tags(results["counted run"]._repr_html_()).text


def test_a_report_shows_itself_in_a_frame(results):
    page = moreish.report(cast(moreish.Run, results["counted run"]))
    assert isinstance(page, Page)
    assert repr(page) == f"Page({len(page):,} characters of HTML)"
    frame = _Tags(page._repr_html_())
    assert frame.found == {"iframe"}
    assert frame.pages == [page]
    assert page[:15].lower() == "<!doctype html>"


class Clock:
    """A clock that stands still until a test moves it."""

    now = 100.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch) -> Clock:
    """The clock of views."""
    clock = Clock()
    monkeypatch.setattr(live, "time", clock)
    return clock


@pytest.fixture
def drawn(monkeypatch, clock) -> list[str]:
    """States of views in a notebook, in the order in which they are shown; the clock stands still."""
    states: list[str] = []
    monkeypatch.setattr(live, "in_notebook", lambda: True)

    class Handle:
        def update(self, bundle, raw):
            states.append(bundle["text/html"])

    def display(bundle, raw, display_id):
        states.append(bundle["text/html"])
        return Handle()

    import IPython.display

    monkeypatch.setattr(IPython.display, "display", display)
    return states


def test_a_view_is_updated_only_now_and_then(drawn, clock):
    with live.Live("Working") as view:
        for step in range(100):
            view.tell(f"{step} done", (step + 1) / 100)
        assert len(drawn) == 2  # at the start and at the first step
        clock.now += 10
        view.tell("almost", 0.9)
        assert "<progress" in drawn[-1]
        assert re.search(r"almost, \d s left", drawn[-1])
        view.tell("at the end", 1.0)
    assert len(drawn) == 4
    assert "at the end" in drawn[-1]
    assert "<progress" not in drawn[-1]
    assert "left" not in drawn[-1]


def test_a_view_shows_what_is_compiled_while_it_is_open(drawn):
    before = list(compiling.watchers)
    with live.Live("Working"):
        compiling.show(compiling.Compiling("the training loop", ("linear.forward",), 2, 14, time.monotonic() - 3))
        shown = "compiling the training loop, only once on this machine (3 of 14): linear.forward, 3 s"
        assert shown in drawn[-1]
        assert compiling.watchers != before
    assert compiling.watchers == before


def test_a_view_stays_hidden_if_asked(drawn):
    with live.Live("Working", False) as view:
        view.tell("half", 0.5)
    assert drawn == []


def test_a_script_prints_nothing_but_with_progress_a_line(words, capfd):
    options: dict[str, Any] = {"n_hidden": 8, "n_embd": 3, "steps": 40, "batch_size": 16}
    moreish.train(words, **options)
    assert capfd.readouterr() == ("", "")
    moreish.train(words, progress=True, **options)
    out, err = capfd.readouterr()
    assert out == ""
    assert re.fullmatch(r"Training mlp: 40 steps, train \d\.\d{4}, val \d\.\d{4} nats per token\n", err)


def test_a_script_does_not_import_ipython():
    code = (
        "import sys, moreish; moreish.train(moreish.bundled(), 'mlp', steps=5)\n"
        "assert not {'IPython', 'matplotlib'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_curves_stay_inside_their_picture():
    rng = np.random.default_rng(3)
    rates = np.geomspace(1e-5, 10, 5000)
    loss = np.append(rng.gamma(2, size=4999), np.inf)
    svg = curves_svg({"<loss>": list(zip(rates, loss, strict=True)), "short": [(1e-3, 2.0)]}, log_x=True)
    assert _Tags(svg).found <= TAGS
    (line,) = re.findall(r'points="([^"]*)"', svg)
    points = np.array([point.split(",") for point in line.split()], float)
    assert 100 < len(points) <= 300
    assert (np.diff(points[:, 0]) > 0).all()
    width, height = (int(re.findall(rf'{side}="(\d+)"', svg)[0]) for side in ("width", "height"))
    assert ((points > 0) & (points < (width, height))).all()
    assert curves_svg({"one": [(1, 2.0)], "none": []}) == ""
