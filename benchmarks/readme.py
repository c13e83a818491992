"""Puts the figures of benchmarks/results/*.json into the README, between its markers, and draws its picture."""

import json
from pathlib import Path

import model_sections
import speed_sections

from moreish.plots.style import save

ROOT = Path(__file__).parents[1]
SECTIONS = {
    "speed": speed_sections.speed_section,
    "quality": model_sections.ladder_section,
    "size": speed_sections.size_section,
    "diagnostics": speed_sections.diagnostics_section,
    "novelty": model_sections.novelty_section,
    "steering": model_sections.steering_section,
    "threads": speed_sections.threads_section,
    "gpu": speed_sections.gpu_section,
    "fullbatch": speed_sections.fullbatch_section,
    "scoring": model_sections.scoring_section,
    "serving": speed_sections.serving_section,
}


def filled(readme: str) -> str:
    """The README with every section between its markers made anew."""
    for name, section in SECTIONS.items():
        found = json.loads((ROOT / "benchmarks" / "results" / f"{name}.json").read_text(encoding="utf-8"))
        start, end = f"<!-- {name}: made by benchmarks/readme.py -->\n", f"\n<!-- end of {name} -->"
        before, rest = readme.split(start)
        readme = before + start + section(found) + end + rest.split(end)[1]
    return readme


if __name__ == "__main__":
    path = ROOT / "README.md"
    path.write_text(filled(path.read_text(encoding="utf-8")), encoding="utf-8")
    results = ROOT / "benchmarks" / "results"
    quality = json.loads((results / "quality.json").read_text(encoding="utf-8"))
    save(model_sections.ladder_picture(quality), results / "ladder.svg")
