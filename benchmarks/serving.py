"""Requests per second of a server on one core, each for the score of one word.

    python benchmarks/serving.py --names names.txt

The server is confined to one core. A client process, on another core if there is one, sends requests without pause over
one connection, and over eight. The best of several turns counts, because other programs use the machine too. Writes
benchmarks/results/serving.json.
"""

import argparse
import asyncio
import json
import multiprocessing
import os
import re
import subprocess
import sys
import tempfile
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any

import httpx
from machine import machine, versions

import moreish

MODELS = ("mlp", "wavenet", "ngram")
CONNECTIONS = (1, 8)
TURNS, SECONDS = 5, 2.0
WORDS = ("john", "emma", "olivia", "maximilian")


def confine(core: int) -> None:
    """Confine this process to one core."""
    if hasattr(os, "sched_setaffinity"):
        cores = sorted(os.sched_getaffinity(0))
        os.sched_setaffinity(0, {cores[core % len(cores)]})


async def ask(address: str, connections: int) -> tuple[float, float]:
    """Requests per second, and the 99th percentile of their seconds."""
    took: list[float] = []

    async def one(client: httpx.AsyncClient, until: float) -> None:
        while (start := time.perf_counter()) < until:
            answer = await client.get("/score", params={"word": WORDS[len(took) % len(WORDS)]})
            took.append(time.perf_counter() - start)
            assert answer.status_code == 200

    async with httpx.AsyncClient(base_url=address) as client:
        await one(client, time.perf_counter() + 0.2)
        took.clear()
        start = time.perf_counter()
        await asyncio.gather(*(one(client, start + SECONDS) for _ in range(connections)))
        rate = len(took) / (time.perf_counter() - start)
    return rate, sorted(took)[int(0.99 * len(took))]


def turn(address: str, connections: int) -> tuple[float, float]:
    """Run one turn of the client."""
    confine(1)
    return asyncio.run(ask(address, connections))


def measured(folder: str) -> list[dict[str, Any]]:
    """Start a server of a run; return its rate for each number of connections."""
    confined = (
        f"from serving import confine; confine(0); import sys; sys.argv[1:] = ['serve', {folder!r}, '--port', '0']"
    )
    code = f"{confined}; from moreish.__main__ import main; main()"
    here = str(Path(__file__).parent)
    command = [sys.executable, "-c", f"import sys; sys.path.insert(0, {here!r}); {code}"]
    server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert server.stdout is not None
        found = re.search(r"http://[\d.:]+", server.stdout.readline())
        assert found is not None
        rows = []
        with multiprocessing.get_context("spawn").Pool(1) as client:
            for connections in CONNECTIONS:
                turns = [client.apply(turn, (found[0], connections)) for _ in range(TURNS)]
                rate, slow = max(turns)
                rows.append({"connections": connections, "requests_per_second": rate, "seconds_99": slow})
                speed = f"{rate:.0f} requests per second, 99% within {slow * 1e3:.1f} ms"
                print(f"{folder}: {connections} connections, {speed}")
        return rows
    finally:
        server.terminate()
        server.wait()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--names", type=Path, required=True)
    names = parser.parse_args().names
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for model in MODELS:
            # Few steps: the speed does not depend on the training.
            few: dict[str, Any] = {} if model == "ngram" else {"steps": 20}
            moreish.train(moreish.read_words(names), model, **few, out=f"{folder}/{model}")
            rows += [{"model": model, **row} for row in measured(f"{folder}/{model}")]
    used = {name: version(name) for name in ("fastapi", "uvicorn")}
    found = {"data": names.name, "rows": rows, "machine": machine(), "versions": {**versions(), **used}}
    path = Path(__file__).parent / "results" / "serving.json"
    path.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
