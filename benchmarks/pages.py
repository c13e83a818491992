"""Write the figures of benchmarks/results/*.json into the README and the documentation, and draw the ladder of models.

    python benchmarks/pages.py

A page marks the place of a section by two comments, `<!-- NAME: made by benchmarks/pages.py -->` and
`<!-- end of NAME -->`. Everything between them is replaced.
"""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import attack_section
import best_sections
import counting_sections
import export_sections
import lab_sections
import large_section
import list_sections
import merging_section
import model_sections
import peer_sections
import pruning_section
import readme_sections
import recurrent_sections
import speed_sections

from moreish.plots.style import save

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "benchmarks" / "results"
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
# The function that writes a section, and the results that it takes.
SECTIONS: dict[str, tuple[Callable[..., str], tuple[str, ...]]] = {
    "how good": (readme_sections.quality_table, ("quality", "best")),
    "how fast": (readme_sections.speed_table, ("speed", "scoring", "serving", "steering", "counting")),
    "peers": (readme_sections.peers_table, ("speed",)),
    "makemore": (peer_sections.makemore_table, ("peers", "sequence")),
    "quality": (model_sections.ladder_section, ("quality",)),
    "best": (best_sections.ladder_section, ("best",)),
    "within": (best_sections.within_section, ("best",)),
    "regularisation": (best_sections.regularisation_section, ("best",)),
    "smoothing": (counting_sections.smoothing_section, ("counting",)),
    "counting": (counting_sections.cost_section, ("counting",)),
    "recurrent losses": (recurrent_sections.losses_section, ("sequence",)),
    "short lists": (list_sections.short_lists_section, ("short-lists",)),
    "longer": (list_sections.longer_section, ("longer",)),
    "labels": (model_sections.labels_section, ("labels",)),
    "novelty": (model_sections.novelty_section, ("novelty",)),
    "scoring": (model_sections.scoring_section, ("scoring",)),
    "steering": (model_sections.steering_section, ("steering",)),
    "speed": (speed_sections.speed_section, ("speed",)),
    "recurrent speed": (recurrent_sections.epochs_section, ("sequence",)),
    "makemore speed": (peer_sections.makemore_section, ("peers",)),
    "fullbatch": (speed_sections.fullbatch_section, ("fullbatch",)),
    "diagnostics": (speed_sections.diagnostics_section, ("diagnostics",)),
    "serving": (speed_sections.serving_section, ("serving",)),
    "lecture": (lab_sections.lecture_section, ("lab",)),
    "lab cost": (lab_sections.cost_section, ("lab",)),
    "export sizes": (export_sections.sizes_section, ("exports",)),
    "threads": (speed_sections.threads_section, ("threads",)),
    "gpu": (speed_sections.gpu_section, ("gpu",)),
    "size": (speed_sections.size_section, ("size",)),
    "attacks": (attack_section.attack_section, ("attack",)),
    "pruning": (pruning_section.pruning_section, ("pruning",)),
    "large": (large_section.large_section, ("large",)),
    "merging": (merging_section.merging_section, ("merging",)),
}
SECTION = re.compile(r"(<!-- ([\w ]+): made by benchmarks/pages\.py -->\n).*?(\n<!-- end of \2 -->)", re.DOTALL)


def result(name: str) -> Any:
    """The measurements in results/NAME.json."""
    return json.loads((RESULTS / f"{name}.json").read_text(encoding="utf-8"))


def filled(page: str) -> str:
    """The text of a page with every section between its markers made anew."""

    def section(match: re.Match[str]) -> str:
        start, name, end = match.groups()
        make, results = SECTIONS[name]
        return start + make(*map(result, results)) + end

    return SECTION.sub(section, page)


if __name__ == "__main__":
    for path in PAGES:
        path.write_text(filled(path.read_text(encoding="utf-8")), encoding="utf-8")
    save(model_sections.ladder_picture(result("quality")), RESULTS / "ladder.svg")
