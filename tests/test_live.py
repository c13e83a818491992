"""Live pictures of the lessons: their data are what the library computes, and a page and a notebook show them."""

import base64
import json
import re
import runpy
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from browser import BROWSER, needs_browser
from conftest import made_up_words
from playwright.sync_api import Page, sync_playwright

import moreish
from moreish import InputError
from moreish.analysis.attention import attention
from moreish.export.arrays import as_quantised
from moreish.lessons import live

GAINS = (0.3, 5 / 3, 8.0)
SENTENCE = re.compile(r"After (.+): (\d\.\d{3}) of the attention is on (.+)\.")
VIEW = "application/vnd.jupyter.widget-view+json"


@pytest.fixture(scope="module")
def run() -> moreish.Run:
    options: dict[str, Any] = {"n_embd": 8, "n_head": 2, "n_layer": 3, "dropout": 0.1, "steps": 20, "batch_size": 16}
    run = moreish.train(made_up_words(300), "transformer", **options)
    run.model.params += 0.3 * np.random.default_rng(3).standard_normal(run.model.params.size).astype(np.float32)
    return run


@pytest.fixture(scope="module")
def outputs() -> dict[float, np.ndarray]:
    """Outputs of 150 examples and 37 units for each gain, of which one is dead at the largest."""
    z = np.random.default_rng(1).standard_normal((150, 37))
    z[:, 5] = np.abs(z[:, 5]) + 1
    return {gain: np.tanh(gain * z) for gain in GAINS}


@pytest.fixture(scope="module")
def losses() -> dict[float, np.ndarray]:
    """Losses of 250 steps, of which those of the largest rate are not all numbers."""
    noise = np.random.default_rng(2).standard_normal((3, 250))
    made = {rate: 3 - rate + 0.1 * each for rate, each in zip((0.01, 0.1, 1.0), noise, strict=True)}
    made[1.0][150:] = np.nan
    return made


def in_page(picture: live.Live) -> str:
    bundle, _ = picture._repr_mimebundle_()
    return live.html(bundle[live.MIME], bundle["image/png"])


def test_the_images_are_the_saturated_outputs(outputs):
    data = live.saturation(outputs, slider="gain", at=5 / 3).data
    assert data["slider"] == {"label": "gain", "values": list(GAINS), "at": 1}
    for values, packed, caption in zip(outputs.values(), data["images"], data["captions"], strict=True):
        white = np.abs(values) > 0.97
        bits = np.unpackbits(np.frombuffer(base64.b64decode(packed), np.uint8))[: 100 * 37].reshape(100, 37)
        assert (bits == white[:100]).all()
        assert f"{white.mean():.0%} saturated, {white.all(0).sum()} of 37 units dead" in caption
    assert "1 of 37 units dead" in data["captions"][2]
    with pytest.raises(InputError, match="gain 2 is not among the positions: 0.3, 1.66667, 8"):
        live.saturation(outputs, slider="gain", at=2)


def test_a_point_of_a_curve_is_the_mean_of_its_steps(losses):
    data = live.curves(losses, slider="rate", at=0.1, top=4.0).data
    assert data["x"][-1] == 250
    assert len(data["x"]) == 100
    ends = [0, *data["x"]]
    for values, curve in zip(losses.values(), data["curves"], strict=True):
        for i, y in enumerate(curve):
            mean = values[ends[i] : ends[i + 1]].mean()
            assert y is None if np.isnan(mean) else y == pytest.approx(mean, abs=1e-4)
    assert None in data["curves"][2]
    assert data["captions"][2].endswith("the loss is no longer a number")
    json.dumps(data, allow_nan=False)
    with pytest.raises(InputError, match="no loss is a number"):
        live.curves({1.0: [np.nan, np.inf]}, slider="rate", at=1.0, top=4.0)


def test_only_a_net_with_attention_and_without_labels_has_live_attention(run):
    with pytest.raises(InputError, match="no attention"):
        live.attention(moreish.train(made_up_words(50), "mlp", steps=1), "ba")
    words = made_up_words(50)
    labelled = moreish.train(words, "transformer", n_embd=8, n_head=2, steps=1, labels=["a", "b"] * 25)
    with pytest.raises(InputError, match="with labels"):
        live.attention(labelled, "ba")
    with pytest.raises(InputError, match="character"):
        live.attention(run, "xyz")


