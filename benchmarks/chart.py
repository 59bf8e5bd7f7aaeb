"""A chart of bars as an SVG that can be read on light and dark backgrounds."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

from benchmarks.results import short

if TYPE_CHECKING:
    from collections.abc import Sequence

    from benchmarks.results import Case

WIDTH, NAMES, NUMBERS, LINE, BAR = 860, 290, 60, 26, 16
STYLE = """
text { font: 13px system-ui, sans-serif; fill: #24292f }
.title { font-weight: 600 }
.ours { fill: #0969da } .limit { fill: #1a7f37 } .other { fill: #8c959f }
@media (prefers-color-scheme: dark) {
  text { fill: #e6edf3 }
  .ours { fill: #4493f8 } .limit { fill: #3fb950 } .other { fill: #7d8590 }
}
"""


def bars(cases: Sequence[Case]) -> str:
    """One bar for each figure, those of a case to one scale."""
    parts, y = [], 0
    for case in cases:
        parts.append(f'<text class="title" x="0" y="{y + 18}">{escape(case.title)}, {escape(case.unit)}</text>')
        y += LINE + 4
        figures = {name: figure for group in case.groups.values() for name, figure in group.items()}
        most = max(figure.value for figure in figures.values())
        for name, figure in figures.items():
            length = max(1.0, (WIDTH - NAMES - NUMBERS) * figure.value / most)
            kind = "limit" if name.startswith("limit") else "ours" if name.startswith("this project") else "other"
            parts += (
                f'<text x="{NAMES - 8}" y="{y + 13}" text-anchor="end">{escape(name)}</text>',
                f'<rect class="{kind}" x="{NAMES}" y="{y}" width="{length:.1f}" height="{BAR}" rx="2"/>',
                f'<text x="{NAMES + length + 6:.1f}" y="{y + 13}">{short(figure.value)}</text>',
            )
            y += LINE
        y += LINE // 2
    label = "; ".join(case.title for case in cases)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {y}" role="img" aria-label="{escape(label)}">\n'
        f"<style>{STYLE}</style>\n" + "\n".join(parts) + "\n</svg>\n"
    )
