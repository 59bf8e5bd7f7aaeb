"""The page: sections put into a template, with every chart drawn."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from jinja2 import Environment, PackageLoader, StrictUndefined

from merchant_report.sections.accounts import accounts
from merchant_report.sections.bookings import bookings
from merchant_report.sections.customers import customers
from merchant_report.sections.field_work import field_work
from merchant_report.sections.loyalty import loyalty
from merchant_report.sections.pipelines import pipelines
from merchant_report.sections.revenue import revenue
from merchant_report.sections.subscriptions import subscriptions
from merchant_report.theme import draw
from merchant_report.wording import ago, day

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from merchant_report.content import Section
    from merchant_report.marts import Marts
    from merchant_report.metrics import Metric

__all__ = ["SECTIONS", "Report", "make_report", "render"]

SECTIONS = (revenue, subscriptions, bookings, loyalty, field_work, customers)
"""What follows the state of the pipelines, in this order."""

_OLD_HOURS = 26
_SHORT = 3


@dataclass(frozen=True)
class Report:
    """What the page says.

    Args:
        as_of: The moment at which everything is looked at, in the marts' time zone.
        period: The days that sentences are about.
        sections: The parts that have something to show.
        quiet: What is to say of those that have not, by title.
        headlines: The page in three sentences, at most.
        warnings: What a reader must know first.
        metrics: The declared metrics.
        names: Whether customers are named.
    """

    as_of: datetime
    period: str
    sections: Sequence[Section]
    quiet: Mapping[str, str]
    headlines: Sequence[str]
    warnings: Sequence[str]
    metrics: Mapping[str, Metric]
    names: bool

    @property
    def used(self) -> Sequence[Metric]:
        """The metrics on the page that are explained."""
        names = dict.fromkeys(tile.metric for section in self.sections for tile in section.tiles)
        return [self.metrics[name] for name in names if name in self.metrics and self.metrics[name].description]


def make_report(marts: Marts, metrics: Mapping[str, Metric], now: datetime) -> Report:
    """Have every section say what it has to say.

    Args:
        marts: The marts.
        metrics: The declared metrics.
        now: The time, in UTC without a zone.
    """
    sections = [pipelines(marts), *(section(marts) for section in SECTIONS), *accounts(marts)]
    warnings = []
    if marts.built_at and (hours := (now - marts.built_at).total_seconds() / 3600) > _OLD_HOURS:
        warnings.append(f"The marts were built {ago(hours)}; what has been loaded since is not on this page.")
    if marts.missing:
        names = ", ".join(sorted(marts.missing))
        warnings.append(f"Not in this warehouse, and so not on this page: {names}. dbt build makes all marts.")
    return Report(
        as_of=marts.as_of,
        period=str(marts.week),
        sections=[section for section in sections if not section.is_empty],
        quiet={
            section.title: " ".join(section.notes) or "nothing has been loaded"
            for section in sections
            if section.is_empty
        },
        headlines=_headlines(sections),
        warnings=warnings,
        metrics=metrics,
        names=marts.names,
    )


def _headlines(sections: Sequence[Section]) -> list[str]:
    """The state of the pipelines, what the last day brought, and what the week changed."""
    state, *others = sections
    yesterday = [line for section in others for line in section.headlines]
    week = [sentence for section in others for sentence in section.sentences[:1]]
    return [*state.headlines, *yesterday[:1], *week][:_SHORT]


def render(report: Report) -> str:
    """The report as one HTML page that needs nothing else."""
    environment = Environment(
        loader=PackageLoader("merchant_report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals.update(draw=draw, day=day)
    return environment.get_template("report.html").render(report=report)
