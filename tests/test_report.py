"""The report: one file without external resources, with everything that is measured, which a browser can show."""

import dataclasses
import json
import re
import time
from html import escape, unescape
from html.parser import HTMLParser
from typing import Any

import pytest
from browser import browsed, needs_browser

import moreish
from moreish import report
from moreish.cli import run
from moreish.engine.trace import Tracer


class Page(HTMLParser):
    """Addresses that a page refers to, its ids, its tables as rows of cells, and its text."""

    def __init__(self, html: str):
        super().__init__()
        self.addresses, self.ids, self.rows, self.tags, self.text, self.scripts = [], [], [], set(), "", 0
        self.feed(html)

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)
        self.scripts += tag == "script"
        for name, value in attrs:
            if name in ("src", "href", "xlink:href", "srcset", "data", "action"):
                self.addresses.append(value)
            if name == "id":
                self.ids.append(value)
        if tag == "tr":
            self.rows.append([])
        if tag in ("td", "th"):
            self.rows[-1].append("")

    def handle_endtag(self, tag):
        if tag == "table":
            self.rows.append([])  # text after it is in no cell

    def handle_data(self, data):
        self.text += data
        if self.rows and self.rows[-1]:
            self.rows[-1][-1] += data.strip()


@pytest.fixture(scope="module")
def page(saved_run) -> str:
    return report(saved_run)


def test_it_is_one_file_that_asks_for_nothing(page):
    assert len(page.encode()) < 2_000_000
    found = Page(page)
    assert found.scripts == 0
    assert all(address.startswith(("#", "data:")) for address in found.addresses)
    assert not re.search(r"url\((?!#)|@import", page)
    assert len(found.ids) == len(set(found.ids)), "no two elements share an id"
    assert {address[1:] for address in found.addresses if address.startswith("#")} <= set(found.ids)


def test_it_holds_what_is_measured(page, saved_run):
    found = Page(page)
    rows = {row[0]: row for row in found.rows if row}
    for part, loss in saved_run.loss.items():
        assert rows[part][1] == f"{loss:.4f}"
    assert rows["this run"][2:4] == [f"{saved_run.loss[part]:.4f}" for part in ("val", "test")]
    counted = moreish.train(saved_run.corpus, "ngram")
    assert rows["ngram"][3] == f"{counted.loss['test']:.4f}"
    words = saved_run.model.sample(48, seed=saved_run.options.seed)
    assert all(word in found.text for word in words)
    copied = sum(saved_run.corpus.mark(word) != "new" for word in words)
    assert copied > 1
    assert f"{copied} of 48 are already in your list, as marked." in found.text
    newness = moreish.novelty(saved_run)
    assert all(verdict in found.text for verdict in newness.verdicts)
    assert all(row[:2] in [told[:2] for told in found.rows] for row in newness.table()[1])
    assert all(kin.nearest in found.text for kins in newness.examples().values() for kin in kins)
    pictures = {"loss", "bigrams", "next", "word", "embedding", "activations", "saturation", "gradients", "ratios"}
    pictures |= {"weights", "start", "samples", "novelty", "architecture"}
    assert {name for name in found.ids if name.startswith("picture-")} == {f"picture-{name}" for name in pictures}
    assert saved_run.corpus.data_hash in found.text
    assert "n-hidden" in found.text


def test_words_are_text_and_never_markup(tmp_path):
    words = [f"<b{c}>&\"'" for c in "abcdefghij"] * 3
    page = report(moreish.train(words, "ngram", order=3))
    hostile = Page(page)
    assert not {f"b{c}" for c in "abcdefghij"} & hostile.tags
    assert not re.search(r"<b[a-j]>", page)
    assert re.search(r"<b[a-j]", hostile.text), "they are there as text"


@pytest.mark.parametrize("model", ["transformer", "bow"])
def test_nets_with_residuals_have_all_pictures_that_say_something(words, model):
    options: dict[str, Any] = {"n_layer": 1, "n_head": 2} if model == "transformer" else {"n_hidden": 6}
    found = Page(report(moreish.train(words, model, n_embd=8, steps=30, **options)))
    drawn = {name.removeprefix("picture-") for name in found.ids if name.startswith("picture-")}
    everywhere = {"loss", "next", "word", "embedding", "activations", "gradients", "ratios", "weights", "start"}
    assert everywhere | {"architecture"} <= drawn
    assert ("attention" in drawn, "saturation" in drawn) == ((True, False) if model == "transformer" else (False, True))
    assert "3.residual" in found.text, "the diagnosis names the layers"


