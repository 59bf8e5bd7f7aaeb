"""What is wrong with a folder of HTML pages: addresses that lead nowhere, and what would be loaded from elsewhere."""

from __future__ import annotations

import re
from functools import cache
from html.parser import HTMLParser
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from typing_extensions import override

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

__all__ = ["faults"]

_LOADING_LINKS = {
    "stylesheet",
    "icon",
    "preload",
    "prefetch",
    "preconnect",
    "dns-prefetch",
    "modulepreload",
    "manifest",
}
_STYLE = re.compile(r"(?:url\(\s*['\"]?|@import\s+['\"])(?P<address>(?:https?:)?//[^'\")]+)")
_VECTORS = {"http://www.w3.org/2000/svg", "http://www.w3.org/1999/xlink"}
"""Names that look like addresses, in pictures inside of style sheets."""


class _Page(HTMLParser):
    """The addresses in a page: those that it loads, those that a reader may follow, and its anchors."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.loads: list[str] = []
        self.leads: list[str] = []
        self.anchors: set[str] = set()
        self.feed(text)

    @override
    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        self.anchors |= {given[name] for name in ("id", "name") if name in given}
        if tag == "a" and "href" in given:
            self.leads.append(given["href"])
        elif tag == "link" and _LOADING_LINKS & set(given.get("rel", "").split()):
            self.loads.append(given.get("href", ""))
        self.loads += [given[name] for name in ("src", "data", "poster") if name in given]
        self.loads += [part.split()[0] for part in given.get("srcset", "").split(",") if part.strip()]
        if given.get("style"):
            self.loads += _STYLE.findall(given["style"])


def faults(site: Path) -> Iterator[str]:
    """Look through a site.

    Args:
        site: Its folder.

    Yields:
        One line for each address that leads nowhere or makes a reader's browser ask another host.
    """

    @cache
    def page(file: Path) -> _Page:
        return _Page(file.read_text(encoding="utf-8"))

    for file in sorted(site.rglob("*.html")):
        name = file.relative_to(site).as_posix()
        for address in page(file).loads:
            if _is_elsewhere(address):
                yield f"{name}: loads {address}"
        for address in [*page(file).loads, *page(file).leads]:
            if not _is_elsewhere(address) and (fault := _leads_nowhere(address, file, site, page)):
                yield f"{name}: {fault}"
    for file in sorted([*site.rglob("*.css"), *site.rglob("*.svg")]):
        for address in set(_STYLE.findall(file.read_text(encoding="utf-8"))) - _VECTORS:
            yield f"{file.relative_to(site).as_posix()}: loads {address}"


def _is_elsewhere(address: str) -> bool:
    return bool(urlsplit(address).scheme or address.startswith("//")) and not address.startswith("data:")


def _leads_nowhere(address: str, file: Path, site: Path, page: Callable[[Path], _Page]) -> str | None:
    if address.startswith(("data:", "javascript:")) or not address:
        return None
    parts = urlsplit(address)
    path = unquote(parts.path)
    there = file if not path else (site / path.lstrip("/") if path.startswith("/") else file.parent / path).resolve()
    there = there / "index.html" if there.is_dir() else there
    if not there.exists() or site.resolve() not in there.resolve().parents:
        return f"{address} leads nowhere"
    anchor = unquote(parts.fragment)
    if anchor and there.suffix == ".html" and anchor not in page(there).anchors:
        return f"{address} leads to an anchor that is not there"
    return None
