"""Take the pictures of the lab's page in the documentation: `python docs/lab_pictures.py`. It needs Chromium."""

import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

from playwright.sync_api import Page, sync_playwright

STATIC = Path(__file__).parent / "static"


def until(page: Page, text: str) -> None:
    """Wait until the line of state has a text."""
    ends = time.monotonic() + 300
    while text not in page.locator(".state").inner_text():
        assert time.monotonic() < ends, text
        page.wait_for_timeout(100)


def trained(page: Page, address: str, fragment: str) -> None:
    """Open the page with settings, and train to the end."""
    page.goto("about:blank")
    page.goto(f"{address}#{fragment}&pace=0")
    page.wait_for_timeout(1500)
    page.get_by_role("button", name="Start anew").click()
    page.wait_for_timeout(500)
    if page.get_by_role("button", name="Play", exact=True).count():
        page.get_by_role("button", name="Play", exact=True).click()
    until(page, "test ")
    page.wait_for_timeout(3000)


def panel(page: Page, name: str, file: str) -> None:
    """Take the picture of one panel."""
    page.set_viewport_size({"width": 1440, "height": 1700})  # the bar at the top would cover a part of higher panels
    shown = page.locator(f"#panel-{name}")
    shown.scroll_into_view_if_needed()
    page.wait_for_timeout(6000)
    shown.screenshot(path=STATIC / file)
    page.set_viewport_size({"width": 1440, "height": 900})


def main() -> None:
    command = [sys.executable, "-m", "moreish", "lab", "--no-browser"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    found = re.search(r"http://\S+", process.stdout.readline())
    assert found is not None
    address, chromium = found[0], shutil.which("chromium") or shutil.which("google-chrome")
    try:
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
            page = browser.new_page(viewport={"width": 1440, "height": 900})
            trained(page, address, "model=mlp")
            page.screenshot(path=STATIC / "lab.png")
            panel(page, "gradient", "lab-gradient.png")
            page.evaluate("scrollTo(0, 0)")
            for lr in ("0.1", "0.3"):
                page.locator("#option-lr").fill(lr)
                page.locator("#option-lr").press("Enter")
                page.wait_for_timeout(500)
                until(page, "test ")
            panel(page, "losses", "lab-rate.png")
            trained(page, address, "model=mlp&init=naive")
            panel(page, "layers", "lab-start.png")
            trained(page, address, "model=transformer&epochs=2&ask.word=isabella")
            panel(page, "along", "lab-attention.png")
            browser.close()
    finally:
        process.terminate()
        process.wait()


if __name__ == "__main__":
    main()
