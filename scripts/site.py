"""``make site``: the pages as a site in ``site/``, which asks no other host for anything.

The pages are copied beside the files of the project's root that they link to, with links that fit. What a link leads to
outside of these, such as ``.env.example``, stays as text. Then zensical builds, and every page that it wrote is looked
through: each address must lead to a file and an anchor that are there, and nothing may be loaded from elsewhere.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from scripts.describe import ROOT
from scripts.site_check import faults

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["main", "navigation", "stage"]

_OUT = ROOT / "site"
_BESIDE = {
    "README.md": "overview.md",
    "CHANGELOG.md": "changelog.md",
    "CONTRIBUTING.md": "contributing.md",
    "SECURITY.md": "security.md",
}
"""Files of the root, and what they are called as pages."""
_IMAGE = re.compile(r"(?P<shown>!\[[^\[\]]*\])\((?P<target>[^()\s]+)\)")
_LINK = re.compile(r"(?<!!)(?P<shown>\[(?:[^\[\]]|\[[^\[\]]*\])*\])\((?P<target>[^()\s]+)\)")
_FENCE = re.compile(r"(^```.*?^```$)", re.DOTALL | re.MULTILINE)
_HEADING = re.compile(r"^## (.+)$", re.MULTILINE)
_ROW = re.compile(r"^\| \[([^\]]+)\]\(([^)#\s]+)\) \|", re.MULTILINE)


def main(zensical: str) -> int:
    """Build the site and look through it; the exit code is 1 if something is wrong with it.

    Args:
        zensical: The program of that name.
    """
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        stage(folder)
        done = subprocess.run([zensical, "build"], cwd=folder, capture_output=True, check=False, text=True)
        if done.returncode or not (folder / "site/index.html").exists():
            _say(done.stdout + done.stderr)
            return 1
        shutil.rmtree(_OUT, ignore_errors=True)
        shutil.copytree(folder / "site", _OUT)
    found = list(faults(_OUT))
    for fault in found:
        _say(fault)
    pages = len([*_OUT.rglob("*.html")])
    if not found:
        _say(f"site/index.html: {pages} pages; `python -m http.server --directory site` serves them with search")
    return 1 if found else 0


def stage(folder: Path) -> None:
    """Write the pages, with links that fit, and the configuration into a folder."""
    places = _places()
    for source, place in places.items():
        target = folder / "docs" / place
        target.parent.mkdir(parents=True, exist_ok=True)
        if source.suffix == ".md":
            target.write_text(_fitting(source, place, places), encoding="utf-8")
        else:
            shutil.copy2(source, target)
    shutil.copy2(ROOT / "scripts/site.css", folder / "docs")
    settings = (ROOT / "scripts/site.toml").read_text(encoding="utf-8")
    nav = f"[project]\nnav = {_toml(navigation())}\n"
    (folder / "zensical.toml").write_text(settings.replace("[project]\n", nav, 1), encoding="utf-8")


def navigation() -> list[dict[str, object]]:
    """The pages by task, as ``docs/README.md`` lists them, then those of the root."""
    text = (ROOT / "docs/README.md").read_text(encoding="utf-8")
    _, *parts = _HEADING.split(text)
    tasks: list[dict[str, object]] = [
        {title: [{name: page} for name, page in _ROW.findall(body)]}
        for title, body in zip(parts[::2], parts[1::2], strict=True)
    ]
    root = [{Path(page).stem.capitalize(): page} for page in _BESIDE.values()]
    return [{"Pages": "index.md"}, *tasks, {"The project": root}]


def _places() -> dict[Path, str]:
    """Each file that goes into the site, and where."""
    docs = ROOT / "docs"
    pages = {path: path.relative_to(docs).as_posix() for path in sorted(docs.rglob("*")) if path.is_file()}
    return {**pages, docs / "README.md": "index.md", **{ROOT / name: place for name, place in _BESIDE.items()}}


def _fitting(source: Path, place: str, places: Mapping[Path, str]) -> str:
    """The text of a page with the links changed that would lead out of the site."""

    def fit(link: re.Match[str]) -> str:
        target, _, anchor = link["target"].partition("#")
        if not target or "://" in target or target.startswith("mailto:"):
            return link[0]
        file = (source.parent / target).resolve()
        there = places.get(file)
        if there is None:
            return link["shown"].removeprefix("[").removesuffix("]") if file.exists() else link[0]
        way = Path(os.path.relpath(there, Path(place).parent)).as_posix()
        return f"{link['shown']}({way}{'#' + anchor if anchor else ''})"

    parts = _FENCE.split(source.read_text(encoding="utf-8"))
    parts[::2] = [_LINK.sub(fit, _IMAGE.sub(fit, part)) for part in parts[::2]]
    return "".join(parts)


def _toml(value: object) -> str:
    """A list of tables with one member each, as TOML writes it inline."""
    if isinstance(value, list):
        return f"[{', '.join(map(_toml, value))}]"
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{json.dumps(name)} = {_toml(part)}" for name, part in value.items()) + " }"
    return json.dumps(value)


def _say(text: str) -> None:
    print(text)  # noqa: T201 - a command speaks


if __name__ == "__main__":
    sys.exit(main(str(Path(sys.argv[1]).absolute())))
