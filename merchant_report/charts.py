"""The kinds of charts on the page, as Vega-Lite by altair.

Channels are given as objects throughout: altair reads shorthands and conditions by way of its schema, 25 ms each.

Numbers become floats here, and only here: a picture needs no cents. Names from the data are values and never part of
an expression.
"""

from __future__ import annotations

from collections import defaultdict
from datetime import date, timedelta
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import altair as alt

from merchant_report.theme import ACCENT, HEIGHT, INK, PAPER, QUIET, SERIES, SOFT, WIDTH

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from decimal import Decimal

    from altair.typing import ChartType

__all__ = ["bars", "ceiling", "columns", "grid", "lines", "ranked", "stacked", "trend"]

_FIGURE = (
    "abs(datum.value) >= 1e12 ? format(datum.value / 1e12, ',~r') + 'T' : abs(datum.value) >= 1e3 ?"
    " replace(format(datum.value, '.3~s'), 'G', 'B') : format(datum.value, '~g')"
)
"""Labels of an axis: 20k, 3M, 1.5B, 90T, and small ones as they are."""
_GAP = 20
_FEW = 3
_ROOM = 1.3
_NOTCH = 0.9
_ROW = 34
_DOTS = 60
_LONGEST = 22
_FEWEST = 8
_TICKS = 5
_UNITS = {"day": 1, "week": 7, "month": 30}
_FORMATS = {"day": "%-d %b", "week": "%-d %b", "month": "%b %y"}


def ceiling(values: Iterable[Decimal | float]) -> float | None:
    """Where to cut off a scale on which a few values dwarf all others; None where none do.

    They do if at most a third of the values are more than twenty times as large as the largest of the others.
    """
    sizes = sorted(abs(float(value)) for value in values if value)
    gaps = [
        (larger / smaller, smaller)
        for place, (smaller, larger) in enumerate(pairwise(sizes), 1)
        if larger > _GAP * smaller and (len(sizes) - place) * _FEW <= len(sizes)
    ]
    return max(gaps)[1] * _ROOM if gaps else None


def bars(points: Sequence[tuple[date, Decimal | float]], unit: str, new_from: date | None = None) -> ChartType:
    """Bars over time. What is beyond `ceiling` is cut off, and notched.

    Args:
        points: First day of each bar, and its value.
        unit: "day", "week" or "month".
        new_from: Earlier bars stand back.
    """
    top = ceiling(value for _, value in points)
    rows = [
        {
            **_extent(when, unit),
            "value": _within(float(value), top),
            "colour": ACCENT if new_from is None or when >= new_from else QUIET,
            "notch": None if _within(float(value), top) == float(value) else _within(float(value), top) * _NOTCH,
        }
        for when, value in points
    ]
    base = _base(rows)
    drawn = base.mark_bar(xOffset=0.5, x2Offset=-0.5).encode(
        x=_time(unit, rows),
        x2=alt.X2("end:T"),
        y=_amounts("value:Q"),
        y2=alt.Y2Datum(0),
        color=alt.Color("colour:N", scale=None),
    )
    notches = (
        base.transform_filter("isValid(datum.notch)")
        .mark_rule(stroke=PAPER, strokeWidth=3)
        .encode(x=_time(unit, rows), x2=alt.X2("end:T"), y=alt.Y("notch:Q"))
    )
    return alt.layer(drawn, notches, _zero(base)) if top else alt.layer(drawn, _zero(base))


def stacked(points: Sequence[tuple[date, str, Decimal | float]], unit: str, order: Sequence[str]) -> ChartType:
    """Bars of several parts over time; negative parts go down.

    Args:
        points: First day of each bar, the part, and its value.
        unit: "day", "week" or "month".
        order: The parts, from the line upwards.
    """
    ends: defaultdict[tuple[date, bool], float] = defaultdict(float)
    rows = []
    for when, part, value in sorted(points, key=lambda point: (point[0], order.index(point[1]))):
        low = ends[when, value < 0]
        ends[when, value < 0] = high = low + float(value)
        rows.append({**_extent(when, unit), "part": part, "low": low, "high": high})
    base = _base(rows)
    drawn = base.mark_bar(xOffset=0.5, x2Offset=-0.5).encode(
        x=_time(unit, rows), x2=alt.X2("end:T"), y=_amounts("high:Q"), y2=alt.Y2("low:Q"), color=_parts(order)
    )
    return alt.layer(drawn, _zero(base))


