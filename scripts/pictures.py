"""A picture for each vendor of how its tables refer to each other, from `x-references` in the schemas.

The pictures are SVG files in ``docs/pictures``: they need no network, no script and no font of their own, and follow
the reader's choice of light or dark. A table stands to the right of all tables that it refers to.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from html import escape
from typing import TYPE_CHECKING

from scripts.describe import ROOT, VENDORS, catalog

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

__all__ = ["FOLDER", "REFERENCES", "pictures", "references"]

FOLDER = ROOT / "docs/pictures"
REFERENCES = "x-references"
"""What a schema says of a property that holds the value of another stream's property: ``customers.id``."""

_LETTER, _LINE, _EDGE, _GAP, _ROAD = 7.3, 18, 12, 26, 90
"""Pixels: a letter's width, a line's height, the margin in a box, and between boxes down and across."""
_STYLE = """
.bg { fill: #ffffff } .box { fill: #f6f8fa; stroke: #8c959f } .road { fill: none; stroke: #57606a }
text { font: 12px ui-monospace, SFMono-Regular, Menlo, Consolas, monospace; fill: #24292f }
.name { font-weight: bold } .key { text-decoration: underline }
@media (prefers-color-scheme: dark) {
  .bg { fill: #0d1117 } .box { fill: #161b22; stroke: #6e7681 } .road { stroke: #9198a1 } text { fill: #e6edf3 }
}
"""


@dataclass
class _Box:
    """A table: its name, the columns that are shown, and where it stands."""

    name: str
    keys: tuple[str, ...]
    refers: dict[str, tuple[str, str]]
    targets: set[str] = field(default_factory=set)
    """Columns that others refer to."""
    x: float = 0
    y: float = 0

    @property
    def columns(self) -> list[str]:
        return list(dict.fromkeys((*self.keys, *sorted(self.targets), *self.refers)))

    @property
    def width(self) -> float:
        return _LETTER * max(map(len, (self.name, *self.columns))) + 2 * _EDGE

    @property
    def height(self) -> float:
        return _LINE * (len(self.columns) + 1) + _EDGE

    def level(self, column: str) -> float:
        """The middle of a column's line."""
        return self.y + _LINE * (self.columns.index(column) + 1.5) + _EDGE / 2


def references(vendor: str) -> list[tuple[str, str, str, str]]:
    """Stream and column, and the stream and column that they refer to."""
    return [
        (entry["tap_stream_id"], name, *member[REFERENCES].split("."))
        for entry in catalog(vendor)
        for name, member in entry["schema"]["properties"].items()
        if REFERENCES in member
    ]


def pictures() -> Mapping[Path, str]:
    """Each vendor's picture, by the file that it belongs into."""
    return {FOLDER / f"{vendor}.svg": _picture(vendor) for vendor in VENDORS}


def _picture(vendor: str) -> str:
    boxes = _boxes(vendor)
    width, height = _place(boxes)
    size = f'width="{width:.0f}" height="{height:.0f}"'
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" {size} viewBox="0 0 {width:.0f} {height:.0f}" role="img">',
        f"<title>How the tables of tap-{vendor} refer to each other</title>",
        f"<style>{_STYLE}</style>",
        f'<rect class="bg" {size}/>',
        *(line for box in boxes.values() for line in _roads(box, boxes)),
        *(line for box in boxes.values() for line in _drawn(box)),
        "</svg>",
    ]
    return "\n".join(lines) + "\n"


def _boxes(vendor: str) -> dict[str, _Box]:
    boxes = {
        entry["tap_stream_id"]: _Box(entry["tap_stream_id"], tuple(entry["key_properties"]), {})
        for entry in catalog(vendor)
    }
    for stream, column, target, its_column in references(vendor):
        boxes[stream].refers[column] = (target, its_column)
        boxes[target].targets.add(its_column)
    return boxes


def _depth(box: _Box, boxes: Mapping[str, _Box]) -> int:
    others = {target for target, _ in box.refers.values()} - {box.name}
    return max((_depth(boxes[target], boxes) + 1 for target in others), default=0)


def _place(boxes: Mapping[str, _Box]) -> tuple[float, float]:
    """Give each box its place, in the column of its depth; those without neighbours stand below. The size of all."""
    alone = [box for box in boxes.values() if not box.refers and not box.targets]
    ranks: dict[int, list[_Box]] = {}
    for box in boxes.values():
        if box not in alone:
            ranks.setdefault(_depth(box, boxes), []).append(box)
    x, bottom = float(_GAP), float(_GAP)
    for _, rank in sorted(ranks.items()):
        rank.sort(key=lambda box: (_pull(box, boxes), box.name))
        bottom = max(bottom, _stack(rank, x))
        x += max(box.width for box in rank) + _ROAD
    width, x = x - _ROAD if ranks else x, float(_GAP)
    for box in alone:
        if x > _GAP and x + box.width > width:
            x, bottom = float(_GAP), bottom + max(other.height for other in alone) + _GAP
        box.x, box.y = x, bottom
        x += box.width + _GAP
    return max([width, *(box.x + box.width for box in boxes.values())]) + _GAP, (
        max(box.y + box.height for box in boxes.values()) + _GAP
    )


def _pull(box: _Box, boxes: Mapping[str, _Box]) -> float:
    """How far down the tables are that a table refers to, on average."""
    levels = [boxes[target].level(column) for target, column in box.refers.values()]
    return sum(levels) / len(levels) if levels else -len(box.targets)


def _stack(rank: Sequence[_Box], x: float) -> float:
    y = float(_GAP)
    for box in rank:
        box.x, box.y = x, y
        y += box.height + _GAP
    return y


def _roads(box: _Box, boxes: Mapping[str, _Box]) -> Iterator[str]:
    """A line from each column to the one that it refers to, with three toes on the side of many rows."""
    for column, (target, its_column) in box.refers.items():
        there = boxes[target]
        x, y, right, level = box.x, box.level(column), there.x + there.width, there.level(its_column)
        bend = (x - 8 - right) / 2
        yield (
            f'<path class="road" d="M{x:.0f} {y - 5:.0f} L{x - 8:.0f} {y:.0f} L{x:.0f} {y + 5:.0f} M{x:.0f} {y:.0f} '
            f"H{x - 8:.0f} C{x - 8 - bend:.0f} {y:.0f} {right + bend:.0f} {level:.0f} {right:.0f} {level:.0f} "
            f'M{right + 5:.0f} {level - 5:.0f} v10"/>'
        )


def _drawn(box: _Box) -> Iterator[str]:
    place, size = f'x="{box.x:.0f}" y="{box.y:.0f}"', f'width="{box.width:.0f}" height="{box.height:.0f}"'
    yield f'<rect class="box" {place} {size} rx="4"/>'
    for number, text in enumerate((box.name, *box.columns)):
        kind = "name" if not number else "key" if text in box.keys else "column"
        level = box.y + _LINE * (number + 0.5) + _EDGE / 2 + 4
        yield f'<text class="{kind}" x="{box.x + _EDGE:.0f}" y="{level:.0f}">{escape(text)}</text>'
