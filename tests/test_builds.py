"""Wheel and source distribution: the same sources give the same bytes, and hold what the package needs and no more."""

import gzip
import io
import os
import random
import stat
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

HERE = Path(__file__).parents[1]


def built(source: Path, into: Path, *, umask: int, **more: str) -> dict[str, bytes]:
    """Build wheel and source distribution of a folder, and return their bytes by name."""
    command = [sys.executable, "-m", "hatchling", "build", "-d", str(into)]
    environment = {**os.environ, **more}
    done = subprocess.run(
        command, cwd=source, capture_output=True, text=True, env=environment, umask=umask, timeout=100
    )
    assert done.returncode == 0, done.stderr
    return {path.name: path.read_bytes() for path in into.iterdir()}


@pytest.fixture(scope="module")
def first(tmp_path_factory) -> Path:
    """A folder with the wheel and the source distribution of this checkout."""
    folder = tmp_path_factory.mktemp("first")
    built(HERE, folder, umask=0o022)
    return folder


def unpacked(folder: Path, into: Path) -> Path:
    """Unpack a source distribution, in another order, with other modes and times."""
    (archive,) = folder.glob("*.tar.gz")
    with tarfile.open(fileobj=io.BytesIO(gzip.decompress(archive.read_bytes()))) as files:
        members = files.getmembers()
        random.Random(1).shuffle(members)
        files.extractall(into, members, filter="data")
    (root,) = into.iterdir()
    for path in root.rglob("*"):
        path.chmod(0o700 if path.is_dir() else 0o600)
        os.utime(path, (1e9, 1e9))
    return root


def test_another_folder_time_and_umask_give_the_same_bytes(first, tmp_path):
    there = unpacked(first, tmp_path / "elsewhere")
    again = built(there, tmp_path / "again", umask=0o077, TZ="Asia/Tokyo", LC_ALL="C", PYTHONHASHSEED="7")
    assert again == {path.name: path.read_bytes() for path in first.iterdir()}
    assert sorted(Path(name).suffix for name in again) == [".gz", ".whl"]


def test_the_date_of_a_release_is_the_only_difference_that_it_makes(first, tmp_path):
    there = unpacked(first, tmp_path / "elsewhere")
    dated = [built(there, tmp_path / name, umask=0o022, SOURCE_DATE_EPOCH="1750000000") for name in ("one", "two")]
    assert dated[0] == dated[1]
    (wheel,) = first.glob("*.whl")
    assert dated[0][wheel.name] != wheel.read_bytes()
    assert contents(tmp_path / "one" / wheel.name) == contents(wheel)


def contents(wheel: Path) -> dict[str, bytes]:
    """Return the files of a wheel by name."""
    with zipfile.ZipFile(wheel) as files:
        return {name: files.read(name) for name in files.namelist()}


def test_the_wheel_holds_the_package_and_the_lessons_and_no_more(first):
    (wheel,) = first.glob("*.whl")
    expected = {}
    for folder, inside in (("src/moreish", "moreish"), ("lessons", "moreish/lessons/notebooks")):
        for path in (HERE / folder).rglob("*"):
            if path.is_file() and "__pycache__" not in path.parts:
                expected[f"{inside}/{path.relative_to(HERE / folder).as_posix()}"] = path.read_bytes()
    held = {name: data for name, data in contents(wheel).items() if ".dist-info/" not in name}
    assert held == expected
    assert {Path(name).suffix for name in held} <= {
        ".py",
        ".pyi",
        ".typed",
        ".txt",
        ".ipynb",
        ".html",
        ".js",
        ".css",
        ".j2",
        ".svg",
        ".json",
    }
    assert "moreish/corpus/datasets/names.txt" in held
    with zipfile.ZipFile(wheel) as files:
        assert {stat.S_IMODE(one.external_attr >> 16) for one in files.infolist()} <= {0o644}


def test_the_source_distribution_holds_the_tests_and_nothing_that_git_ignores(first):
    (archive,) = first.glob("*.tar.gz")
    with tarfile.open(archive) as files:
        names = {name.partition("/")[2] for name in files.getnames()}
        modes = {one.mode for one in files.getmembers()}
    assert {
        "pyproject.toml",
        "LICENSE",
        "SECURITY.md",
        "tests/conftest.py",
        "docs/index.md",
        "lessons/build.py",
    } <= names
    assert not [name for name in names if Path(name).suffix in (".pyc", ".nbi", ".nbc") or "node_modules" in name]
    assert "names.txt" not in names
    assert modes <= {0o644}