def test_a_cell_shows_the_live_picture_only_with_anywidget(outputs, monkeypatch):
    picture = live.saturation(outputs, slider="gain", at=5 / 3)
    bundle, _ = picture._repr_mimebundle_()
    assert json.loads(bundle[live.MIME]) == picture.data
    assert bundle[VIEW]["model_id"] == picture._widget.model_id
    assert picture._widget.data == picture.data
    monkeypatch.setitem(sys.modules, "anywidget", None)  # as if it were not installed
    plain, size = picture._repr_mimebundle_()
    assert set(plain) == {"text/plain", "image/png", live.MIME}
    assert plain["image/png"] == bundle["image/png"]
    assert base64.b64decode(plain["image/png"]).startswith(b"\x89PNG")
    assert set(size["image/png"]) == {"width", "height"}


@pytest.fixture(scope="module")
def browser():
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=BROWSER, args=["--no-sandbox", "--disable-gpu"])
        yield browser
        browser.close()


@pytest.fixture
def opened(browser):
    """Open a page with live pictures of a file, or with the widget of a notebook; at the end, nothing went wrong."""
    said: list[str] = []
    contexts = []

    def page(**options: Any) -> Page:
        context = browser.new_context(**options)
        contexts.append(context)
        made = context.new_page()
        made.on("console", lambda message: said.append(message.text))
        made.on("pageerror", lambda error: said.append(str(error)))
        made.on("request", lambda request: request.url.startswith("http") and said.append(request.url))
        return made

    yield page
    for context in contexts:
        context.close()
    assert said == []


def written(folder: Path, *pieces: str, colours: str = "") -> str:
    """Write a page of pictures and return its address."""
    head = f'<!doctype html><html lang="en"><meta charset="utf-8"><title>t</title><body style="{colours}">'
    (folder / "page.html").write_text(f"{head}{''.join(pieces)}<script>{live.script()}</script>", encoding="utf-8")
    return (folder / "page.html").as_uri()


def in_notebook(page: Page, picture: live.Live) -> None:
    """Mount the widget's module as anywidget does: from a blob, with a model that has the data."""
    page.set_content('<!doctype html><html lang="en"><title>t</title><body><div id="cell"></div>')
    page.evaluate(
        """async ([code, data]) => {
          const url = URL.createObjectURL(new Blob([code], { type: "text/javascript" }));
          const { default: widget } = await import(url);
          const el = document.createElement("div");
          window.end = widget.render({ model: { get: (name) => ({ data })[name] }, el });
          document.getElementById("cell").append(el);
        }""",
        [live.module(), picture.data],
    )


def drawn_bits(page: Page) -> np.ndarray:
    """White pixels of the image."""
    pixels = page.locator("canvas").evaluate(
        """(canvas) => {
          const copy = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
          [copy.canvas.width, copy.canvas.height] = [canvas.width, canvas.height];
          copy.drawImage(canvas, 0, 0);
          return [canvas.height, canvas.width, ...copy.getImageData(0, 0, canvas.width, canvas.height).data];
        }"""
    )
    return np.array(pixels[2:]).reshape(pixels[0], pixels[1], 4)[:, :, 0] == 255


@needs_browser
@pytest.mark.parametrize("kernel", [False, True])
def test_the_slider_shows_the_image_of_its_position(outputs, opened, tmp_path, kernel):
    picture = live.saturation(outputs, slider="gain", at=5 / 3)
    page = opened()
    if kernel:
        in_notebook(page, picture)
    else:
        page.goto(written(tmp_path, in_page(picture)))
    slider = page.get_by_role("slider", name="gain")
    assert slider.get_attribute("aria-valuetext") == "gain 1.67"
    assert (drawn_bits(page) == (np.abs(outputs[5 / 3][:100]) > 0.97)).all()
    for key, gain in (("ArrowRight", 8.0), ("ArrowRight", 8.0), ("Home", 0.3)):
        slider.press(key)
        assert (drawn_bits(page) == (np.abs(outputs[gain][:100]) > 0.97)).all()
        caption = picture.data["captions"][GAINS.index(gain)]
        assert page.get_by_text(caption, exact=True).is_visible()
        assert page.locator("canvas").get_attribute("aria-label") == caption
    assert not page.locator("img").count() or not page.locator("img").is_visible()


