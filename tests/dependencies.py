"""The tables of docs/dependencies.md: `python tests/dependencies.py` makes them.

The packages and their bounds are those of pyproject.toml, and the sources tell where they are imported. What a package
is for, and what the last review found, is in docs/dependencies.json.
"""

import ast
import json
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

HERE = Path(__file__).parents[1]
PAGE, REVIEW = HERE / "docs" / "dependencies.md", HERE / "docs" / "dependencies.json"
FOLDERS = ("src/moreish", "lessons", "tests", "benchmarks", "docs")
USERS = ("torch", "tune", "large", "serve", "lab", "lessons", "sklearn", "onnx", "hub", "track", "trackio", "wandb")
TITLES = {"base": "Base install", "build": "Build"}


def groups() -> dict[str, dict[str, str]]:
    """Return the packages of the base install, of each extra and of the build, with their bounds."""
    project = tomllib.loads((HERE / "pyproject.toml").read_text(encoding="utf-8"))
    requirements = {"base": project["project"]["dependencies"], **project["project"]["optional-dependencies"]}
    requirements["build"] = project["build-system"]["requires"]
    split = {group: [re.split(r"(?=[<>=]|$)", one, maxsplit=1) for one in of] for group, of in requirements.items()}
    return {group: {name: bounds for name, bounds in of if "[" not in name} for group, of in split.items()}


def reviewed() -> dict[str, Any]:
    """Return what was found about each package: what it is for, its modules, its licence and its last release."""
    return json.loads(REVIEW.read_text(encoding="utf-8"))


def imports(tree: ast.AST) -> Iterator[str]:
    """Yield the packages that a source imports, also those that it imports by a name in a string."""
    for node in ast.walk(tree):
        match node:
            case ast.Import(names=names):
                yield from (name.name.partition(".")[0] for name in names)
            case ast.ImportFrom(module=str(module), level=0):
                yield module.partition(".")[0]
            case ast.Call(func=ast.Name(id=by) | ast.Attribute(attr=by), args=[ast.Constant(value=str(name)), *_]):
                if by in ("import_module", "LazyModule", "_package"):
                    yield name.partition(".")[0]
            case _:
                pass


def sources(folder: str) -> Iterator[tuple[Path, ast.AST]]:
    """Yield the Python files of a folder, as paths in it, with their syntax trees."""
    for path in sorted((HERE / folder).rglob("*.py")):
        if "node_modules" not in path.parts:
            yield path.relative_to(HERE / folder), ast.parse(path.read_text(encoding="utf-8"))


def rooms() -> dict[str, set[str]]:
    """Return, for each module of others, where it is imported: rooms of the package, and other folders with a slash."""
    found: dict[str, set[str]] = {}
    for folder in FOLDERS:
        for path, tree in sources(folder):
            for name in imports(tree):
                found.setdefault(name, set()).add(
                    path.parts[0].removesuffix(".py") if "src" in folder else f"{folder}/"
                )
    return found


def tables() -> str:
    """Return the tables in Markdown."""
    known, used = reviewed()["packages"], rooms()
    text: list[str] = []
    of_all = groups()
    for group in ["base", *USERS, *sorted(of_all.keys() - {"base", *USERS})]:
        if not of_all[group]:
            continue
        text += [f"\n### {TITLES.get(group, f'Extra `{group}`')}\n"]
        text += ["| package | what it is for | imported in | licence | last release |", "|---|---|---|---|---|"]
        for name, bounds in of_all[group].items():
            of = known[name]
            where = set[str]().union(*(used.get(module, ()) for module in of["modules"]))
            inside = {one for one in where if not one.endswith("/")}
            shown = [f"`{one}`" for one in sorted(inside or where)]
            places = ", ".join(shown) if len(shown) <= 4 else f"{', '.join(shown[:3])} and {len(shown) - 3} more"
            release = f"{of['version']}, {of['released']}"
            text.append(f"| `{name}{bounds}` | {of['for']} | {places or '-'} | {of['licence']} | {release} |")
    return "\n".join(text) + "\n"


def page() -> str:
    """Return the page with its tables and its date."""
    text = re.sub(
        r"(?s)(<!-- tables.*? -->\n).*(<!-- end of tables -->)", rf"\1{tables()}\n\2", PAGE.read_text("utf-8")
    )
    return re.sub(r"\d{4}-\d{2}-\d{2}", reviewed()["reviewed"], text, count=1)


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