def trend(points: Sequence[tuple[date, Decimal | float]]) -> ChartType:
    """One figure from day to day, as a line on its area, with a dot where it stands now."""
    rows = [{"start": _milliseconds(when), "value": float(value)} for when, value in points]
    base = _base(rows).encode(x=_time("day", rows), y=_amounts("value:Q"))
    now = _base(rows[-1:]).encode(x=_time("day", rows), y=_amounts("value:Q"))
    return alt.layer(
        base.mark_area(color=ACCENT, opacity=0.15),
        base.mark_line(color=ACCENT, strokeWidth=2),
        now.mark_point(color=ACCENT, fill=ACCENT, size=40),
    )


def lines(
    points: Sequence[tuple[float, str, float]], title: str, order: Sequence[str], *, down: bool = False
) -> ChartType:
    """Shares of one, as a line for each part.

    Args:
        points: The place from left to right, the part, and the share.
        title: What goes from left to right.
        order: The parts.
        down: Whether the places count down to zero.
    """
    rows = [{"place": place, "part": part, "value": value} for place, part, value in points]
    most = max(1.0, *(share for _, _, share in points))
    drawn: ChartType = (
        _base(rows)
        .mark_line(strokeWidth=2, point=alt.OverlayMarkDef(size=18, filled=True) if len(rows) <= _DOTS else False)
        .encode(
            x=alt.X(
                "place:Q",
                title=title,
                scale=alt.Scale(reverse=down, nice=False),
                axis=alt.Axis(tickCount=6, tickMinStep=1, format=",d"),
            ),
            y=alt.Y("value:Q", title=None, scale=alt.Scale(domain=[0, most]), axis=alt.Axis(format=".0%")),
            color=_parts(order),
        )
    )
    return drawn


def columns(values: Mapping[str, tuple[Decimal | float, str]]) -> ChartType:
    """Bars side by side, each with its name below and its figure above."""
    rows = [{"name": name, "value": float(value), "shown": shown} for name, (value, shown) in values.items()]
    base = _base(rows).encode(
        x=alt.X("name:N", title=None, sort=list(values), axis=alt.Axis(labelAngle=0, ticks=False)),
        y=alt.Y("value:Q", title=None, axis=None),
    )
    return alt.layer(
        base.mark_bar(color=ACCENT, cornerRadiusEnd=2, width=alt.RelativeBandSize(0.62)),
        base.mark_text(dy=-7, color=INK, fontSize=12).encode(text=alt.Text("shown:N")),
    )


def ranked(rows: Sequence[tuple[str, Decimal | float, Decimal | float, str]]) -> ChartType:
    """Lying bars, longest first or as given, each with its name above and its figure on the right.

    Args:
        rows: The name, the length of the bar, the length of the pale bar behind it (0 for none), and the figure as it
            is shown.
    """
    top = ceiling([length for _, length, _, _ in rows])
    values = [
        {
            "place": place,
            "name": name,
            "value": _within(float(length), top),
            "behind": _within(float(behind), top),
            "shown": shown,
            "notch": None if _within(float(length), top) == float(length) else _within(float(length), top) * _NOTCH,
        }
        for place, (name, length, behind, shown) in enumerate(rows)
    ]
    ends = [_within(float(end), top) for _, *lengths, _ in rows for end in lengths]
    base = _base(values, len(rows) * _ROW).encode(
        y=alt.Y("place:O", axis=None, scale=alt.Scale(paddingInner=0, paddingOuter=0))
    )
    scale = alt.Scale(domain=[min(0.0, *ends), max(1e-9, *ends)], nice=False)
    length = alt.X("value:Q", title=None, axis=None, scale=scale)
    layers = [
        base.mark_bar(color=QUIET, height=9, yOffset=9, opacity=0.6).encode(
            x=alt.X("behind:Q", axis=None, scale=scale)
        ),
        base.mark_bar(color=ACCENT, height=9, yOffset=9).encode(x=length),
        base.mark_text(x=0, align="left", dy=-6, color=INK, fontSize=12, limit=WIDTH * 0.66).encode(
            text=alt.Text("name:N")
        ),
        base.mark_text(x="width", align="right", dy=-6, color=SOFT, fontSize=12).encode(text=alt.Text("shown:N")),
    ]
    if top:
        cut = base.transform_filter("isValid(datum.notch)").mark_tick(color=PAPER, thickness=3, height=13, yOffset=9)
        layers.append(cut.encode(x=alt.X("notch:Q", axis=None, scale=scale)))
    return alt.layer(*layers)


