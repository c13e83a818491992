"""The package: its public names, its imports, and the time that importing it takes."""

import ast
import subprocess
import sys
from pathlib import Path

import moreish


def test_the_public_names_are_there_and_documented():
    for name in moreish.__all__:
        assert getattr(moreish, name).__doc__, name


def test_importing_is_instant():
    code = (
        "import sys, moreish; print([m for m in ('numpy', 'numba', 'torch', 'rich', 'cyclopts') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
    words = "import sys; from moreish.cli import run; run(['words', '--json']); assert 'numba' not in sys.modules"
    subprocess.run([sys.executable, "-c", words], capture_output=True, check=True)


def test_training_needs_neither_torch_nor_scipy_nor_matplotlib(tmp_path):
    code = (
        "import sys\nfor name in ('torch', 'scipy', 'matplotlib'): sys.modules[name] = None\n"
        "from moreish.cli import run\n"
        f"sys.exit(run(['train', '--steps', '20', '--out', {str(tmp_path / 'r')!r}]))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


# Modules in the order of their imports: each imports only from its own line and the lines before it.
FLOORS = [
    {"errors", "_version"},
    {"files", "options", "display"},
    {"corpus"},
    {"layers"},
    {"engine"},
    {"ngram"},
    {"sampling"},
    {"models"},
    {"evaluation"},
    {"training"},
    {"analysis"},
    {"plots"},
    {"reporting", "serving", "lessons", "export"},
    {"lab"},
    {"cli"},
]


def test_nothing_imports_upward():
    root = Path(moreish.__file__).parent
    floor = {name: i for i, names in enumerate(FLOORS) for name in names}
    for path in root.rglob("*.py"):
        home = path.relative_to(root).with_suffix("").parts
        if home[0] in ("__init__", "__main__"):
            continue
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = [name.name for name in node.names] if isinstance(node, ast.Import) else []
            names += [node.module] if isinstance(node, ast.ImportFrom) and not node.level else []
            assert not any((name or "").split(".")[0] == "moreish" for name in names), f"{path}: use a relative import"
            if isinstance(node, ast.ImportFrom) and node.level:
                package = list(home[: -node.level])
                target = [*package, *(node.module or "").split(".")]
                name = next((part for part in target if part), None) or node.names[0].name
                assert floor[name] <= floor[home[0]], f"{path} imports {name}"
