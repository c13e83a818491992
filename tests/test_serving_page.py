"""Serving: the page that browsers get at the root."""

import base64
import hashlib
import html
import re
from html.parser import HTMLParser
from urllib.parse import urlencode

import httpx
import pytest
from browser import browsed, needs_browser
from served import started

import moreish

BROWSERS = {
    "Chromium": "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,image/apng,*/*;q=0.8",
    "Firefox": "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8",
    "Lynx": "text/html, text/plain, text/sgml, text/css, application/xhtml+xml, */*;q=0.01",
}
HTML = [
    *BROWSERS.values(),
    "text/html",
    "text/*",
    "TEXT/HTML; charset=utf-8",
    "application/json;q=0.5, text/html;q=0.501",
]
JSON = [
    "*/*",
    "application/json",
    "application/json, text/html",
    "text/html;q=0.9, application/json",
    "text/html;q=0.9, application/*",
    "text/html;q=0, */*",
    "text/html;q=x, */*;q=0.1",
    "image/png",
    "",
    ";;,,q=",
]


def test_a_browser_gets_a_page_and_a_program_json(client, saved_run):
    plain = client.get("/", headers={"Accept": "*/*"})
    assert plain.json()["words"] == len(saved_run.corpus.words)
    for accept in JSON:
        answer = client.get("/", headers={"Accept": accept})
        assert answer.content == plain.content, accept
        assert (answer.headers["content-type"], answer.headers["vary"]) == ("application/json", "Accept")
    page = client.get("/", headers={"Accept": BROWSERS["Chromium"]})
    for accept in HTML:
        answer = client.get("/", headers={"Accept": accept})
        assert answer.content == page.content, accept
        assert (answer.headers["content-type"], answer.headers["vary"]) == ("text/html; charset=utf-8", "Accept")
    assert set(client.get("/openapi.json").json()["paths"]["/"]["get"]["responses"]["200"]["content"]) == {
        "application/json",
        "text/html",
    }


class Page(HTMLParser):
    """The contents of a page: the text in each element with an id, and that of list items; tags and attributes."""

    def __init__(self, page: str):
        super().__init__()
        self.attributes: list[tuple[str, str | None]] = []
        self.tags: set[str] = set()
        self.text: dict[str, str] = {}
        self.items: dict[str, list[str]] = {}
        self.open: list[tuple[str, str | None]] = []
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)
        self.attributes += attrs
        if tag not in ("input", "meta", "link"):
            self.open.append((tag, dict(attrs).get("id")))
        if tag in ("li", "option"):
            for _, name in self.open:
                self.items.setdefault(name or "", []).append("")

    def handle_endtag(self, tag):
        while self.open and self.open.pop()[0] != tag:
            pass

    def handle_data(self, data):
        for _, name in self.open:
            self.text[name or ""] = self.text.get(name or "", "") + data
            if any(tag in ("li", "option") for tag, _ in self.open):
                self.items[name or ""][-1] += data


def test_its_policy_allows_nothing_but_its_own_script_and_style(client):
    answer = client.get("/", headers={"Accept": "text/html"})
    page = answer.text
    policy = dict(rule.split(" ", 1) for rule in answer.headers["content-security-policy"].split("; "))
    for tag in ("script", "style"):
        (content,) = re.findall(rf"<{tag}>(.*?)</{tag}>", page, re.DOTALL)
        digest = base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()
        assert policy.pop(f"{tag}-src") == f"'sha256-{digest}'"
    assert policy.pop("connect-src") == "'self'"
    assert policy.pop("img-src") == "data:"
    assert policy.pop("require-trusted-types-for") == "'script'"
    assert set(policy) == {"default-src", "base-uri", "form-action", "frame-ancestors"}
    assert set(policy.values()) == {"'none'"}
    assert answer.headers["x-content-type-options"] == "nosniff"
    attributes = Page(page).attributes
    assert [value for name, value in attributes if name in ("src", "href", "action")] == ["data:,"]
    assert not [name for name, _ in attributes if name.startswith("on") or name == "style"]
    assert not re.search(r"https?:|innerHTML|outerHTML|insertAdjacent|document\.write|\beval\b", page)


def opened(address: str, profile, **state) -> tuple[Page, str]:
    """Open the page with a state in its address; return what it shows once it is at rest, and the browser's log."""
    done = browsed(f"{address}#{urlencode(state)}", profile, "--virtual-time-budget=10000", "--dump-dom")
    assert done.returncode == 0, done.stderr
    return Page(done.stdout), done.stderr


