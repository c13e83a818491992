"""Cost of the lab: the time of a training alone, in a lab that no page looks at, and with a page open in a browser.

    python benchmarks/lab.py --names names.txt

The three take turns, and the shortest time of each counts, because other programs use the machine too. The browser is
a headless Chromium that shows the page at 1,440 by 900 pixels. On a machine with few cores its own work takes time from
the training too. Beside it, the time from a slider that is let go to the first point of the new curve on the page; and,
on the bundled names, the outcome of what the documentation proposes for a lecture. Writes benchmarks/results/lab.json.
"""

import argparse
import json
import shutil
import statistics
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import uvicorn
from machine import machine, versions
from playwright.sync_api import Page, sync_playwright

import moreish
from moreish.cli.lr_find import train_command
from moreish.lab import Session
from moreish.lab.app import make_app
from moreish.serving.server import listen
from moreish.training.fit import fit
from moreish.training.prepare import prepare

# What is trained: about ten seconds each, without samples or losses at the end.
TRAININGS: dict[str, dict[str, Any]] = {
    "mlp": {"epochs": 60.0},
    "gru": {"epochs": 4.0},
    "transformer": {"epochs": 4.0},
}
TURNS, CHANGES = 3, 15
# What to try in a lecture: settings by the names of the page's address; 200 of the names for the third.
LECTURE: dict[str, list[dict[str, Any]]] = {
    "rate": [{}, {"lr": 0.3}],
    "start": [{}, {"init": "naive"}, {"lr": 1.0}],
    "overfitting": [{"epochs": 20.0, "words": 200}, {"epochs": 2.0, "words": 200}],
    "tree": [{"block_size": 8}, {"model": "wavenet", "block_size": 8}],
    "counts": [{"model": "ngram"}, {}, {"model": "gru"}],
}
TOKEN = "benchmark"


def seconds_of(work: Callable[[], object]) -> float:
    """Seconds that some work takes."""
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def trained_in(session: Session, model: str, options: dict[str, Any]) -> None:
    """Train in the lab, from the settings to the last step."""
    number = session.configure("names.txt", model, options, play=True)
    while not (session.trainer.status.training == number and session.trainer.status.ended):
        time.sleep(0.02)


def until_evaluated(session: Session) -> None:
    """Wait for the losses after a training, which are not part of the time."""
    while session.trainer.status.losses is None:
        time.sleep(0.01)


def cost(session: Session, corpus: moreish.Corpus, page: Page, address: str) -> list[dict[str, Any]]:
    """Shortest seconds of each training: alone, in the lab, and with the page."""
    rows = []
    for model, options in TRAININGS.items():
        found: dict[str, list[float]] = {"alone": [], "lab": [], "page": []}
        for _ in range(TURNS):
            found["alone"].append(seconds_of(lambda m=model, o=options: fit(prepare(corpus, m, dict(o)))))
            found["lab"].append(seconds_of(lambda m=model, o=options: trained_in(session, m, o)))
            until_evaluated(session)
            page.goto(address)
            page.wait_for_timeout(1500)
            found["page"].append(seconds_of(lambda m=model, o=options: trained_in(session, m, o)))
            until_evaluated(session)
            page.goto("about:blank")
            page.wait_for_timeout(300)
        best = {name: min(times) for name, times in found.items()}
        rows.append({"model": model, "options": options, "seconds": best, "steps": session.trainer.status.steps})
        print(model, {name: round(s, 3) for name, s in best.items()}, flush=True)
    return rows


def restart(session: Session, page: Page, address: str) -> dict[str, float]:
    """Median and largest milliseconds from a changed slider to the first point of the new curve on the page."""
    session.configure("names.txt", "mlp", {}, play=True)
    until_evaluated(session)
    page.goto(address)
    page.wait_for_timeout(1500)
    times = []
    for i in range(CHANGES):
        until_evaluated(session)
        page.wait_for_timeout(500)
        taken = page.evaluate(
            """value => new Promise(resolve => {
                const shown = () => document.querySelector("#panel-losses [data-training]").dataset;
                const before = shown().training, began = performance.now();
                const slider = document.querySelector("input[type=range][aria-label='lr, slider']");
                slider.valueAsNumber = value;
                slider.dispatchEvent(new Event("input", {bubbles: true}));
                slider.dispatchEvent(new Event("change", {bubbles: true}));
                const look = () => shown().training !== before && Number(shown().points) > 0
                    ? resolve(performance.now() - began) : requestAnimationFrame(look);
                look();
            })""",
            20 + i % 2,
        )
        times.append(taken)
    return {"median": statistics.median(times), "largest": max(times)}


def lecture() -> dict[str, list[dict[str, Any]]]:
    """Outcome of each training of LECTURE: losses, the largest batch loss, the best val loss, and what is diagnosed."""
    names = moreish.bundled()
    found: dict[str, list[dict[str, Any]]] = {}
    for subject, trainings in LECTURE.items():
        found[subject] = []
        for settings in trainings:
            options = dict(settings)
            n = options.pop("words", len(names))
            run = moreish.train(list(names)[:: len(names) // n][:n], options.pop("model", "mlp"), **options)
            row: dict[str, Any] = {"settings": settings, "loss": run.loss}
            if run.options.steps:
                diagnosis = moreish.diagnose(run)
                lines = [line for line in run.history if line["val"] is not None]
                row |= {
                    "first": diagnosis.start_trace.loss,
                    "largest": max(loss for line in run.history for loss in line["losses"]),
                    "best_val": min(line["val"] for line in lines),
                    "last_val": lines[-1]["val"],
                    "last_train": lines[-1]["train"],
                    "verdicts": [verdict.seen for verdict in diagnosis.verdicts],
                }
            found[subject].append(row)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--names", type=Path, required=True)
    parser.add_argument("--json", type=Path, default=Path(__file__).parent / "results" / "lab.json")
    parser.add_argument(
        "--only", choices=("lecture", "restart_ms", "cost"), help="measure this alone, and keep the rest"
    )
    arguments = parser.parse_args()
    words = moreish.read_words(arguments.names)
    words.name = "names.txt"
    corpus = moreish.Corpus(words)
    folder = Path(tempfile.mkdtemp())
    session = Session(command=train_command, folder=lambda file, model: folder / model)
    session.add_list(words, "names.txt")
    with listen("127.0.0.1", 0) as listener, sync_playwright() as playwright:
        app = make_app(session, TOKEN)
        server = uvicorn.Server(uvicorn.Config(app, ws="websockets-sansio", log_level="error"))
        thread = threading.Thread(target=server.run, args=[[listener]])
        thread.start()
        address = f"http://127.0.0.1:{listener.getsockname()[1]}/{TOKEN}/"
        chromium = shutil.which("chromium") or shutil.which("google-chrome")
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox", "--disable-gpu"])
        page = browser.new_page(viewport={"width": 1440, "height": 900})
        measure: dict[str, Callable[[], Any]] = {
            "lecture": lecture,
            "restart_ms": lambda: restart(session, page, address),
            "cost": lambda: cost(session, corpus, page, address),
        }
        result = json.loads(arguments.json.read_text()) if arguments.only else {}
        result |= {"machine": machine(), "versions": versions() | {"browser": browser.version}, "list": len(words)}
        result |= {name: work() for name, work in measure.items() if arguments.only in (None, name)}
        browser.close()
        server.should_exit = True
        thread.join()
    session.close()
    shutil.rmtree(folder)
    arguments.json.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
