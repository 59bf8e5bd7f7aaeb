"""What a section of the page consists of, before anything is drawn or becomes HTML."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from altair.typing import ChartType

__all__ = ["Figure", "Section", "Table", "Tile"]


@dataclass(frozen=True)
class Table:
    """A table of texts.

    Args:
        caption: What it shows.
        columns: The headings. The first column heads its row; the others are numbers, aligned right.
        rows: As many texts each as there are columns.
        words: Columns after the first that are words, aligned left.
    """

    caption: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    words: Sequence[str] = ()


@dataclass(frozen=True)
class Tile:
    """A figure in large print.

    Args:
        label: What it is.
        value: The figure, in words that need no unit.
        detail: What it was before, or what it is made of.
        about: Which currency or days it is of.
        tone: "good", "bad", or "" where neither can be said.
        metric: Name of the metric in dbt's semantic layer, whose label takes the place of `label`, and whose meaning
            stands at the end of the page.
    """

    label: str
    value: str
    detail: str = ""
    about: str = ""
    tone: str = ""
    metric: str = ""


@dataclass(frozen=True)
class Figure:
    """A chart with all that a reader needs who does not see it.

    Args:
        title: What it shows.
        chart: The chart.
        alt: The same in words, with the figures that stand out.
        table: Every figure of the chart.
        note: What a reader of the picture must know, such as that the scale is cut off.
    """

    title: str
    chart: ChartType
    alt: str
    table: Table
    note: str = ""


@dataclass(frozen=True)
class Section:
    """A part of the page.

    Args:
        key: Its address on the page.
        title: Its heading.
        sentences: What has changed, most important first.
        tiles: Figures in large print.
        figures: Charts.
        table: A table that everybody sees.
        notes: What stands in the way of more.
        details: Longer tables, folded up.
        headlines: What may stand at the top of the page.
    """

    key: str
    title: str
    sentences: Sequence[str] = ()
    tiles: Sequence[Tile] = ()
    figures: Sequence[Figure] = ()
    table: Table | None = None
    notes: Sequence[str] = ()
    details: Sequence[Table] = ()
    headlines: Sequence[str] = ()

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to show but notes."""
        return not (self.sentences or self.tiles or self.figures or self.table or self.details)