@pytest.mark.parametrize("model", ["ngram", "bigram", "mixture"])
def test_every_kind_of_model_has_one(words, model):
    counted = moreish.train(words, "ngram", order=3)
    made = counted if model == "ngram" else moreish.train(words, "bigram", epochs=20.0)
    if model == "mixture":
        made = moreish.mix([counted, made])
    found = Page(report(made))
    assert f"{made.loss['test']:.4f}" in found.text
    assert ("Diagnosis" in found.text) == (model == "bigram")


def test_the_command_writes_the_same_page_and_traces_the_run_once(page, saved_run, tmp_path, capsys, monkeypatch):
    tracers, make = [], Tracer.__init__

    def counted(tracer, *arguments):
        tracers.append(tracer)
        make(tracer, *arguments)

    monkeypatch.setattr(Tracer, "__init__", counted)
    assert run(["report", str(saved_run.path), "--out", str(tmp_path / "r.html")]) == 0
    assert "r.html" in capsys.readouterr().out
    written = (tmp_path / "r.html").read_text(encoding="utf-8")
    assert written.startswith("<!doctype html>")
    in_order: dict[str, int] = {}

    def numbered(match: re.Match) -> str:  # ids of clip paths depend on addresses in memory
        return f"-p{in_order.setdefault(match[0], len(in_order))}"

    pages = []
    for html in (page, written):
        in_order.clear()
        pages.append(re.sub(r"-p[0-9a-f]{10}", numbered, html))
    assert pages[0] == pages[1]
    # At the start, now, at the other start; and one for the steps of the replay.
    assert len(tracers) == 4


def test_it_begins_with_the_list_the_date_and_a_table_of_contents(page, saved_run, tmp_path):
    weights = saved_run.path / "model.safetensors"
    written = time.localtime(weights.stat().st_mtime)
    date = f"{written.tm_mday} {time.strftime('%B %Y', written)}"
    assert f"200 steps in {saved_run.seconds:.1f} s on {date}." in Page(page).text
    assert "<h1>mlp</h1>" in page, "words from Python have no name"
    titles = dict(re.findall(r'<h2 id="(\w+)">([^<]+)</h2>', page))
    linked = dict(re.findall(r'<li><a href="#([\w-]+)">([^<]+)</a></li>', page))
    assert list(linked)[: len(titles)] == list(titles)
    pictures = [name for name in Page(page).ids if name.startswith("picture-") and name != "picture-novelty"]
    assert linked == titles | {name: name.removeprefix("picture-") for name in pictures}
    (tmp_path / "planets.txt").write_text("\n".join(saved_run.corpus.words), encoding="utf-8")
    named = report(moreish.train(moreish.read_words(tmp_path / "planets.txt"), "bigram-counts"))
    assert "<h1>bigram-counts trained on planets</h1>" in named
    today = time.localtime()
    assert f" Report of {today.tm_mday} {time.strftime('%B %Y', today)}." in named, "it is in no folder"


def test_it_says_how_the_model_was_made(words):
    counted, net = moreish.train(words, "ngram", order=2), moreish.train(words, "bigram", steps=20)
    assert f"parameters, counted in {counted.seconds:.1f} s." in Page(report(counted)).text
    assert "mixed from ngram and bigram" in report(moreish.mix([counted, net]))
    net.history[-1]["step"] = 10  # of a training that diverged
    assert "trained for 10 of 20 steps" in report(net)


@needs_browser
def test_a_browser_shows_it_without_a_complaint(page, tmp_path):
    (tmp_path / "report.html").write_text(page, encoding="utf-8")
    address = (tmp_path / "report.html").as_uri()
    done = browsed(address, tmp_path / "profile", "--dump-dom")
    assert done.returncode == 0, done.stderr
    assert "CONSOLE" not in done.stderr, done.stderr
    assert "<svg" in done.stdout
    browsed(address, tmp_path / "profile", f"--screenshot={tmp_path / 'picture.png'}")
    assert (tmp_path / "picture.png").stat().st_size > 10_000