@needs_browser
def test_a_browser_shows_words_a_score_and_next_characters(address, saved_run, tmp_path):
    model, corpus = saved_run.model, saved_run.corpus
    page, log = opened(address, tmp_path, prefix="ba", n=7, seed=3, temperature=0.5, word="badé", beginning="g")
    assert "CONSOLE" not in log, log
    assert page.text["name"] == "small"
    assert "400 words" in page.text["about"]
    marked = [(word, corpus.mark(word)) for word in model.sample(7, seed=3, temperature=0.5, prefix="ba")]
    assert page.items["words"] == [word + (f" in {mark}" if mark != "new" else "") for word, mark in marked]
    known = sum(mark != "new" for _, mark in marked)
    assert known > 1
    assert page.text["drawn"].startswith(f"{known} of 7 are in the list, as marked.")
    score = model.score("badé")
    assert page.text["verdict"].startswith(f"{score.nll:.2f} nats per character")
    assert "It is unlikely to belong to the list. The model does not know é." in page.text["verdict"]
    surprise = zip(score.per_char, ["b", "a", "d", "é", "end"], strict=True)
    assert page.items["surprise"] == [f"{nats:.1f}{char}" for nats, char in surprise]
    likely = sorted(model.next("g").items(), key=lambda pair: -pair[1])
    assert page.items["following"] == [f"{char or 'end'}{100 * p:.1f}%" for char, p in likely]
    assert page.items["labels"] == ["any"]

    page, log = opened(address, tmp_path)
    assert "CONSOLE" not in log, log
    assert len(page.items["words"]) == 20
    first = page.items["words"][0].split(" ")[0]
    assert page.items["surprise"][-1].endswith("end")
    assert len(page.items["surprise"]) == len(first) + 1, "it begins with the score of the first word"


@needs_browser
@pytest.mark.parametrize(
    ("state", "says"),
    [
        ({"prefix": "x"}, "'x' is not in the word list"),
        ({"prefix": "bad", "max_length": 2}, "no word fits maximum length 2 and prefix bad"),
        ({"min_length": 5, "max_length": 3}, "maximum length is 3: it must be at least minimum length 5"),
        ({"n": 10_001}, "Words: Value must be less than or equal to 10000."),
    ],
    ids=str,
)
def test_it_shows_an_error_in_one_line(address, tmp_path, state, says):
    done = browsed(f"{address}#{urlencode(state)}", tmp_path, "--virtual-time-budget=10000", "--dump-dom")
    errors = [html.unescape(found) for found in re.findall(r'<p class="error" role="alert">([^<]+)</p>', done.stdout)]
    assert len(errors) == 1
    assert says in errors[0]


BELOW = """
import sys, uvicorn, moreish
from starlette.applications import Starlette
from starlette.routing import Mount
from moreish.serving import Limits, make_app
app = Starlette(routes=[Mount("/some/path", make_app(moreish.load(sys.argv[1]), limits=Limits(samples=5)))])
config = uvicorn.Config(app, port=0, log_level="error")
server = uvicorn.Server(config)
socket = config.bind_socket()
print(f"http://127.0.0.1:{socket.getsockname()[1]}", flush=True)
server.run([socket])
"""


@needs_browser
def test_it_works_below_a_path_shows_markup_as_text_and_keeps_to_the_limits(words, tmp_path):
    strange = [f"<b>{word}\u200d" for word in words]
    labels = ["<u>long" if len(word) > 5 else "&amp;short" for word in words]
    run = moreish.train(strange, "ngram", order=3, labels=labels, out=tmp_path / "run")
    with started("-c", BELOW, tmp_path / "run") as (_, address):
        assert httpx.get(f"{address}/some/path/").json()["labels"] == sorted(set(labels))
        state = {"label": "<u>long", "word": "<b>ba\u200d", "beginning": "<", "seed": 1}
        page, log = opened(f"{address}/some/path/", tmp_path / "profile", **state)
    assert "CONSOLE" not in log, log
    assert not {"b", "u"} & page.tags
    drawn = run.model.sample(5, seed=1, label="<u>long")
    assert [each.split(" in ")[0] for each in page.items["words"]] == drawn
    assert any(word.startswith("<b>") for word in drawn)
    assert [each.lstrip("0123456789.") for each in page.items["surprise"]] == [*"<b>ba", "U+200D", "end"]
    assert page.items["following"][0].startswith("b")
    assert page.items["labels"] == ["any", *sorted(set(labels))]
    assert {each.rstrip("0123456789.%") for each in page.items["classes"]} == set(labels)
