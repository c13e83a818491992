"""Sizes of exported pages, what 8 bits cost, and the time from opening a page to its first words in a browser.

    python benchmarks/exports.py --names names.txt

Every model is trained with its defaults, except that the gru has one layer of 256 units. A headless Chromium opens each
page from the disk several times; the time ends when the first words stand in the page. Writes
benchmarks/results/exports.json.
"""

import argparse
import json
import shutil
import statistics
import tempfile
from pathlib import Path
from typing import Any

from machine import machine, versions
from playwright.sync_api import Browser, sync_playwright

import moreish
from moreish.export.web import cost_of_rounding, html

MODELS: dict[str, dict[str, Any]] = {
    "ngram": {},
    "mlp": {},
    "gru": {"n_hidden": 256, "n_layer": 1},
    "transformer": {},
}
OPENINGS = 9
# Notes the time of the first words, in milliseconds since the page was opened.
WATCH = """
new MutationObserver(() => {
    if (document.querySelector(".drawn li")) window.firstWords ??= performance.now();
}).observe(document, { childList: true, subtree: true });
"""


def first_words_ms(browser: Browser, page_file: Path) -> float:
    """Open a page in a window of its own; milliseconds until it shows words."""
    page = browser.new_page()
    page.add_init_script(WATCH)
    page.goto(page_file.as_uri())
    page.wait_for_selector(".drawn li")
    ms = page.evaluate("window.firstWords")
    page.close()
    return ms


def measured(
    browser: Browser, corpus: moreish.Corpus, model: str, options: dict[str, Any], folder: Path
) -> dict[str, Any]:
    """Sizes in bytes and times in milliseconds of one model's page, as it is and with 8 bits."""
    run = moreish.train(corpus, model, **options)
    row: dict[str, Any] = {"model": model, "options": options, "pages": {}}
    for bits in (32, 8):
        if bits == 8 and not run.model.layers:
            continue
        file = folder / f"{model}-{bits}.html"
        file.write_bytes(html(run, bits))
        ms = [first_words_ms(browser, file) for _ in range(OPENINGS)]
        row["pages"][str(bits)] = {
            "bytes": file.stat().st_size,
            "first_words_ms": {"median": statistics.median(ms), "largest": max(ms)},
        }
    if run.model.layers:
        exact, rounded = cost_of_rounding(run)
        row["val"] = {"32": exact, "8": rounded}
    return row


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--names", type=Path, required=True)
    parser.add_argument("--json", type=Path, default=Path(__file__).parent / "results" / "exports.json")
    arguments = parser.parse_args()
    words = moreish.read_words(arguments.names)
    words.name = "names.txt"
    corpus = moreish.Corpus(words)
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox", "--disable-gpu"])
        result: dict[str, Any] = {
            "machine": machine(),
            "versions": versions() | {"browser": browser.version},
            "list": len(words),
        }
        result["models"] = [measured(browser, corpus, *each, Path(folder)) for each in MODELS.items()]
        browser.close()
    arguments.json.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
