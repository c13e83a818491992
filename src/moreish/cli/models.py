"""List the models with their options and defaults.

Examples:
  moreish models
  moreish models --json
"""

import dataclasses

from ..models import MODELS
from .terminal import print_json, print_table, print_text
from .values import Flag


def models(*, json: Flag = False) -> None:
    """Run `moreish models`.

    Parameters
    ----------
    json
        Print JSON: {"models": {NAME: {"summary": ..., "options": {...}, "training": {...}}, ...}}.
    """
    described = {
        name: {
            "summary": family.summary,
            "options": {f.name: f.default for f in dataclasses.fields(family)},
            "training": family.defaults,
        }
        for name, family in MODELS.items()
    }
    if json:
        print_json({"models": described})
        return
    for name, model in described.items():
        print_text(f"{name}: {model['summary']}")
        fields = dataclasses.fields(MODELS[name])
        rows = [(f"  --{f.name.replace('_', '-')}", f.default, f.metadata["help"]) for f in fields]
        if rows:
            print_table(["  option", "default", "meaning"], rows)
        print()
