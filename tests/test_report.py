"""The report: one file without external resources, with everything that is measured, which a browser can show."""

import os
import re
import shutil
import subprocess
from html.parser import HTMLParser

import pytest

import moreish
from moreish import report
from moreish.cli import run
from moreish.engine.trace import Tracer

BROWSER = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


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
    assert f"{copied} of 48 samples are in the word list" in found.text
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


@pytest.mark.skipif(
    BROWSER is None and not os.environ.get("MOREISH_NEEDS_BROWSER"), reason="there is no Chromium on this machine"
)
@pytest.mark.parametrize("width", [390, 1100])
def test_a_browser_shows_it_without_a_complaint(page, tmp_path, width):
    assert BROWSER is not None, "MOREISH_NEEDS_BROWSER is set, and there is no Chromium"
    (tmp_path / "report.html").write_text(page, encoding="utf-8")
    # A copy with a script, which the page itself forbids, puts its width into the title.
    probe = re.sub(r'<meta http-equiv="Content-Security-Policy"[^>]*>', "", page)
    asked = "performance.getEntriesByType('resource').length"
    told = f"document.title = [document.documentElement.scrollWidth, window.innerWidth, {asked}].join()"
    (tmp_path / "probe.html").write_text(probe.replace("</body>", f"<script>{told}</script></body>"), encoding="utf-8")
    switches = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync"]
    switches += ["--disable-background-networking", "--disable-component-update", "--enable-logging=stderr"]
    switches += [f"--window-size={width},900", f"--user-data-dir={tmp_path / 'profile'}"]

    def shown(name: str, *more: str) -> subprocess.CompletedProcess:
        address = (tmp_path / name).as_uri()
        return subprocess.run([str(BROWSER), *switches, *more, address], capture_output=True, text=True, timeout=120)

    done = shown("report.html", "--dump-dom")
    assert done.returncode == 0, done.stderr
    assert "CONSOLE" not in done.stderr, done.stderr
    assert "<svg" in done.stdout
    title = re.search(r"<title>(\d+),(\d+),(\d+)</title>", shown("probe.html", "--dump-dom").stdout)
    assert title is not None
    assert int(title[1]) <= int(title[2]), "nothing reaches beyond the page's width"
    assert int(title[3]) == 0, "it asks for nothing"
    picture = tmp_path / f"{width}.png"
    shown("report.html", f"--screenshot={picture}")
    assert picture.stat().st_size > 10_000
