"""The marts of a warehouse, read only, and the moment at which they look at everything, in their time zone."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any

import duckdb

from merchant_report.wording import Money, span

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

__all__ = ["Marts", "Period", "ReportError", "open_marts"]

_BUILT = """
SELECT max(last_loaded_at + to_microseconds((hours_since_last * 3600000000)::BIGINT)) FROM marts.pipeline_streams
"""
_ZONE = "SELECT time_zone FROM {mart}"
_CLOCKS = """
CREATE TEMP MACRO clock_at(moment) AS moment AT TIME ZONE 'UTC' AT TIME ZONE {zone};
CREATE TEMP MACRO day_of(moment) AS clock_at(moment)::DATE
"""


class ReportError(Exception):
    """What stands in the way of a report, with the way out."""


@dataclass(frozen=True)
class Period:
    """Whole days that are compared with as many before them.

    Args:
        until: The day after the last one.
        days: How many.
    """

    until: date
    days: int = 7

    @property
    def start(self) -> date:
        """The first day."""
        return self.until - timedelta(days=self.days)

    @property
    def before(self) -> Period:
        """The days before them."""
        return Period(self.start, self.days)

    def start_of(self, when: date) -> date:
        """The first day of the period that a day is in, if one follows the other."""
        return self.start + timedelta(days=(when - self.start).days // self.days * self.days)

    def __contains__(self, when: date | None) -> bool:
        return when is not None and self.start <= when < self.until

    def __str__(self) -> str:
        return span(self.start, self.until)


class Marts:
    """The marts of one warehouse.

    Args:
        con: A connection.
        schema: Where they are.
        as_of: The moment at which everything is looked at, in UTC without a zone; by default when they were built.
        names: Whether names of customers may be shown.

    Attributes:
        built_at: When they were built, in UTC without a zone, if that is known.
        as_of: What the clocks of the marts' time zone show at the moment at which everything is looked at.

    Raises:
        ReportError: The marts that are read at once have other columns, or their time zone is not known here.
    """

    def __init__(self, con: duckdb.DuckDBPyConnection, schema: str, as_of: datetime | None, *, names: bool) -> None:
        self._con = con
        self._schema = schema
        self.names = names
        found = con.execute("SELECT table_name FROM information_schema.tables WHERE table_schema = ?", [schema])
        self._tables = {name for (name,) in found.fetchall()}
        self.missing: set[str] = set()
        self.built_at = self._built_at()
        self.as_of = self._local(as_of or self.built_at or datetime.now(UTC).replace(tzinfo=None))
        self.money = Money(self._digits())

    @property
    def week(self) -> Period:
        """The last seven days that are over, in the marts' time zone."""
        return Period(self.as_of.date())

    def rows(self, mart: str, query: str, **values: Any) -> list[tuple[Any, ...]]:
        """Query a mart.

        Args:
            mart: Its name.
            query: SQL, with ``{mart}`` for the table, ``$name`` for values, and ``day_of(moment)`` for the day of a
                moment in the marts' time zone.
            values: The values.

        Returns:
            The rows; none if the mart is not there, which `missing` then tells.

        Raises:
            ReportError: The mart has other columns.
        """
        if mart not in self._tables:
            self.missing.add(mart)
            return []
        try:
            return self._con.execute(query.format(mart=f'"{self._schema}"."{mart}"'), values or None).fetchall()
        except (duckdb.BinderException, duckdb.ConversionException) as error:
            told = str(error).splitlines()[0]
            raise ReportError(
                f"the mart {mart} is not as this report reads it ({told}); build the marts of this version again"
            ) from None

    def _local(self, moment: datetime) -> datetime:
        """What clocks show at a moment in UTC, in the zone whose days the marts count; queries can ask for the day."""
        told = self.rows("build_settings", _ZONE) if "build_settings" in self._tables else []  # 0.2.0 did not tell it
        zone = told[0][0] if told else "UTC"
        quoted = "'" + zone.replace("'", "''") + "'"
        try:
            self._con.execute(_CLOCKS.format(zone=quoted))
            found: tuple[datetime] = self._con.execute("SELECT clock_at($1::TIMESTAMP)", [moment]).fetchall()[0]
        except duckdb.Error as error:
            why = str(error).splitlines()[0]
            raise ReportError(
                f"the marts were built with the time_zone {zone}, which is not known here ({why})"
            ) from None
        return found[0]

    def _built_at(self) -> datetime | None:
        row = self.rows("pipeline_streams", _BUILT.replace("marts.pipeline_streams", "{mart}"))
        found: datetime | None = row[0][0] if row else None
        return found

    def _digits(self) -> dict[str, int]:
        """Decimals of the currencies, from the seed that the marts use."""
        known = "SELECT 1 FROM information_schema.tables WHERE table_schema = 'seeds' AND table_name = 'currencies'"
        if not self._con.execute(known).fetchall():
            return {}
        return dict(self._con.execute("SELECT currency, minor_digits FROM seeds.currencies").fetchall())


@contextmanager
def open_marts(
    path: Path, *, schema: str = "marts", as_of: datetime | None = None, names: bool = False
) -> Iterator[Marts]:
    """The marts of a DuckDB file.

    Args:
        path: The file.
        schema: The schema of the marts.
        as_of: The moment at which everything is looked at, in UTC without a zone.
        names: Whether names of customers may be shown.

    Yields:
        The marts.

    Raises:
        ReportError: The file is not there, is not a DuckDB file, or is being written, or as `Marts` has it.
    """
    if not path.is_file():
        raise ReportError(f"there is no warehouse {path}; --warehouse names the DuckDB file with the marts")
    try:
        con = duckdb.connect(str(path), read_only=True)
    except duckdb.Error as error:
        told = str(error).splitlines()[0]
        raise ReportError(f"{path} cannot be read: {told}") from None
    with con:
        con.execute("SET TimeZone = 'UTC'")
        yield Marts(con, schema, as_of, names=names)
