"""The site asks no other host for anything, and all links lead somewhere, in the site and in the pages themselves."""

from __future__ import annotations

import re
import tomllib
from typing import TYPE_CHECKING

import pytest

from scripts.site import navigation, stage
from scripts.site_check import faults
from tests.tree import ROOT

if TYPE_CHECKING:
    from pathlib import Path

LINK = re.compile(r"\]\(([^)\s]+)\)")
HEADING = re.compile(r"^#{1,4} (.+)$", re.MULTILINE)
FENCE = re.compile(r"^```.*?^```$", re.DOTALL | re.MULTILINE)


def anchors(page: Path) -> set[str]:
    """What a heading is called in an address, as GitHub and zensical do it."""
    text = FENCE.sub("", page.read_text(encoding="utf-8"))
    return {re.sub(r"\s", "-", re.sub(r"[^\w\s-]", "", head.lower()).strip()) for head in HEADING.findall(text)}


@pytest.fixture(scope="module")
def staged(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    stage(folder)
    return folder


def test_every_link_of_the_staged_pages_leads_to_a_file_and_a_heading(staged: Path) -> None:
    wrong = []
    for page in (staged / "docs").rglob("*.md"):
        for link in LINK.findall(FENCE.sub("", page.read_text(encoding="utf-8"))):
            path, _, anchor = link.partition("#")
            if "://" in link:
                continue
            there = page.parent / path if path else page
            if not there.exists() or (anchor and anchor not in anchors(there)):
                wrong.append(f"{page.name}: {link}")
    assert not wrong


def test_the_navigation_has_every_page(staged: Path) -> None:
    named = set(re.findall(r"[\w/-]+\.md", str(navigation())))
    assert named == {page.relative_to(staged / "docs").as_posix() for page in (staged / "docs").rglob("*.md")}
    settings = tomllib.loads((staged / "zensical.toml").read_text(encoding="utf-8"))["project"]
    assert settings["nav"] == navigation()
    assert settings["theme"]["font"] is False


@pytest.mark.parametrize(
    ("name", "text", "fault"),
    [
        ("a.html", '<script src="https://example.com/x.js"></script>', "a.html: loads https://example.com/x.js"),
        ("a.html", '<link rel="preconnect" href="//example.com">', "a.html: loads //example.com"),
        ("a.html", '<img srcset="//example.com/a.png 2x">', "a.html: loads //example.com/a.png"),
        ("a.html", "<p style=\"background: url('https://example.com/a')\">", "a.html: loads https://example.com/a"),
        ("a.css", "@import 'https://example.com/a.css';", "a.css: loads https://example.com/a.css"),
        ("a.html", '<a href="b.html">b</a>', "a.html: b.html leads nowhere"),
        ("a.html", '<a href="#b">b</a>', "a.html: #b leads to an anchor that is not there"),
        ("a.html", '<a href="../a.html">b</a>', "a.html: ../a.html leads nowhere"),
    ],
)
def test_what_is_wrong_with_a_page_is_found(tmp_path: Path, name: str, text: str, fault: str) -> None:
    (tmp_path / "site").mkdir()
    (tmp_path / "a.html").write_text("outside")
    (tmp_path / "site" / name).write_text(text)
    assert list(faults(tmp_path / "site")) == [fault]


def test_what_a_reader_may_follow_and_what_is_there_is_no_fault(tmp_path: Path) -> None:
    page = '<a href="https://example.com">x</a><a href="#here">y</a><p id="here"><img src="data:image/png;base64,AA">'
    (tmp_path / "index.html").write_text(page)
    assert list(faults(tmp_path)) == []


def test_the_tools_of_the_site_are_pinned() -> None:
    assert re.search(r"^zensical==0\.0\.", (ROOT / "scripts/constraints.txt").read_text(), re.MULTILINE)
