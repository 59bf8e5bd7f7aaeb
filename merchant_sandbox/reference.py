"""The tables of ``docs/sandbox.md``, from the code: ``python -m merchant_sandbox.reference docs/sandbox.md``."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from merchant_sandbox.discovery import vendors
from merchant_sandbox.faults import ANSWER_KINDS, PAGING_KINDS

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

__all__ = ["regenerate"]


def regenerate(text: str) -> str:
    """The page with everything between ``<!-- begin NAME -->`` and ``<!-- end NAME -->`` generated again."""
    for name, table in _tables().items():
        begin, end = f"<!-- begin {name} -->\n", f"<!-- end {name} -->"
        before, _, rest = text.partition(begin)
        text = f"{before}{begin}\n{table}\n{end}{rest.partition(end)[2]}"
    return text


def _tables() -> Mapping[str, str]:
    switch_rows = (
        (name, f"`{switch.name}`", f"`{switch.default!r}`".replace("'", '"'), switch.doc)
        for name, vendor in vendors().items()
        for switch in vendor.switches_declared
    )
    vendor_rows = (
        (
            name,
            f"`/w/<world>/{name}{vendor.base_path}`",
            ", ".join(vendor.credentials),
            ", ".join(vendor.streams),
        )
        for name, vendor in vendors().items()
    )
    return {
        "vendors": _table(("vendor", "path", "credentials", "streams"), vendor_rows),
        "switches": _table(("vendor", "switch", "default", "meaning"), switch_rows),
        "answer faults": _table(("kind", "what happens"), ((f"`{kind}`", doc) for kind, doc in ANSWER_KINDS.items())),
        "paging faults": _table(("kind", "what happens"), ((f"`{kind}`", doc) for kind, doc in PAGING_KINDS.items())),
    }


def _table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    lines = [head, ("---",) * len(head), *rows]
    return "\n".join(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in line)} |" for line in lines)


if __name__ == "__main__":
    for page in map(Path, sys.argv[1:]):
        page.write_text(regenerate(page.read_text(encoding="utf-8")), encoding="utf-8")
