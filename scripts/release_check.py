"""``make release-check``: what must hold before a version is tagged; it needs no network.

Version, changelog and tag say the same. The archives hold the tracked files of the packages, the licence and nothing
else. The wheel, installed into an empty environment, gives commands that start and tell this version.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tarfile
import tempfile
import tomllib
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING

from scripts.describe import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["PACKAGES", "build", "main", "metadata", "packed", "version", "wrong_names", "wrong_versions"]

PACKAGES = ("tap_*", "target_duckhouse", "merchant_*")
"""The folders that are installed."""

_HEAD = re.compile(r"^## (?P<version>\d+\.\d+\.\d+) \((?P<date>\d{4}-\d{2}-\d{2})\)$", re.MULTILINE)
_BESIDE = {"README.md", "LICENSE", "pyproject.toml", "PKG-INFO", ".gitignore"}
"""What is in a source archive beside the packages; the build puts the last two there."""
_TAG = "v{version}"
_BARE = "tap-"
"""The commands that need no extra."""
_EXTRAS = "loader,sandbox,realtime,report"
_ABOUT = {"tap-": "--about", "target-": "--about", "source-": "spec"}
"""What has each kind of command say which settings it has."""
_UV = Path(sys.executable).parent / "uv"


def metadata() -> dict[str, object]:
    """The table ``project`` of ``pyproject.toml``."""
    found: dict[str, object] = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return found


def version() -> str:
    """The version that ``pyproject.toml`` names."""
    return str(metadata()["version"])


def wrong_versions() -> Iterator[str]:
    """Where changelog and tag say something else than ``pyproject.toml``."""
    heads = [found["version"] for found in _HEAD.finditer((ROOT / "CHANGELOG.md").read_text(encoding="utf-8"))]
    if heads[:1] != [version()]:
        yield f"CHANGELOG.md: the first dated section is {heads[:1]}, and pyproject.toml says {version()}"
    if heads != sorted(heads, key=lambda each: [*map(int, each.split("."))], reverse=True):
        yield "CHANGELOG.md: the versions are not in order"
    for tag in _git("tag", "--points-at", "HEAD"):
        if tag != _TAG.format(version=version()):
            yield f"the tag {tag} should be {_TAG.format(version=version())}"


def build(source: Path, folder: Path, *kinds: str) -> list[Path]:
    """Build archives with what `make setup` has left in uv's cache.

    Args:
        source: What to build.
        folder: Where the archives go.
        kinds: ``--wheel`` for a wheel alone; without it, a source archive, and a wheel made from that.
    """
    _run(str(_UV), "build", "--quiet", "--offline", *kinds, "--out-dir", str(folder), str(source))
    return sorted(path for path in folder.iterdir() if path.suffix in {".gz", ".whl"})


def packed(archive: Path) -> set[str]:
    """The names of the files in an archive, without the folder that a source archive is in."""
    if archive.suffix == ".whl":
        with zipfile.ZipFile(archive) as wheel:
            return set(wheel.namelist())
    with tarfile.open(archive) as source:
        return {member.name.partition("/")[2] for member in source if member.isfile()}


def wrong_names(wheel: Path, source: Path) -> Iterator[str]:
    """What the archives have too much, or lack."""
    tracked = {*_git("ls-files", "--", *(f":(glob){package}/**" for package in PACKAGES))}
    info = f"merchant_taps-{version()}.dist-info"
    meta = {f"{info}/{name}" for name in ("METADATA", "WHEEL", "RECORD", "entry_points.txt", "licenses/LICENSE")}
    for archive, wanted in ((wheel, tracked | meta), (source, tracked | _BESIDE)):
        found = packed(archive)
        yield from (f"{archive.name}: {name} is not tracked" for name in sorted(found - wanted))
        yield from (f"{archive.name}: {name} is missing" for name in sorted(wanted - found))
    for package in sorted({name.partition("/")[0] for name in tracked}):
        if f"{package}/py.typed" not in tracked:
            yield f"{package}: py.typed is missing, so nobody's type checker looks into it"


def _wrong_commands(wheel: Path, folder: Path) -> Iterator[str]:
    """Install the wheel into an empty environment, and ask every command for its version and settings."""
    environment = folder / "clean"
    _run(str(_UV), "venv", "--quiet", "--python", sys.executable, str(environment))
    scripts = metadata()["scripts"]
    assert isinstance(scripts, dict)
    for what, commands in (
        (str(wheel), [name for name in scripts if name.startswith(_BARE)]),
        (f"{wheel}[{_EXTRAS}]", list(scripts)),
    ):
        python = str(environment / "bin/python")
        _run(str(_UV), "pip", "install", "--quiet", "--offline", "--python", python, what)
        for command in commands:
            yield from _wrong_command(environment / "bin" / command, folder)


def _wrong_command(command: Path, folder: Path) -> Iterator[str]:
    said = _run(str(command), "--version", folder=folder)
    if version() not in said:
        yield f"{command.name} --version says {said.strip()!r}"
    for kind, about in _ABOUT.items():
        if command.name.startswith(kind) and not _run(str(command), about, folder=folder).strip():
            yield f"{command.name} {about} says nothing"


def _git(*arguments: str) -> list[str]:
    return _run("git", *arguments, folder=ROOT).splitlines()


def _run(*command: str, folder: Path | None = None) -> str:
    done = subprocess.run(command, cwd=folder, capture_output=True, check=False, text=True)
    if done.returncode:
        raise SystemExit(f"{' '.join(command)} ended with {done.returncode}:\n{done.stdout}{done.stderr}")
    return done.stdout


def main(twine: str) -> int:
    """Check everything; the exit code is 1 if something is wrong, and each thing has a line.

    Args:
        twine: The program of that name.
    """
    wrong = [*wrong_versions()]
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        wheel, source = build(ROOT, folder / "dist")
        wrong += wrong_names(wheel, source)
        (direct,) = build(ROOT, folder / "direct", "--wheel")
        if packed(direct) != packed(wheel):
            wrong.append("the wheel that is made from the source archive has other files")
        _run(twine, "check", "--strict", str(wheel), str(source))
        wrong += _wrong_commands(wheel, folder)
        size = f"{wheel.stat().st_size / 1e6:.1f} MB"
    for line in wrong:
        _say(line)
    if not wrong:
        _say(f"{version()} can be tagged {_TAG.format(version=version())}; the wheel has {size}")
    return 1 if wrong else 0


def _say(text: str) -> None:
    print(text)  # noqa: T201 - a command speaks


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
