"""The panels that ask, in Chromium: next character, surprise, steering, along a word, one gradient."""

import re

import pytest
from browser import needs_browser
from labs import until
from test_lab_page import browser as browser
from test_lab_page import opened as opened
from test_lab_page import session as session
from test_lab_page import until_page, until_text

pytestmark = needs_browser
BARS = "#panel-next .bars button"


def test_a_bar_adds_its_character_and_the_end_hands_the_word_on(opened, session):
    page = opened("#list=own&model=bigram")
    until(lambda: session.trainer.snapshot.run.model.name == "bigram")
    prefix, word = page.locator("#panel-next input[type=text]"), page.locator("#panel-score input")
    prefix.scroll_into_view_if_needed()
    until_text(page, "#panel-next .bars", "%")
    page.get_by_role("button", name=re.compile("^b: ")).click()
    until(lambda: prefix.input_value() == "b")
    prefix.press("End")
    prefix.type("a")
    until_page(page, f"[...document.querySelectorAll('{BARS}')].some(e => e.ariaLabel.startsWith('end: '))")
    expected = session.trainer.snapshot.run.model.next("ba")
    until_page(page, f"document.querySelector('{BARS}').ariaLabel.endsWith(': {100 * max(expected.values()):.0f}%')")
    shown = page.locator(BARS).evaluate_all("all => all.map(e => e.ariaLabel.split(': ')[0])")
    assert shown[:8] == [char or "end" for char in sorted(expected, key=lambda char: -expected[char])]
    prefix.press("Backspace")
    until(lambda: prefix.input_value() == "b")
    prefix.type("ab")
    prefix.press("Backspace")
    page.wait_for_timeout(300)
    page.get_by_role("button", name=re.compile("^end: ")).click()
    until(lambda: word.input_value() == "ba")
    assert prefix.input_value() == ""
    until(lambda: "next.prefix" not in page.evaluate("location.hash"))


def test_words_are_drawn_again_and_anew_and_a_wrong_pattern_is_said(opened, session):
    page = opened("#list=own&model=bigram")
    until(lambda: session.trainer.snapshot.run.model.name == "bigram")
    panel = page.locator("#panel-steer")
    panel.scroll_into_view_if_needed()
    pattern = panel.get_by_label("pattern")
    pattern.fill("b*a")
    pattern.press("Tab")
    until_text(page, "#panel-steer .result", "Drawn at random")
    run = session.trainer.snapshot.run
    drawn = panel.locator(".samples .word").all_inner_texts()
    assert drawn == run.model.sample(12, seed=42, pattern="b*a")
    panel.get_by_role("button", name="Draw").click()
    until(lambda: panel.locator(".samples .word").all_inner_texts() == run.model.sample(12, seed=43, pattern="b*a"))
    panel.get_by_role("button", name="Most likely").click()
    until_text(page, "#panel-steer .result", "probability")
    assert panel.locator("tbody .word").first.inner_text() == run.model.most_likely(1, pattern="b*a")[0].word
    pattern.fill("[b")
    pattern.press("Tab")
    until_text(page, "#panel-steer .error", "never closed")


@pytest.mark.parametrize(("panel", "field", "typed"), [("steer", "pattern", "b*a"), ("gradient", "row", "3")])
def test_a_step_leaves_alone_what_is_being_typed(opened, session, panel, field, typed):
    page = opened()
    page.locator(f"#panel-{panel}").scroll_into_view_if_needed()
    until_text(page, "#panel-gradient", "after step 0")
    field = page.locator(f"#panel-{panel}").get_by_label(field, exact=True)
    field.fill(typed)
    session.trainer.step()
    until_text(page, "#panel-gradient", "after step 1")
    page.wait_for_timeout(500)
    assert field.input_value() == typed
    field.press("Tab")
    until(lambda: f"{panel}.{'row' if typed == '3' else 'pattern'}" in page.evaluate("location.hash"))


@pytest.mark.parametrize(("model", "told"), [("gru", "unit 1 is"), ("transformer", "of the attention is on")])
def test_a_map_along_a_word_is_read_with_the_arrow_keys(opened, session, model, told):
    page = opened(f"#list=own&model={model}&n-embd=8&ask.word=bade" + ("&n-hidden=8" if model == "gru" else ""))
    until(lambda: session.trainer.snapshot.run.model.name == model)
    frame = page.locator("#panel-along .frame")
    page.locator("#panel-along").scroll_into_view_if_needed()
    until_page(page, "document.querySelector('#panel-along .frame')?.checkVisibility()")
    frame.focus()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowRight")
    until_text(page, "#panel-along .reading", told)
    assert "After b" in page.locator("#panel-along .reading").inner_text()


def test_a_cell_of_a_gradient_is_chosen_and_its_three_numbers_agree(opened, session):
    page = opened("#gradient.parameter=2.linear.W")
    panel = page.locator("#panel-gradient")
    panel.scroll_into_view_if_needed()
    until_page(page, "document.querySelectorAll('#panel-gradient .numbers .digits b').length === 4")
    row, column = (int(panel.get_by_label(name, exact=True).input_value()) for name in ("row", "column"))
    panel.locator(".frame").focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowUp" if row else "ArrowDown")
    page.keyboard.press("Enter")
    chosen = (row - 1 if row else 1, column)
    until_text(page, "#panel-gradient .compared", f"2.linear.W[{chosen[0]}, {chosen[1]}]")
    until_page(page, "document.querySelectorAll('#panel-gradient .numbers .digits b').length === 4")
    texts = panel.locator(".numbers .digits b").all_inner_texts()
    assert all(len(re.sub(r"^\D*0*\.?0*|\D", "", text)) >= 5 for text in texts), texts
    page.get_by_role("button", name="Step").click()
    until_text(page, "#panel-gradient .compared", "after step 1")
