"""The values of JSON columns, on their way past DuckDB's JSON writer.

DuckDB writes the JSON that it reads anew, and makes 1.5 of 1.50. Only `read_ndjson_objects` leaves a value's text as it
is. So where the values of a column need that, they go into a file of their own beside that of the records.
"""

from __future__ import annotations

import contextlib
import re
from dataclasses import dataclass, field
from operator import attrgetter
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import Raw

from target_duckhouse.input.exact_values import BadRecord
from target_duckhouse.input.messages import UNREADABLE

if TYPE_CHECKING:
    from collections.abc import Sequence

    from target_duckhouse.warehouse.tables import Column

__all__ = ["NULL_LINE", "PLAIN_JSON", "JsonColumn", "SpoolLines", "is_plain", "keeps_text"]

NULL_LINE = b"null\n"
"""In a file of texts: the value is null, or the one that DuckDB reads in the record counts."""

# Numbers with a fraction or exponent would pass through a double, so `float` is missing at every level.
_JSON0 = bool | int | str | None
_JSON1 = bool | int | str | list[_JSON0] | dict[str, _JSON0] | None
_JSON2 = bool | int | str | list[_JSON1] | dict[str, _JSON1] | None
PLAIN_JSON: Any = bool | int | str | list[_JSON2] | dict[str, _JSON2] | None
"""JSON that means the same after DuckDB has written it anew."""

_PLAIN = msgspec.json.Decoder(PLAIN_JSON)
_decode_plain = _PLAIN.decode
_decode_values = msgspec.json.Decoder(list[Raw]).decode
_SPACE = re.compile(rb" (?:[\]},:]|(?<=[\[{,:] ))")  # one that is within a text may fit, too
_MINUS_ZERO = re.compile(rb"-(?<![^:,\[\n]-)0")  # it begins with a rare character: several times as fast


@dataclass(frozen=True, slots=True)
class SpoolLines:
    """Records of one stream as they go to its spool files.

    Args:
        lines: A line for each record.
        rows: How many there are.
        overridden: Columns for which some lines hold a text that replaces the value in the record.
        texts: Columns with a text for each record, on a line of its own; `NULL_LINE` where the record counts.
    """

    lines: bytes | memoryview
    rows: int
    overridden: frozenset[str] = frozenset()
    texts: dict[str, bytes] = field(default_factory=dict)

    @classmethod
    def joined(cls, parts: Sequence[SpoolLines]) -> SpoolLines:
        """One after another."""
        names = {name for part in parts for name in part.texts}
        return cls(
            b"".join(part.lines for part in parts),
            sum(part.rows for part in parts),
            frozenset().union(*(part.overridden for part in parts)),
            {name: b"".join(part.texts.get(name, NULL_LINE * part.rows) for part in parts) for name in names},
        )


def keeps_text(column: Column) -> bool:
    """Whether a column holds JSON of any kind, whose text is kept."""
    return column.declared == column.sql == "JSON"


class JsonColumn:
    """A column of JSON of any kind.

    Args:
        field: Its attribute in decoded records, which holds undecoded JSON.
        column: The column.
    """

    def __init__(self, field: str, column: Column) -> None:
        self.name = column.name
        self._read = attrgetter(field)
        self.is_key = column.key

    def texts(self, records: list[Any]) -> bytes | None:
        """The texts of the records' values, each on a line; None if DuckDB reads them all as they are.

        Raises:
            UnicodeDecodeError: Not all of them are UTF-8.
            BadRecord: A key is null.
        """
        values = list(map(self._read, records))
        texts = b"\n".join(values) + b"\n"
        if self.is_key and b"null" in map(bytes, values):
            raise BadRecord("a key property is null")
        with contextlib.suppress(*UNREADABLE):
            _PLAIN.decode_lines(texts)
            return None
        if not texts.isascii():
            texts.decode()
        if _SPACE.search(texts) or b"\t" in texts or b"\r" in texts:
            compact = msgspec.json.format(b"[" + texts[:-1].replace(b"\n", b",") + b"]", indent=-1)
            if len(compact) != len(texts) + 1:
                values = _decode_values(compact)
                texts = b"\n".join(values) + b"\n"
        # DuckDB reads escapes in plain JSON, and minus zero, in a form of its own.
        has_zeros = _MINUS_ZERO.search(texts) is not None
        if has_zeros or b"\\" in texts:
            return b"\n".join(
                [
                    _unless_plain(line) if b"\\" in line or (has_zeros and _MINUS_ZERO.search(line)) else line
                    for line in texts.split(b"\n")
                ]
            )
        return texts


def is_plain(text: bytes | Raw) -> bool:
    """Whether DuckDB reads the value of a JSON column as it is, and writes it in a form of its own."""
    try:
        _decode_plain(text)
    except UNREADABLE:
        return False
    return True


def _unless_plain(text: bytes) -> bytes:
    """The text of one value, or null if DuckDB reads the value as it is."""
    return b"null" if is_plain(text) else text
