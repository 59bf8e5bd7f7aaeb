"""What the streams have in common: fields and calls from the table of guesses, and lists in responses.

For which names are documented and which are guessed, see `tap_premiumpay.guesses` and ``docs/tap-premiumpay.md``.
"""

from __future__ import annotations

from functools import cached_property
from importlib.resources import files
from typing import TYPE_CHECKING, Any, ClassVar, Final

from singer_sdk import SchemaDirectory
from typing_extensions import override

from tap_core.errors import ConfigError
from tap_core.reading.pages import Page
from tap_core.records.dialect import Dialect
from tap_core.records.fields import Alias, AsInteger, AsText
from tap_core.streams.base import CoreStream
from tap_core.timestamps import any_text, zone
from tap_premiumpay.client import rows_of
from tap_premiumpay.columns import ScrubbedColumns, extra_columns

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import tzinfo

    from singer_sdk import Tap

    from tap_core.records.field import Field
    from tap_core.session.session import Session
    from tap_premiumpay.guesses import Endpoint
    from tap_premiumpay.settings import PremiumpaySettings

__all__ = ["ROUND_NUMBERS", "SCHEMAS", "GuessedStream", "PremiumpayStream", "given"]

SCHEMAS: Final = SchemaDirectory(files("tap_premiumpay") / "schemas")
ROUND_NUMBERS: Final = frozenset({100, 500, 1_000, 2_000, 5_000, 10_000, 50_000, 100_000})


class GuessedStream(CoreStream):
    """A stream whose fields are known from the table of guesses and from the user."""

    settings: PremiumpaySettings
    schemas = SCHEMAS
    texts: ClassVar[Sequence[str]] = ()
    """Columns of identifiers that may come as numbers."""
    numbers: ClassVar[Sequence[str]] = ()
    """Columns of numeric identifiers that may come as text."""

    def __init__(self, tap: Tap, session: Session) -> None:
        super().__init__(tap, session)
        self.dialect = Dialect(time=lambda value: any_text(value, self.zone))

    @property
    def endpoint(self) -> Endpoint:
        """The guesses about the stream."""
        return self.settings.endpoints[self.name]

    @cached_property
    def zone(self) -> tzinfo:
        """The zone of the server's clocks."""
        return zone(self.config["time_zone"])

    @property
    def wanted(self) -> Mapping[str, str]:
        """The type of each column that the user asks for, by its name."""
        return self.config["extra_columns"].get(self.name) or {}

    @override
    def declared_schema(self) -> dict[str, Any]:
        return extra_columns(super().declared_schema(), self.name, self.wanted)

    def check_columns(self) -> None:
        """Check that the columns that settings name exist.

        Raises:
            ConfigError: One does not exist, or has the wrong type.
        """
        columns, endpoint = self.declared_schema()["properties"], self.endpoint
        time = {endpoint.time} if endpoint.time else set()
        named = {"rename": set(endpoint.rename.values()), "time": time, "key": set(endpoint.key)}
        for cell, names in named.items():
            for name in names - columns.keys():
                raise ConfigError(f"setting 'endpoints.{self.name}.{cell}' names {name!r}, which is not a column")
        for name in time:
            if columns[name].get("format") != "date-time":
                raise ConfigError(f"setting 'endpoints.{self.name}.time' names {name!r}, which is not a date-time")

    @override
    def transforms(self) -> Sequence[Field]:
        free = [name for name, kind in self.wanted.items() if kind in {"object", "array"}]
        either = AsText.SHAPES
        return (
            *(
                Alias(column, old=name, schema=either if column in {*self.texts, *self.numbers} else None)
                for name, column in self.endpoint.rename.items()
            ),
            AsText(self.texts),
            AsInteger(self.numbers),
            *([ScrubbedColumns(free)] if free else ()),
            *super().transforms(),
        )


class PremiumpayStream(GuessedStream):
    """A call that returns a list. Flags are the words yes and no (documented)."""

    if_cut: ClassVar[str] = "ask premiumpay"
    """What to do where a response may have been cut."""

    def __init__(self, tap: Tap, session: Session) -> None:
        super().__init__(tap, session)
        self.path, self.http_method = self.endpoint.path or "", self.endpoint.method

    @override
    def page(self, body: bytes) -> Page:
        rows = rows_of(body, self.endpoint.rows, self.typed_rows)
        if len(rows) in ROUND_NUMBERS:
            self.session.warn_once(
                f"{self.name}: a response has exactly {len(rows):,} rows; if that is the API's limit, rows are "
                f"missing: {self.if_cut}"
            )
        return Page(rows)


def given(body: Mapping[str, Any]) -> dict[str, Any]:
    """The members of a request's body that have a value."""
    return {name: value for name, value in body.items() if value is not None}