def grid(cells: Sequence[tuple[str, int, float]]) -> ChartType:
    """Shares of one as the darkness of cells, such as of cohorts by months.

    Args:
        cells: The row, the column, and the share.
    """
    rows = [
        {"row": row, "column": column, "value": value, "shown": f"{value * 100:.0f}"} for row, column, value in cells
    ]
    order = list(dict.fromkeys(row for row, _, _ in cells))
    base = _base(rows, 60 + 20 * len(order)).encode(
        x=alt.X("column:O", title="months later", axis=alt.Axis(labelAngle=0, ticks=False, domain=False)),
        y=alt.Y("row:O", title=None, sort=order, axis=alt.Axis(ticks=False)),
    )
    return alt.layer(
        base.mark_rect(color=ACCENT, stroke=PAPER, strokeWidth=1.5).encode(
            opacity=alt.Opacity("value:Q", scale=alt.Scale(domain=[0, 1], range=[0.06, 0.6]), legend=None)
        ),
        base.mark_text(fontSize=9.5, color=INK).encode(text=alt.Text("shown:N")),
    )


def _base(rows: Sequence[Mapping[str, Any]], height: int = HEIGHT) -> alt.Chart:
    return alt.Chart({"values": list(rows)}, width=WIDTH, height=height)


def _extent(when: date, unit: str) -> dict[str, int]:
    """Where a bar begins and ends, in milliseconds as JavaScript counts them."""
    if unit == "month":
        end = (when.replace(day=1) + timedelta(days=31)).replace(day=1)
    else:
        end = when + timedelta(days=_UNITS[unit])
    return {"start": _milliseconds(when), "end": _milliseconds(end)}


def _milliseconds(when: date) -> int:
    return (when - date(1970, 1, 1)).days * 86_400_000


def _within(value: float, top: float | None) -> float:
    return value if top is None else max(-top, min(top, value))


def _time(unit: str, rows: Sequence[Mapping[str, Any]]) -> alt.X:
    """The axis of time, with room for at least eight bars, so that one alone is no wall."""
    starts = sorted({int(row["start"]) for row in rows})
    last = max(int(row.get("end", row["start"])) for row in rows)
    first = min(starts[0], last - _FEWEST * _UNITS[unit] * 86_400_000)
    return alt.X(
        "start:T",
        title=None,
        scale=alt.Scale(type="utc", nice=False, domain=[first, last]),
        axis=alt.Axis(
            format=_FORMATS[unit], values=starts[:: -(-len(starts) // _TICKS)], labelOverlap="greedy", labelSeparation=8
        ),
    )


def _amounts(field: str) -> alt.Y:
    return alt.Y(field, title=None, axis=alt.Axis(labelExpr=_FIGURE))


def _parts(order: Sequence[str]) -> alt.Color:
    colours = [SERIES[place % len(SERIES)] for place in range(len(order))]
    legend = alt.Legend(labelLimit=_LONGEST * 6, columns=3) if len(order) > 1 else None
    return alt.Color("part:N", sort=list(order), scale=alt.Scale(domain=list(order), range=colours), legend=legend)


def _zero(base: alt.Chart) -> alt.Chart:
    line: alt.Chart = base.mark_rule(color=SOFT, strokeWidth=1).encode(y=alt.YDatum(0))
    return line
