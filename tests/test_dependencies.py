"""Dependencies: what is imported is declared, reviewed and needed, and nothing is unpickled."""

import ast
import re
import sys
from importlib.metadata import PackageNotFoundError, distribution, packages_distributions
from typing import Any

import pytest
from dependencies import HERE, PAGE, REVIEW, USERS, groups, imports, page, reviewed, sources

GROUPS, PACKAGES = groups(), reviewed()["packages"]
IMPORTED = {name for _, tree in sources("src/moreish") for name in imports(tree)}
UNPICKLING = {"pickle", "_pickle", "marshal", "shelve", "dbm", "copyreg", "dill", "cloudpickle", "joblib"}


def modules(*of: str) -> set[str]:
    """The modules that come with the packages of some groups, as the review names them."""
    return {module for group in of for name in GROUPS[group] for module in PACKAGES[name]["modules"]}


def normal(name: str) -> str:
    """The name of a package as an index compares it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def needed_by(name: str, found: set[str]) -> set[str]:
    """Add a package to `found`, and those that it needs, directly or not. Packages that are not installed need none."""
    if normal(name) not in found:
        found.add(normal(name))
        try:
            requirements = distribution(name).requires or []
        except PackageNotFoundError:
            return found
        for requirement in requirements:
            if "extra ==" not in requirement:
                needed_by(re.split(r"[^\w.-]", requirement, maxsplit=1)[0], found)
    return found


def test_the_page_of_dependencies_is_that_of_the_project():
    assert PAGE.read_text(encoding="utf-8") == page(), "python tests/dependencies.py makes it"
    assert PACKAGES.keys() == {name for packages in GROUPS.values() for name in packages}


def test_every_import_is_declared():
    assert IMPORTED - modules("base", *USERS) <= {"moreish", *sys.stdlib_module_names}
    used = {
        name for folder in ("tests", "benchmarks", "lessons") for _, tree in sources(folder) for name in imports(tree)
    }
    own = {path.stem for folder in ("tests", "benchmarks", "tests/attack") for path in (HERE / folder).glob("*.py")}
    assert used - modules(*GROUPS) - own <= {"moreish", *sys.stdlib_module_names}


def test_every_package_of_the_base_is_imported():
    assert modules("base") <= IMPORTED


@pytest.mark.parametrize("group", USERS)
def test_every_package_of_an_extra_is_used(group):
    text = "\n".join(path.read_text(encoding="utf-8") for path in (HERE / "src").rglob("*.py"))
    for name in GROUPS[group]:
        assert any(re.search(rf"\b{module}\b", text) for module in PACKAGES[name]["modules"]), name


@pytest.mark.parametrize("name", sorted(PACKAGES))
def test_the_modules_and_the_licence_of_a_package_are_those_of_the_review(name):
    try:
        told: Any = distribution(name).metadata
    except PackageNotFoundError:
        pytest.skip(f"{name} is not installed")
    told = [*(told.get_all("Classifier") or []), told.get("License") or "", told.get("License-Expression") or ""]
    licence = PACKAGES[name]["licence"].partition("-")[0].replace("PSF", "Python Software Foundation")
    assert any(licence in line for line in told), f"the licence of {name} has changed: look at it, and at {REVIEW}"
    found, needed = packages_distributions(), needed_by(name, set())
    for module in PACKAGES[name]["modules"]:
        assert needed & set(map(normal, found.get(module, [name])))


def test_nothing_is_unpickled():
    """Also not by NumPy or PyTorch: `load` of neither is called."""
    assert not IMPORTED & UNPICKLING
    for path, tree in sources("src/moreish"):
        for node in ast.walk(tree):
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
                assert f"{node.value.id}.{node.attr}" not in (
                    "np.load",
                    "numpy.load",
                    "torch.load",
                    "pd.read_pickle",
                ), path
            assert not (isinstance(node, ast.keyword) and node.arg == "allow_pickle"), path
