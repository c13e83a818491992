"""Serving a run with labels."""

import asyncio

import httpx
import pytest
from conftest import made_up_words
from served import error_of

import moreish
from moreish.analysis.classification import Classifier
from moreish.serving import make_app


@pytest.fixture(scope="module")
def run() -> moreish.Run:
    kinds = {"first": made_up_words(300, 1, "abcde"), "other": made_up_words(200, 2, "acfgh")}
    words = [word for kind in kinds.values() for word in kind]
    return moreish.train(words, "ngram", order=3, labels=[name for name, kind in kinds.items() for _ in kind])


def ask(run: moreish.Run, *requests: tuple[str, str, dict]) -> list[httpx.Response]:
    """Send requests (method, path, body or query) to a server of a run."""
    app = make_app(run, false_positive_rate=0.1)

    async def answers():
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://localhost") as client:
            return [
                await client.request(method, path, **{"json" if method == "POST" else "params": given})  # pyright: ignore[reportArgumentType]
                for method, path, given in requests
            ]

    return asyncio.run(answers())


def test_what_is_given_a_label_is_that_labels(run):
    label, words = {"label": "other"}, ["acha", "bade"]
    requests = [
        ("POST", "/sample", {"n": 40, "seed": 5, **label}),
        ("POST", "/most-likely", {"n": 7, "max_length": 4, **label}),
        ("POST", "/score", {"words": words, **label}),
        ("GET", "/score", {"word": words, **label}),
        ("POST", "/next", {"prefix": "ha", **label}),
        ("GET", "/next", {"prefix": "ha", **label}),
    ]
    drawn, likely, scored, scored_too, after, after_too = (answer.json() for answer in ask(run, *requests))
    assert [found["word"] for found in drawn["samples"]] == run.model.sample(40, seed=5, label="other")
    expected = run.model.most_likely(7, max_length=4, label="other")
    assert [(found["word"], found["probability"]) for found in likely["words"]] == [
        (at.word, pytest.approx(at.probability)) for at in expected
    ]
    scorer = moreish.Scorer(run, 0.1, label="other")
    assert scored == scored_too
    assert [found["nll"] for found in scored["scores"]] == [scorer.score(word).nll for word in words]
    assert [found["percentile"] for found in scored["scores"]] == [scorer.score(word).percentile for word in words]
    assert after == after_too
    expected = run.model.next("ha", label="other")
    assert {"": after["end"], **{found["char"]: found["probability"] for found in after["next"]}} == expected
    assert expected != run.model.next("ha")


def test_without_a_label_it_is_the_sum_over_labels(run):
    drawn, after = (
        answer.json() for answer in ask(run, ("POST", "/sample", {"n": 40, "seed": 5}), ("GET", "/next", {}))
    )
    assert [found["word"] for found in drawn["samples"]] == run.model.sample(40, seed=5)
    assert after["end"] == run.model.next()[""]


def test_words_are_classified(run):
    words = ["acha", "bade", "日本", "a" * 50]
    index, posted, got = (
        answer.json()
        for answer in ask(
            run, ("GET", "/", {}), ("POST", "/classify", {"words": words}), ("GET", "/classify", {"word": words})
        )
    )
    assert index["labels"] == ["first", "other"]
    assert index["paths"]["/classify"].startswith("GET, POST")
    assert posted == got
    assert posted == {"words": [found.as_json() for found in Classifier(run).each(words)]}
    assert [found["label"] for found in posted["words"][:2]] == ["other", "first"]
    assert sum(posted["words"][0]["probabilities"].values()) == pytest.approx(1)


def test_wrong_labels_are_refused(run, saved_run):
    wrong = [
        ("POST", "/sample", {"label": "othre"}),
        ("POST", "/most-likely", {"label": "othre"}),
        ("POST", "/score", {"words": ["ba"], "label": "othre"}),
        ("GET", "/score", {"word": "ba", "label": "othre"}),
        ("POST", "/next", {"label": "othre"}),
        ("GET", "/next", {"label": "othre"}),
    ]
    for answer in ask(run, *wrong):
        assert answer.status_code == 422
        assert "unknown label othre; did you mean other?" in error_of(answer)
    classify = ("POST", "/classify", {"words": ["ba"]})
    index, *refused = ask(saved_run, ("GET", "/", {}), classify, *wrong)
    assert index.json()["labels"] == []
    for answer in refused:
        assert answer.status_code == 422
        assert "has no labels" in error_of(answer)
    for answer in ask(run, ("POST", "/classify", {"words": [""]}), ("POST", "/classify", {"words": []})):
        assert answer.status_code == 422
        assert error_of(answer).startswith("words")
    (long,) = ask(run, ("POST", "/classify", {"words": ["a" * 900] * 1000}))
    assert "send fewer" in error_of(long)


def test_a_label_without_val_words_has_no_scores():
    words = made_up_words(200, 4)
    run = moreish.train([*words, "zaza"], "ngram", order=3, labels=["many"] * 200 + ["one"])
    assert "zaza" not in run.corpus.parts["val"]
    query = {"word": "zaza", "label": "one"}
    scored, after = ask(run, ("GET", "/score", query), ("GET", "/next", {"label": "one"}))
    assert scored.status_code == 422
    assert "no val word has the label one" in error_of(scored)
    assert after.status_code == 200
