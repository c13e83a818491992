"""The page of the lab in Chromium: it trains, steps, asks, restores, and works at every width."""

import json
import os
import re
from urllib.parse import urlsplit

import pytest
from browser import BROWSER, needs_browser
from labs import SMALL, listed, paused_session, until
from playwright.sync_api import sync_playwright
from served import running

from moreish.lab.app import make_app

pytestmark = needs_browser
TOKEN = "token-of-the-page"
SHOTS = os.environ.get("MOREISH_SHOTS")  # a folder for screenshots, to look at
WORD = "bade"


@pytest.fixture(scope="module")
def browser():
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=BROWSER, args=["--no-sandbox", "--disable-gpu"])
        yield browser
        browser.close()


@pytest.fixture
def session(tmp_path):
    with paused_session(tmp_path) as session:
        yield session


@pytest.fixture
def opened(browser, session):
    """A function that opens the page; no page may write to the console, or ask for anything outside."""
    said, outside, contexts = [], [], []
    with running(make_app(session, TOKEN)) as address:

        def open_page(fragment: str = "", width: int = 1280, height: int = 900, **options):
            context = browser.new_context(viewport={"width": width, "height": height}, **options)
            contexts.append(context)
            page = context.new_page()
            page.set_default_timeout(20_000)
            page.on("console", lambda message: said.append(message.text))
            page.on("pageerror", lambda error: said.append(str(error)))
            own = urlsplit(address).netloc
            page.on(
                "request", lambda request: outside.append(request.url) if urlsplit(request.url).netloc != own else None
            )
            page.goto(f"{address}/{TOKEN}/{fragment}")
            page.wait_for_selector("#panel-losses")
            until_state(page, "step")
            return page

        yield open_page
        for context in contexts:
            context.close()
    assert said == []
    assert [url for url in outside if not url.startswith("data:")] == []


def until_page(page, expression: str) -> None:
    """Wait until an expression is true on the page. (Its policy forbids the waiting of Playwright, which uses eval.)"""
    until(lambda: page.wait_for_timeout(20) or page.evaluate(expression), 120)


def until_text(page, selector: str, text: str) -> None:
    """Wait until the first element that a selector finds has a text."""
    until_page(page, f"document.querySelector({json.dumps(selector)})?.textContent.includes({json.dumps(text)})")


def until_state(page, text: str) -> None:
    """Wait until the line of state has a text."""
    until_text(page, ".state", text)


def until_ended(page, session) -> None:
    until(lambda: session.trainer.status.losses is not None)
    until_state(page, "test ")


def shot(page, name: str) -> None:
    if SHOTS:
        page.screenshot(path=f"{SHOTS}/{name}.png", full_page=True)


def widest(page) -> int:
    """Width of what the page shows, in pixels."""
    return page.evaluate("document.documentElement.scrollWidth")


def test_it_trains_steps_and_starts_anew(opened, session):
    page = opened()
    page.get_by_role("button", name="Step").click()
    until_state(page, "step 1 of")
    assert session.trainer.status.step == 1
    page.get_by_role("button", name="Play").click()
    until_ended(page, session)
    assert page.get_by_role("button", name="Step").is_disabled()
    page.get_by_role("button", name="Start anew").click()
    until(lambda: session.trainer.status.training == 2)
    shot(page, "trained")


def test_letting_go_of_a_slider_starts_a_new_curve_and_keeps_the_old_one(opened, session):
    page = opened()
    page.get_by_role("button", name="Play").click()
    until_ended(page, session)
    slider, number = page.get_by_label("lr, slider"), page.locator("#option-lr")
    box, before = slider.bounding_box(), number.input_value()
    assert box is not None
    middle = box["y"] + box["height"] / 2
    page.mouse.move(box["x"] + box["width"] / 2, middle)
    page.mouse.down()
    page.mouse.move(box["x"] + 0.8 * box["width"], middle)
    until(lambda: page.wait_for_timeout(20) or number.input_value() != before)
    assert session.trainer.status.training == 1, "the training starts anew when the slider is let go, and not before"
    page.mouse.up()
    until(lambda: session.trainer.status.training == 2)
    until_page(page, "document.querySelector('#panel-losses [data-training]')?.dataset.training === '2'")
    until_page(page, "Number(document.querySelector('#panel-losses [data-points]').dataset.points) > 0")
    assert session.facts()["options"]["lr"] > 0.012
    assert page.locator("#panel-losses [class*=ghost]").count() > 0
    assert "--lr" in page.locator("#command").inner_text()
    until_ended(page, session)
    shot(page, "ghost")


def test_a_cell_of_the_pairs_shows_its_words(opened, session):
    page = opened()
    page.locator("#panel-pairs [role=gridcell]").nth(12).click()
    page.wait_for_selector("#panel-pairs mark")
    shot(page, "pairs")


def test_a_typed_word_and_prefix_are_answered_with_the_present_weights(opened, session):
    page = opened()
    prefix = page.locator("#panel-next input[type=text], #panel-next input:not([type])").first
    prefix.fill("ba")
    until_page(page, "document.querySelectorAll('#panel-next .bars > *').length > 3")
    bars = page.locator("#panel-next .bars").inner_text()
    word = page.locator("#panel-score input").first
    word.fill(WORD)
    score = session.trainer.snapshot.run.model.score(WORD)
    until_text(page, "#panel-score", f"{score.nll:.2f}")
    page.get_by_role("button", name="Play").click()
    until_ended(page, session)
    prefix.scroll_into_view_if_needed()  # what is out of view stands still
    until_page(page, f"document.querySelector('#panel-next .bars').innerText !== {json.dumps(bars)}")
    score = session.trainer.snapshot.run.model.score(WORD)
    until_text(page, "#panel-score", f"{score.nll:.2f}")
    shot(page, "asked")


