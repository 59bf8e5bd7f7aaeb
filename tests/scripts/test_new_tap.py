"""``make new-tap`` writes a vendor that passes what every vendor passes, without an installation."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests.tree import ROOT, copy_tree

if TYPE_CHECKING:
    from pathlib import Path

NAME = "acme"
OTHER = "zebra"  # sorts behind everything of ours, so that imports change their order
GUIDE = ROOT / "docs/guides/new-stream.md"
CHANGES = re.compile(r"```diff\n(.*?)```", re.DOTALL)
MOST_FILES = 8
pytestmark = pytest.mark.xdist_group("new-tap")  # which is made once


def run(tree: Path, *command: str) -> subprocess.CompletedProcess[str]:
    """Run a module in a copy of the project, with the modules of the copy."""
    env = {**os.environ, "PYTHONPATH": str(tree)}
    env.pop("PYTHONDONTWRITEBYTECODE", None)
    return subprocess.run(
        [sys.executable, "-m", *command], cwd=tree, env=env, capture_output=True, check=False, text=True
    )


def files(tree: Path) -> set[Path]:
    return {path for path in tree.rglob("*") if "__pycache__" not in path.parts}


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the project."""
    return copy_tree(tmp_path_factory.mktemp("copy"))


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the project with a new tap in it."""
    folder = copy_tree(tmp_path_factory.mktemp("tree"))
    done = run(folder, "scripts.new_tap", NAME)
    assert done.returncode == 0, done.stderr
    assert f"tap_{NAME}/tap.py" in done.stdout.splitlines()
    return folder


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("", "is not a name"),
        ("Acme", "is not a name"),
        ("acme-pay", "is not a name"),
        ("../acme", "is not a name"),
        ("class", "is a keyword of Python"),
        ("peakium", "is taken: there is"),
        ("core", "is taken: there is tap_core"),
        ("docs", "is taken: there is tests/docs"),
        ("retry", "is a word in tap_core/"),
    ],
)
def test_a_name_that_cannot_be_is_refused_in_one_line(copy: Path, name: str, reason: str) -> None:
    before = files(copy)
    done = run(copy, "scripts.new_tap", name)
    assert (done.returncode, done.stderr, done.stdout.count("\n")) == (2, "", 1)
    assert f"{name!r} {reason}" in done.stdout
    assert files(copy) == before


def test_a_name_changes_nothing_but_names(copy: Path) -> None:
    subprocess.run([sys.executable, "-c", f"from scripts.new_tap import write; write({OTHER!r})"], cwd=copy, check=True)
    for command in (["ruff", "check", "."], ["ruff", "format", "--check", "."]):
        done = run(copy, *command)
        assert done.returncode == 0, done.stdout + done.stderr
    written = [file for file in files(copy) if OTHER in file.relative_to(copy).as_posix() and file.is_file()]
    assert written
    for file in written:
        assert NAME not in file.read_text(encoding="utf-8").lower(), file


def test_a_new_tap_passes_the_checks_of_style_and_types(tree: Path) -> None:
    places = [f"tap_{NAME}", f"merchant_sandbox/vendors/{NAME}", f"tests/{NAME}"]
    for command in (["ruff", "check", "."], ["ruff", "format", "--check", "."], ["mypy", *places]):
        done = run(tree, *command)
        assert done.returncode == 0, done.stdout + done.stderr


def test_a_new_tap_passes_the_tests_of_every_tap(tree: Path) -> None:
    shared = ("tests/test_architecture.py", "tests/docs/test_pages.py", "tests/sandbox/test_world.py")
    done = run(tree, "pytest", "-q", "-p", "no:cacheprovider", f"tests/{NAME}", *shared, "-k", f"{NAME} or wired")
    assert done.returncode == 0, done.stdout
    assert f"tap-{NAME}" in (tree / "README.md").read_text(encoding="utf-8")
    assert f"TAP_{NAME.upper()}_API_KEY=" in (tree / ".env.example").read_text(encoding="utf-8")
    assert f'tap-{NAME} = "tap_{NAME}.__main__:main"' in (tree / "pyproject.toml").read_text(encoding="utf-8")


def test_the_guide_to_a_new_stream_can_be_followed(tree: Path, tmp_path: Path) -> None:
    tree = shutil.copytree(tree, tmp_path / "tree", symlinks=True)
    changes = "".join(CHANGES.findall(GUIDE.read_text(encoding="utf-8")))
    changelog = 1
    assert changes.count("+++ ") + changelog == MOST_FILES
    applied = subprocess.run(
        ["git", "apply", "-"], cwd=tree, input=changes, capture_output=True, check=False, text=True
    )
    assert applied.returncode == 0, applied.stderr
    for command in (
        ["ruff", "check", "."],
        ["ruff", "format", "--check", "."],
        ["pytest", "-q", "-p", "no:cacheprovider", f"tests/{NAME}/test_exactness.py", f"tests/{NAME}/test_fixtures.py"],
    ):
        done = run(tree, *command)
        assert done.returncode == 0, done.stdout + done.stderr
    listed = run(tree, f"tap_{NAME}", "--discover")
    assert '"tap_stream_id":"orders"' in listed.stdout
