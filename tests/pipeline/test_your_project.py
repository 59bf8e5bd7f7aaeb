"""The page about using the taps elsewhere, followed command by command in an empty folder."""

from __future__ import annotations

import json
import os
import re
import subprocess
from typing import TYPE_CHECKING

import pytest
import yaml

from scripts.definitions import selection
from tests.pipeline.conftest import BIN, NOWHERE, assert_exact
from tests.tree import ROOT, copy_tree

if TYPE_CHECKING:
    from pathlib import Path

    from merchant_sandbox.client import World

PAGE = (ROOT / "docs/guides/your-project.md").read_text(encoding="utf-8")
SECTIONS = [f"## {section}" for section in PAGE.split("\n## ")[1:]]
CLONE = "git clone https://git.example.com/merchant-taps\n"
HEAVY = pytest.mark.skipif("INTEGRATIONS" not in os.environ, reason="installs everything anew: make integrations")
GIT = "git+https://git.example.com/merchant-taps@main"


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a clone of this project in it, and nothing else."""
    folder = tmp_path_factory.mktemp("home")
    clone = folder / "merchant-taps"
    clone.mkdir()
    copy_tree(clone)
    author = ("-c", "user.name=nobody", "-c", "user.email=nobody@example.com")
    for command in (("init", "-q", "-b", "main"), ("add", "-A"), (*author, "commit", "-q", "-m", "all")):
        subprocess.run(["git", *command], cwd=clone, check=True)
    return folder


def blocks(title: str) -> list[str]:
    """The blocks of commands in a section of the page."""
    (section,) = (section for section in SECTIONS if section.startswith(f"## {title}\n"))
    return re.findall(r"```sh\n(.*?)```", section, re.DOTALL)


def follow(home: Path, folder: Path, script: str, **more: str) -> str:
    """Run commands of the page, the project's address being that of the clone; returns what they print."""
    env = {name: value for name, value in os.environ.items() if name not in {"UV_CONSTRAINT", "VIRTUAL_ENV"}}
    env |= {"PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}", "MELTANO_HUB_URL": NOWHERE, "NO_COLOR": "1", **more}
    local = script.replace(GIT, f"git+file://{home}/merchant-taps@main")
    done = subprocess.run(["sh", "-eu"], input=local, cwd=folder, env=env, capture_output=True, check=False, text=True)
    assert done.returncode == 0, done.stderr + done.stdout
    return done.stdout


def came_from(project: Path, plugin: str) -> str:
    """Where the package of an installed plugin is from."""
    (told,) = project.glob(f".meltano/{plugin}/venv/lib/*/site-packages/merchant_taps-*.dist-info/direct_url.json")
    return str(json.loads(told.read_text(encoding="utf-8"))["url"])


@HEAVY
def test_an_empty_folder_becomes_a_project_that_loads(home: Path, world: World) -> None:
    assert blocks("Say where the package is")
    follow(home, home, "".join(blocks("Say where the package is")))
    project = home / "our-elt"
    add, select = blocks("Add the plugins")
    follow(home, project, add)
    assert came_from(project, "extractors/tap-peakium") == f"file://{home}/merchant-taps"
    sandbox = {**world.env("peakium"), "TAP_PEAKIUM_API_URL": world.url("peakium")}
    follow(home, project, "".join(blocks("Run it")), **sandbox)
    assert_exact(project / "warehouse.duckdb", "peakium", world)

    (line,) = (line for line in select.splitlines() if " tap-peek " in line)
    peek = add.splitlines()[0].replace("tap-peakium", "tap-peek").replace("meltano add", "meltano add --no-install")
    follow(home, project, f"{peek}\n{line}\n")
    written = yaml.safe_load((project / "meltano.yml").read_text(encoding="utf-8"))["plugins"]["extractors"]
    assert next(entry["select"] for entry in written if entry["name"] == "tap-peek") == selection("peek")

    wheel, *more = "".join(blocks("From a wheel")).splitlines()
    follow(home, project, "\n".join((wheel, *more)).replace("--clean", "--clean extractor tap-peakium"))
    assert came_from(project, "extractors/tap-peakium").endswith("-py3-none-any.whl")


@HEAVY
def test_the_commands_work_without_meltano(home: Path, tmp_path: Path) -> None:
    (block,) = blocks("Without Meltano")
    said = follow(home, tmp_path, block)
    assert re.fullmatch(r"tap-peakium .*\d\n.*\d\n", said), said


def test_nothing_else_is_to_be_typed() -> None:
    followed = ("Say where the package is", "Add the plugins", "Run it", "From a wheel", "Without Meltano")
    assert [CLONE, *(block for title in followed for block in blocks(title))] == re.findall(
        r"```sh\n(.*?)```", PAGE, re.DOTALL
    )
