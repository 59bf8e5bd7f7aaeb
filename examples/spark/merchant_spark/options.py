"""What the options of a read say: a tap, its settings, a stream, its columns.

Settings come from the file that ``config`` names, from the environment, and from options of their names; later ones
win. They are read on the driver and go to the executors with the task, so these need no files and no variables.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from difflib import get_close_matches
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final

from merchant_spark.columns import Column, columns_of, struct_of
from merchant_spark.errors import ReadError, ended
from merchant_spark.run import TapRun
from tap_core.airbyte.cli import tap_of
from tap_core.config.environment import read_environment
from tap_core.config.files import read_config_files
from tap_core.config.redact import holds_secret
from tap_core.config.secret_files import with_secrets
from tap_core.errors import TapError

if TYPE_CHECKING:
    from pyspark.sql.types import StructType

    from tap_core.streams.base import CoreStream
    from tap_core.tap import CoreTap

__all__ = ["Options"]

_VENDORS: Final = ("peakium", "peek", "peerassist", "pegke", "premiumpay")
_OWN: Final = frozenset({"vendor", "stream", "config", "columns", "partitions", "decimals", "interval", "pushdown"})
_SHAPES: Final = ("batch_config", "flattening_enabled", "stream_maps")
"""Settings that give rows another shape than the catalog says."""

_CLOCK: Final = "MERCHANT_CLOCK"
_INTERVAL_S: Final = 300


class Options:
    """The options of a read. Those that are not listed here are settings of the tap.

    Args:
        given: ``vendor``, ``stream``, ``config`` (the path of a JSON file), ``columns`` (names, with commas between
            them; all by default), ``partitions`` (how many at most), ``decimals`` (``text``: with all their digits),
            ``interval`` (seconds; a query on a stream reads no more often), ``pushdown`` (``true``: filters reach the
            tap).

    Raises:
        ReadError: They make no sense.
    """

    def __init__(self, given: Mapping[str, str]) -> None:
        self._given = {name.lower(): value for name, value in given.items()}
        self.vendor = self._one_of("vendor", _VENDORS)
        for name, value in (("decimals", "text"), ("pushdown", "true")):
            if self._given.get(name, value) != value:
                raise ReadError(f"option {name!r} must be {value}, or absent")
        self.pushdown = "pushdown" in self._given
        self.partitions = self._number("partitions")
        self.interval_s = self._number("interval") or _INTERVAL_S

    def _one_of(self, name: str, known: tuple[str, ...]) -> str:
        value = self._given.get(name, "")
        if value not in known:
            near = get_close_matches(value, known, 1)
            hint = f"did you mean {near[0]}?" if near else f"it is one of {', '.join(known)}"
            raise ReadError(f"option {name!r} is {'not known' if value else 'missing'}: {hint}")
        return value

    def _number(self, name: str) -> int | None:
        text = self._given.get(name)
        if text is None:
            return None
        if not text.isascii() or not text.isdecimal() or not int(text):
            raise ReadError(f"option {name!r} must be a whole number above 0")
        return int(text)

    # The tap

    @property
    def name(self) -> str:
        """The tap's name."""
        return f"tap-{self.vendor}"

    @cached_property
    def settings(self) -> dict[str, Any]:
        """The tap's settings, with secrets."""
        kind = tap_of(self.vendor)
        kind.append_builtin_config(kind.config_jsonschema)
        schema = kind.config_jsonschema
        own = {name: value for name, value in self._given.items() if name not in _OWN}
        for name in own:
            if holds_secret(schema["properties"].get(name)):
                raise ReadError(
                    f"option {name!r} is a secret, and Spark shows options: put it into the file that 'config' names, "
                    f"or into the environment of the driver (TAP_{self.vendor.upper()}_{name.upper()})"
                )
        files = [self._given["config"]] if self._given.get("config") else []
        try:
            found = read_config_files(files, schema)
            found |= read_environment(schema, f"TAP_{self.vendor.upper()}_")
            found |= with_secrets(own, schema)
        except TapError as error:
            raise self.failed(error) from None
        for name in _SHAPES:
            if found.get(name):
                raise ReadError(f"setting {name!r} is not for Spark, which does that itself: leave it out")
        return found

    @cached_property
    def environ(self) -> dict[str, str]:
        """Variables of the driver that a tap needs on an executor: the sandbox's clock, and nothing else."""
        return {_CLOCK: os.environ[_CLOCK]} if _CLOCK in os.environ else {}

    def tap(self, state: Mapping[str, Any] | None = None, **settings: Any) -> CoreTap:
        """A tap with these settings, which begins now.

        Args:
            state: Where it begins.
            **settings: Settings that override the others.
        """
        try:
            return tap_of(self.vendor)(config={**self.settings, **settings}, state=state)
        except TapError as error:
            raise self.failed(error) from None

    def failed(self, error: TapError) -> ReadError:
        """The error of a tap on the driver."""
        return ended(self.name, error.exit_code, str(error))

    # The stream

    @cached_property
    def _first(self) -> CoreTap:
        return self.tap()

    @cached_property
    def stream(self) -> CoreStream:
        """The stream, of a tap that begins now."""
        return self.stream_of(self._first)

    def stream_of(self, tap: CoreTap) -> CoreStream:
        """The stream of a tap.

        Raises:
            ReadError: The tap has no such stream, or cannot read it with these settings.
        """
        stream: Any = tap.streams[self._one_of("stream", tuple(sorted(tap.streams)))]
        if reason := stream.unavailable():
            raise ended(self.name, 2, f"{stream.name} cannot be read, {reason}")
        return stream  # type: ignore[no-any-return]

    @cached_property
    def entry(self) -> dict[str, Any]:
        """The stream's entry in the tap's catalog."""
        entries = self._first.catalog_dict["streams"]
        found: dict[str, Any] = next(entry for entry in entries if entry["tap_stream_id"] == self.stream.name)
        return found

    @cached_property
    def columns(self) -> list[Column]:
        """The columns that are read, in their order.

        Raises:
            ReadError: The stream does not have one of them.
        """
        known = columns_of(
            self.entry["schema"], self.entry.get("key_properties", ()), decimals_as_text="decimals" in self._given
        )
        chosen = [name.strip() for name in self._given.get("columns", "").split(",") if name.strip()]
        return self.chosen(known, chosen) if chosen else known

    def chosen(self, known: list[Column], names: list[str]) -> list[Column]:
        """The columns of these names."""
        by_name = {column.name: column for column in known}
        for name in names:
            if name not in by_name:
                near = get_close_matches(name, by_name, 1)
                hint = f"; did you mean {near[0]}?" if near else f"; it has {', '.join(by_name)}"
                raise ReadError(f"{self.name}: stream {self.stream.name!r} has no column {name!r}{hint}")
        return [by_name[name] for name in dict.fromkeys(names)]

    def run(self, schema: StructType | None = None) -> TapRun:
        """What taps on executors need to read.

        Args:
            schema: What Spark asks for; all columns by default.

        Raises:
            ReadError: The user has given a schema of their own that is not the stream's.
        """
        schema = struct_of(self.columns) if schema is None else schema
        columns = self.chosen(self.columns, schema.fieldNames())
        for ours, asked in zip(struct_of(columns), schema, strict=True):
            if ours.dataType != asked.dataType:
                raise ReadError(
                    f"{self.name}: column {asked.name!r} is {ours.dataType.simpleString()}, not "
                    f"{asked.dataType.simpleString()}: leave schema(…) out, and cast the column"
                )
        catalog = self._catalog(columns)
        return TapRun(self.vendor, self.stream.name, columns, schema, self.settings, catalog, self.environ)

    def _catalog(self, columns: list[Column]) -> dict[str, Any]:
        """A catalog in which the stream and these columns are selected."""
        wanted = {column.name for column in columns}
        metadata = []
        for part in self.entry["metadata"]:
            at = part["breadcrumb"]
            selected = not at or at[1] in wanted
            metadata.append({**part, "metadata": {**part["metadata"], "selected": selected}})
        return {"streams": [{**self.entry, "metadata": metadata}]}