def test_a_link_restores_everything(opened, session):
    page = opened(f"#list=own&model=gru&n-hidden=12&lr=0.02&steps=40&ask.word={WORD}")
    until(lambda: session.facts()["model"] == "gru")
    assert session.facts()["options"] == {"n_hidden": 12, "lr": 0.02, "steps": 40}
    assert page.locator("#model").input_value() == "gru"
    page.locator("#panel-score").scroll_into_view_if_needed()
    until_page(page, f"document.querySelector('#panel-score input').value === '{WORD}'")
    link = page.url
    session.configure("own", "mlp", SMALL)
    other = opened(link[link.index("#") :])
    until(lambda: session.facts()["model"] == "gru")
    assert other.locator("#option-lr").input_value() == "0.02"


def test_two_pages_see_one_training(opened, session):
    first, second = opened(), opened()
    first.locator("#model").select_option("rnn")
    until(lambda: session.facts()["model"] == "rnn")
    until_page(second, "document.querySelector('#model').value === 'rnn'")
    second.get_by_role("button", name="Step").click()
    until_state(first, "step 1 of")


def test_a_wrong_value_is_said_and_changes_nothing(opened, session):
    page = opened()
    before = session.facts()
    page.locator("#option-lr").fill("0")
    page.locator("#option-lr").press("Enter")
    until_text(page, "#settings .error", "--lr is 0")
    assert session.facts() == before


def test_a_diverging_training_says_so(opened, session):
    page = opened("#list=own&model=mlp&lr=1000000&optimizer=sgd&steps=200")
    until(lambda: session.facts()["options"].get("optimizer") == "sgd")
    page.get_by_role("button", name=re.compile("Play|Train again")).click()
    until_text(page, "#trouble", "not finite")
    shot(page, "diverged")


def test_a_pasted_list_is_described_and_trained_on(opened, session):
    page = opened()
    page.get_by_text("Your own list").click()
    page.locator("textarea").fill("\n".join(["Anna", *(listed()[i] for i in range(50))]))
    page.get_by_role("button", name=re.compile("words", re.I)).first.click()
    until(lambda: session.facts()["list"] not in ("own", "names"))
    until_text(page, "#settings", "51 words")
    until_text(page, "#settings", "capital")


def test_the_gradient_is_shown_by_hand_by_autograd_and_by_a_difference(opened, session):
    page = opened()
    panel = page.locator("#panel-gradient")
    panel.scroll_into_view_if_needed()
    until_text(page, "#panel-gradient", "def backward")
    assert "linear.py" in panel.inner_text() or ".py" in panel.inner_text()
    shot(page, "gradient")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 1920])
def test_it_fits_every_width(opened, session, width, scheme):
    page = opened(width=width, color_scheme=scheme, reduced_motion="reduce")
    page.get_by_role("button", name="Play").click()
    until_ended(page, session)
    page.wait_for_timeout(500)
    assert widest(page) <= width
    if width == 360:
        page.get_by_text("Settings", exact=True).click()
        assert widest(page) <= width
    shot(page, f"{width}-{scheme}")


def test_every_control_has_a_name_and_can_be_reached_by_keyboard(opened):
    page = opened()
    for panel in page.locator(".panel").all():
        panel.scroll_into_view_if_needed()
        page.wait_for_timeout(300)
    until_text(page, "#panel-gradient", "def backward")
    nameless = page.evaluate(
        """() => {
            const named = e => e.labels?.length || e.getAttribute("aria-label") || e.getAttribute("aria-labelledby")
                || e.querySelector("title") || e.textContent.trim();
            return [...document.querySelectorAll("input, select, textarea, button, [role=gridcell], [tabindex='0']")]
                .filter(e => e.checkVisibility() && !named(e)).map(e => e.outerHTML);
        }"""
    )
    assert nameless == []
    hidden = page.evaluate(
        """() => [...document.querySelectorAll("button, input, select, textarea")]
            .filter(e => e.checkVisibility() && e.tabIndex < 0 && !e.closest("[role=grid], [role=radiogroup]"))
            .map(e => e.outerHTML)"""
    )
    assert hidden == []
    seen = set()
    for _ in range(40):
        page.keyboard.press("Tab")
        seen.add(page.evaluate("document.activeElement.outerHTML"))
    assert len(seen) > 30


def test_it_connects_again(browser, session):
    """A page that has lost the lab says so, and goes on when it answers again."""
    app = make_app(session, TOKEN)
    context = browser.new_context()
    page = context.new_page()
    with running(app) as address:
        page.goto(f"{address}/{TOKEN}/")
        until_state(page, "step")
    until_text(page, "#trouble", "does not answer")
    port = int(address.rpartition(":")[2])
    with running(make_app(session, TOKEN), port):
        until_page(page, "!document.querySelector('#trouble').textContent.includes('does not answer')")
        page.get_by_role("button", name="Step").click()
        until_state(page, "step 1 of")
    context.close()
