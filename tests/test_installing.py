"""Messages that say what to install."""

import importlib.metadata
import re
import shlex
import sys
import tomllib
from pathlib import Path

import pytest

from moreish.errors import InputError, install_command, missing

EXTRAS = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text())["project"]["optional-dependencies"]


def bounds(requirement: str) -> tuple[str, set[str]]:
    """Return the name and the bounds of a requirement, which may stand in any order."""
    name, *rest = re.split(r"(?=[<>=])", requirement, maxsplit=1)
    return name, set("".join(rest).split(","))


@pytest.mark.parametrize("extra", ["torch", "tune", "serve", "large"])
def test_the_command_installs_the_packages_of_an_extra_with_the_python_that_runs(extra):
    python, *pip = shlex.split(install_command(extra))
    assert (python, pip[:3]) == (sys.executable, ["-m", "pip", "install"])
    assert sorted(map(bounds, pip[3:])) == sorted(map(bounds, EXTRAS[extra]))


def test_the_extra_of_the_lessons_names_what_its_own_extras_need():
    command = install_command("lessons")
    assert all(f'"{name}>=' in command for name in ("jupyterlab", "torch"))
    assert "moreish" not in shlex.split(command)[4:]


def test_without_metadata_the_command_names_the_extra(monkeypatch):
    def absent(name):
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(importlib.metadata, "requires", absent)
    assert shlex.split(install_command("tune"))[1:] == ["-m", "pip", "install", "moreish[tune]"]


def test_a_python_in_a_folder_with_a_space_is_quoted(monkeypatch):
    monkeypatch.setattr(sys, "executable", "/my programs/python")
    assert shlex.split(install_command("tune"))[0] == "/my programs/python"
    error = missing("tuning needs Optuna", "tune")
    assert isinstance(error, InputError)
    assert str(error) == f"tuning needs Optuna: {install_command('tune')}"