@needs_browser
def test_the_slider_shows_the_curve_of_its_position(losses, opened, tmp_path):
    picture = live.curves(losses, slider="learning rate", at=0.1, top=4.0)
    page = opened()
    page.goto(written(tmp_path, in_page(picture)))
    slider = page.get_by_role("slider", name="learning rate")
    shapes = {}
    for key, at in (("ArrowLeft", 0), ("ArrowRight", 1), ("End", 2)):
        slider.press(key)
        paths = page.locator("svg g path").evaluate_all(
            "all => all.map((e) => [e.getAttribute('class'), e.getAttribute('d')])"
        )
        assert [kind for kind, _ in paths] == ["other"] * 3 + ["chosen"]
        assert paths[3][1] == paths[at][1]  # the chosen curve is that of the position
        shapes[at] = paths[3][1]
        assert page.get_by_text(picture.data["captions"][at], exact=True).is_visible()
    assert len(set(shapes.values())) == 3
    assert [shape.count("M") + shape.count("L") for shape in shapes.values()] == [100, 100, 50]  # NaN is not drawn
    page.locator("svg").focus()
    page.keyboard.press("Home")
    assert "loss (nats):" in page.locator(".at-cursor").inner_text()


@needs_browser
@pytest.mark.parametrize("bits", [8, 32])
def test_the_attention_of_a_typed_word_is_that_of_python(run, opened, tmp_path, bits):
    page = opened()
    page.goto(written(tmp_path, in_page(live.attention(run, "bada", bits=bits))))
    model = as_quantised(run.model) if bits == 8 else run.model
    word, frame = page.get_by_role("textbox", name="word"), page.get_by_role("application")
    for typed, layer, head in (("bada", 0, 0), ("cafebaga", 2, 1), ("b", 1, 0)):
        word.fill(typed)
        page.get_by_role("combobox", name="layer").select_option(str(layer + 1))
        page.get_by_role("combobox", name="head").select_option(str(head + 1))
        assert f"layer {layer + 1}, head {head + 1}, over {typed}" in (frame.get_attribute("aria-label") or "")
        weights, names = attention(model, typed)[layer][head], ["the start", *typed]
        frame.press("ArrowDown")  # to the first cell
        for row, read_last in enumerate(names):
            for column in range(row + 1):
                found = SENTENCE.fullmatch(page.locator(".reading").inner_text())
                assert found is not None
                assert (found[1], found[3]) == (read_last, names[column])
                assert float(found[2]) == pytest.approx(weights[row, column], abs=6e-4)
                frame.press("ArrowRight")
            frame.press("Home")
            frame.press("ArrowDown")
    word.fill("bxa")
    assert "does not know the character x" in (page.locator(".error").text_content() or "")
    word.fill("")
    assert page.locator(".error").text_content() == ""


@needs_browser
def test_the_picture_is_as_dark_as_the_page_around_it_and_follows_it(outputs, opened, tmp_path):
    picture = live.saturation(outputs, slider="gain", at=5 / 3)
    page = opened(color_scheme="dark", reduced_motion="reduce")
    page.goto(written(tmp_path, in_page(picture), colours="color: #111; background: #fff"))
    colour = "getComputedStyle(document.querySelector('.moreish-live')).getPropertyValue('--page').trim()"
    assert page.evaluate(colour) == "#fff"
    page.evaluate("document.body.style.color = '#eee'")
    page.wait_for_function(f"{colour} !== '#fff'")


@needs_browser
def test_without_scripts_the_plain_picture_is_shown(outputs, opened, tmp_path):
    page = opened(java_script_enabled=False)
    page.goto(written(tmp_path, in_page(live.saturation(outputs, slider="gain", at=5 / 3))))
    image = page.get_by_role("img", name="Saturated outputs at each gain")
    assert image.is_visible()
    box = image.bounding_box()
    assert box is not None
    assert box["width"] > 300


@needs_browser
@pytest.mark.parametrize(("lesson", "slider"), [("02_mlp", "learning rate"), ("03_activations_batchnorm", "gain")])
def test_the_documentation_has_the_live_picture_of_a_lesson(lesson, slider, opened, tmp_path):
    pytest.importorskip("sphinx")
    root = Path(__file__).parents[1]
    enlivened = runpy.run_path(str(root / "docs" / "extensions" / "live.py"))["enlivened"]
    text = (root / "lessons" / f"{lesson}.ipynb").read_text(encoding="utf-8")
    outputs = [output for cell in json.loads(text)["cells"] for output in cell.get("outputs", [])]
    (stored,) = [output["data"] for output in outputs if live.MIME in output.get("data", {})]
    made = [output for cell in json.loads(enlivened(text))["cells"] for output in cell.get("outputs", [])]
    (piece,) = [
        "".join(output["data"]["text/html"])
        for output in made
        if "moreish-live" in "".join(output.get("data", {}).get("text/html", ""))
    ]
    page = opened()
    page.goto(written(tmp_path, piece))
    captions = json.loads("".join(stored[live.MIME]))["captions"]
    page.get_by_role("slider", name=slider).press("End")
    assert page.get_by_text(captions[-1], exact=True).is_visible()
