"""Columns that a user asks for: fields that no public page documents, with types from the user."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from typing_extensions import override

from tap_core.codec import plain
from tap_core.errors import ConfigError, RecordError
from tap_core.records.field import Access, Context, Field, Rows, Transform
from tap_core.records.policy import PERSONAL

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tap_core.records.policy import Policy

__all__ = ["TYPES", "ScrubbedColumns", "Told", "extra_columns"]

TYPES: Mapping[str, Mapping[str, Any]] = {
    "string": {"type": ["string", "null"]},
    "integer": {"type": ["integer", "null"]},
    "number": {"type": ["number", "null"]},
    "boolean": {"type": ["boolean", "null"]},
    "decimal": {"type": ["string", "null"], "format": "x-singer.decimal"},
    "date": {"type": ["string", "null"], "format": "date"},
    "date-time": {"type": ["string", "null"], "format": "date-time"},
    "object": {"type": ["object", "null"], "additionalProperties": True},
    "array": {"type": ["array", "null"]},
}
"""The types by their names in the setting ``extra_columns``."""
_OPEN = frozenset({"object", "array"})
"""What holds members that nobody has declared; `ScrubbedColumns` knows which of them are personal."""


def extra_columns(schema: dict[str, Any], stream: str, wanted: Mapping[str, str]) -> dict[str, Any]:
    """A schema with further columns; those whose names look like personal data are marked ``x-pii``.

    Args:
        schema: The schema of the stream's file.
        stream: The stream.
        wanted: The type of each further column, by its name.

    Raises:
        ConfigError: A name is taken, or is reserved for the tap's own columns.
    """
    columns = dict(schema["properties"])
    for name, kind in wanted.items():
        if name in columns or name.startswith("_"):
            raise ConfigError(f"setting 'extra_columns.{stream}' names {name!r}, which is a column already")
        personal = {"x-pii": bool(PERSONAL.search(name))} if PERSONAL.search(name) or kind in _OPEN else {}
        columns[name] = {**TYPES[kind], **personal, "description": "Requested by extra_columns"}
    return {**schema, "properties": columns}


@dataclass(frozen=True)
class ScrubbedColumns(Field):
    """Columns of objects and lists without a schema: fields in them are treated by name.

    Args:
        names: The columns.
    """

    names: Sequence[str]

    @override
    def bind(self, access: Access, policy: Policy) -> Transform:
        columns = [(access.getter(name), access.setter(name)) for name in self.names]

        def apply(rows: Rows, _context: Context) -> None:
            for read, write in columns:
                for row in rows:
                    if (value := read(row)) is not None:
                        write(row, policy.scrub(plain(value)))

        return apply


@dataclass(frozen=True)
class Told(Field):
    """A column that every row must have a value for, because the request does not say it.

    Args:
        name: The column.
        otherwise: What to say where a row lacks it.
    """

    name: str
    otherwise: str

    @override
    def bind(self, access: Access, policy: Policy) -> Transform:
        read = access.getter(self.name)

        def apply(rows: Rows, _context: Context) -> None:
            if any(read(row) is None for row in rows):
                raise RecordError(self.otherwise)

        return apply