MEASURE = """
onload = () => {
  const measured = {};
  for (const frame of document.querySelectorAll("iframe")) {
    const page = frame.contentDocument, width = page.documentElement.clientWidth;
    const names = (found, test) => [...found].filter(test).map(element => element.outerHTML.slice(0, 60));
    measured[frame.title] = {
      width,
      beyond: names(page.body.querySelectorAll(":not(svg *)"), element =>
        element.getBoundingClientRect().right > width + 1 && !(element.closest(".wide")?.scrollWidth > 0
        && frame.contentWindow.getComputedStyle(element.closest(".wide")).overflowX == "auto")),
      narrow: names(page.querySelectorAll("td:first-child, td.text"), cell => cell.offsetWidth < 50),
      sideways: page.documentElement.scrollWidth > width,
      scrolling: page.querySelectorAll(".wide").length
        && [...page.querySelectorAll(".wide")].filter(wide => wide.scrollWidth > wide.clientWidth).length,
      asked: frame.contentWindow.performance.getEntriesByType("resource").length,
    };
  }
  const told = document.createElement("pre");
  told.textContent = JSON.stringify(measured);
  document.body.replaceChildren(told);
};
"""


@needs_browser
def test_nothing_reaches_beyond_a_page(words, page, tmp_path):
    """On a phone the page does not scroll sideways, but its wide tables do; on paper nothing scrolls or is cut."""
    labels = [f"a label of many words {'x' * 40} {len(word) > 4}" for word in words]
    labelled = report(moreish.train(words, "ngram", order=3, labels=labels, weights=[1 + len(word) for word in words]))
    frames = []
    for name, html in (("plain", page), ("labelled", labelled)):
        # Without the rule that forbids scripts, which holds for a frame's parent, too.
        html = re.sub(r'<meta http-equiv="Content-Security-Policy"[^>]*>', "", html)
        on_paper = html.replace("@media print", "@media all").replace("@media screen", "@media speech")
        # The width of a sheet less two margins of 15 mm, at 96 pixels an inch.
        papers = {"A4": (210 - 30) / 25.4 * 96, "Letter": (8.5 - 30 / 25.4) * 96}
        shapes = [("phone", 390, html), ("desktop", 1100, html)]
        shapes += [(paper, int(width), on_paper) for paper, width in papers.items()]
        frames += [
            f'<iframe title="{name} {shape}" width="{width}" height="600" style="border: 0" '
            f'srcdoc="{escape(shown)}"></iframe>'
            for shape, width, shown in shapes
        ]
    probe = tmp_path / "probe.html"
    probe.write_text(f"<!doctype html><script>{MEASURE}</script>{''.join(frames)}", encoding="utf-8")
    done = browsed(probe.as_uri(), tmp_path / "profile", "--dump-dom")
    measured = json.loads(unescape(re.search(r"<pre>(.*)</pre>", done.stdout)[1]))  # pyright: ignore[reportOptionalSubscript]
    assert len(measured) == 8
    for name, found in measured.items():
        assert found["beyond"] == [], name
        assert not found["sideways"], name
        assert found["narrow"] == [], name
        assert found["asked"] == 0, name
        assert (found["scrolling"] > 0) == ("phone" in name), name


def test_it_lists_the_options_that_the_run_uses(words):
    counted = moreish.train(words, "ngram", order=2)
    names = re.findall(r"<dt>([\w-]+)</dt><dd>(.*?)</dd>", report(counted))
    of_model = dataclasses.asdict(counted.model.config)
    expected = {name.replace("_", "-"): str(value) for name, value in of_model.items() if value is not None}
    assert expected["order"] == "2"
    assert dict(names) == expected | {"split": counted.corpus.split, "split-seed": "42", "seed": "42"}
    weighted = report(moreish.train(words, "bigram", steps=20, diagnostics=True, weights=[1 + len(w) for w in words]))
    assert "<dt>weight-power</dt><dd>1.0</dd>" in weighted
    assert "<dt>diagnostics</dt><dd>yes</dd>" in weighted
