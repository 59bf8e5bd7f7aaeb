"""How charts look, and their drawing as SVG that follows the page into the dark.

Colours are the page's own CSS variables, so one drawing serves light, dark and print. A chart is as wide as a column
of the page, which is as wide as a phone: letters keep their size everywhere.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import vl_convert
from markupsafe import Markup, escape

if TYPE_CHECKING:
    from altair.typing import ChartType

__all__ = ["ACCENT", "HEIGHT", "INK", "PAPER", "QUIET", "SERIES", "SOFT", "WIDTH", "draw"]

WIDTH = 340
HEIGHT = 170
ACCENT = "var(--accent)"
QUIET = "var(--quiet)"
INK = "var(--ink)"
SOFT = "var(--soft)"
PAPER = "var(--card)"
SERIES = ("var(--accent)", "var(--second)", "var(--third)", "var(--fourth)", "var(--fifth)", "var(--sixth)")
"""Colours of several series in one chart, in the order of their use."""

_AXIS = {
    "labelColor": "var(--soft)",
    "titleColor": "var(--soft)",
    "labelFontSize": 11,
    "titleFontSize": 11,
    "titleFontWeight": "normal",
    "domainColor": "var(--line)",
    "tickColor": "var(--line)",
    "gridColor": "var(--line)",
    "labelPadding": 5,
    "tickSize": 3,
}
_CONFIG: dict[str, Any] = {
    "aria": False,  # the page says it all, once
    "background": "transparent",
    "font": "system-ui, sans-serif",
    "autosize": {"type": "fit", "contains": "padding"},
    "padding": {"left": 6, "right": 6, "top": 4, "bottom": 2},
    "view": {"stroke": None},
    "axis": _AXIS,
    "axisX": {"grid": False, "labelFlush": False},
    "axisY": {"domain": False, "ticks": False, "tickCount": 4, "gridDash": [1, 3]},
    "legend": {
        "orient": "top",
        "title": None,
        "labelColor": "var(--soft)",
        "labelFontSize": 11,
        "symbolType": "square",
        "symbolSize": 70,
        "padding": 0,
        "offset": 6,
        "columnPadding": 12,
    },
}
_SIZE = re.compile(r'<svg [^>]*?width="([\d.]+)" height="([\d.]+)"[^>]*>')
_IDS = re.compile(r'(id="|url\(#|href="#)(?=[\w-]+)')
_BACKGROUND = re.compile(r'<rect width="[\d.]+" height="[\d.]+" fill="(?:white|transparent)"/?>(?:</rect>)?')
_EMPTY = re.compile(r'<path class="(?:foreground|background)"[^>]*(?: d="(?:M0,0h0v0h0Z)?"| display="none")[^>]*/>')
_CLASSES = re.compile(r' (?:class|pointer-events|stroke-miterlimit|role|aria-\w+)="[^"]*"')


def draw(chart: ChartType, key: str, label: str) -> Markup:
    """A chart as an SVG element to put into a page.

    Args:
        chart: The chart.
        key: What its identifiers begin with, so that they are the page's only ones.
        label: What it shows, for those who do not see it.
    """
    spec = chart.to_dict(validate=False)  # which takes longer than the drawing; a test does it
    spec["config"] = _CONFIG
    drawn = vl_convert.vegalite_to_svg(spec)
    found = _SIZE.search(drawn)
    assert found, "the drawing begins with its size"
    body = _BACKGROUND.sub("", drawn[found.end() :], count=1)
    body = _CLASSES.sub("", _EMPTY.sub("", body))
    body = _IDS.sub(lambda match: f"{match[1]}{key}-", body)
    opening = Markup(
        '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" '
        'role="img" aria-label="{label}">'
    ).format(width=found[1], height=found[2], label=escape(label))
    return opening + Markup(body)  # noqa: S704 - Vega escapes texts
