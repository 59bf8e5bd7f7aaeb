"""Make sure that DuckDB reads exactly what the tap sent from a spool file.

DuckDB's JSON reader rounds some values silently: 1.7 into BIGINT, numbers into DECIMAL, numbers within JSON. So each
block of lines passes through a decoder compiled from the table's columns, which accepts only what DuckDB is known to
keep. Lines that it accepts go to the spool file unchanged, byte for byte; what JSON columns need beside them is in
`json_texts`. Any other record gets a second object with the exact texts of its values, which DuckDB casts without loss.
A record for which there is no such text is bad.
"""

from __future__ import annotations

import contextlib
import functools
import re
from datetime import datetime
from operator import attrgetter
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec
from msgspec import UNSET, Raw, UnsetType

from target_duckhouse.input.exact_values import BadRecord, Wider, exact_text
from target_duckhouse.input.json_texts import JsonColumn, SpoolLines, is_plain, keeps_text
from target_duckhouse.input.line_types import (
    OVERRIDES,
    TIME_TEXT,
    StateLine,
    is_hard,
    lines_decoder,
    record_type,
    strict_type,
)
from target_duckhouse.input.messages import UNREADABLE

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from target_duckhouse.input.messages import SingerMessage
    from target_duckhouse.warehouse.tables import Column

__all__ = ["ExactLines", "State", "Undeclared"]

_DECODE_TIMES = msgspec.json.Decoder(list[datetime | None]).decode
_TEXTS = b'"' + OVERRIDES.encode() + b'":'

_encode = msgspec.json.Encoder().encode
_encode_lines = msgspec.json.Encoder().encode_lines

_TOO_FINE = re.compile(rb"\.[0-9]{7}")
"""A time with more than microseconds."""


class _Member:
    """A member of a JSON object, which is another one than the next, though they may have the same name."""

    __slots__ = ("name",)

    def __init__(self, kind: type, name: str) -> None:  # noqa: ARG002  msgspec calls it as a hook
        self.name = name


_decode_members = msgspec.json.Decoder(dict[_Member, Raw], dec_hook=_Member).decode

# What msgspec does not accept in the name of a field.
_ODD_NAME = re.compile(r'[\\"\x00-\x1f]')


class Undeclared(Exception):  # noqa: N818  an answer, not an error: the caller decides what it means
    """Properties that the stream's schema does not mention."""

    def __init__(self, names: list[str]) -> None:
        super().__init__(names)
        self.names = names


class State(NamedTuple):
    """A STATE message among records.

    Args:
        value: Its value.
        line: The whole message.
    """

    value: Raw
    line: bytes


class ExactLines:
    """Turns the RECORD lines of one stream into lines of a spool file.

    Args:
        stream: The stream's name.
        columns: The columns of its table.
        version: The snapshot version that its records must carry, None if they must carry none.
    """

    def __init__(self, stream: str, columns: tuple[Column, ...], version: int | None) -> None:
        self._stream, self._version = stream, version
        self._columns = {column.property: column for column in columns}
        self._keys = [column for column in columns if column.key]
        self._times = [
            attrgetter(f"f{index}") for index, column in enumerate(columns) if strict_type(column) is TIME_TEXT
        ]
        self._hard = [_HardColumn(f"f{index}", column) for index, column in enumerate(columns) if is_hard(column)]
        self._json = [JsonColumn(f"f{index}", column) for index, column in enumerate(columns) if keeps_text(column)]
        self._reads_lines = all(c.name == c.property and not _ODD_NAME.search(c.name) for c in columns)
        self._decoders: dict[tuple[frozenset[str], bool], msgspec.json.Decoder[Any]] = {}
        self._texted = frozenset(column.name for column in self._json if column.is_key)
        """Columns of JSON that need texts beside the records, as far as is known: some value has needed one."""
        self._doubted = frozenset(c.name for c in columns if keeps_text(c) or is_hard(c))
        """Columns with values that DuckDB may alter."""

    def read(self, block: bytes, count: int) -> list[SpoolLines | State] | None:
        """Take lines that are all STATE messages, or records of this stream that need little attention.

        Args:
            block: Whole lines.
            count: How many they are.

        Returns:
            The records between two STATE messages each, and these; None if any line is something else.
        """
        messages = self._decode(self._texted, block)
        if messages is None:
            mended = self._mend(block.split(b"\n")[:-1])
            return None if mended is None else [mended]
        if len(messages) != count:  # some are blank
            return None
        try:
            if StateLine not in set(map(type, messages)):
                return [self._spooled(block, messages, self._texted)]
            return list(self._parts(block.split(b"\n")[:-1], messages))
        except (BadRecord, *UNREADABLE):
            return None

    def read_bare(self, block: bytes | memoryview) -> SpoolLines | None:
        """Take records of this stream that stand alone, without messages around them.

        Args:
            block: Whole lines.

        Returns:
            The lines as they are; None if any of them needs more than texts beside it.
        """
        if not (self._reads_lines and self._columns):
            return None
        all_json = frozenset(column.name for column in self._json)
        for raw in dict.fromkeys((self._texted, all_json)):
            with contextlib.suppress(BadRecord, *UNREADABLE):
                records: list[Any] = self._decoder(raw, bare=True).decode_lines(block)
                if not self._has_odd_times(records):
                    return SpoolLines(block, len(records), texts=self._json_texts(records, raw))
        return None

    def _parts(self, lines: list[bytes], messages: list[Any]) -> Iterator[SpoolLines | State]:
        start = 0
        for place, message in enumerate([*messages, None]):
            if message is None or type(message) is StateLine:
                if start < place:
                    yield self._spooled(_joined(lines[start:place]), messages[start:place], self._texted)
                if message is not None:
                    yield State(message.value, lines[place])
                start = place + 1

    def _spooled(self, lines: bytes, messages: list[Any], raw: frozenset[str]) -> SpoolLines:
        """Lines that are accepted, and the texts of the JSON in them that was left undecoded."""
        if not raw:
            return SpoolLines(lines, len(messages))
        records = [message.record for message in messages]
        return SpoolLines(lines, len(messages), texts=self._json_texts(records, raw))

    def _json_texts(self, records: list[Any], raw: frozenset[str]) -> dict[str, bytes]:
        undecoded = (column for column in self._json if column.name in raw)
        texts = {column.name: found for column in undecoded if (found := column.texts(records)) is not None}
        self._texted = self._texted.union(texts)
        return texts

    def _mend(self, lines: list[bytes]) -> SpoolLines | None:
        """Fix records whose only fault is numbers that DuckDB would round.

        Returns:
            The lines; None if there is any other message or fault.
        """
        messages = self._decode(self._doubted, b"\n".join(lines))
        if messages is None or len(messages) != len(lines) or StateLine in set(map(type, messages)):
            return None
        records = [message.record for message in messages]
        texts: dict[str, list[Any]] = {}
        try:
            for column in self._hard:
                if (found := column.texts(records)) is not None:
                    texts[column.name] = found
            spooled = self._spooled(_joined(lines), messages, self._doubted)
        except (BadRecord, Wider, *UNREADABLE):
            return None
        if not texts:
            return spooled
        kind = _texts_type(tuple(texts))
        ends = _encode_lines(list(map(kind, *texts.values()))).split(b"\n")[:-1]
        overridden = _joined([_overridden(line, end) for line, end in zip(lines, ends, strict=True)])
        return SpoolLines(overridden, len(lines), frozenset(texts), spooled.texts)

    def conform(self, message: SingerMessage, line: bytes) -> SpoolLines:
        """What goes to the spool files for one record.

        Raises:
            BadRecord: A value does not fit its declared type, or a key is missing.
            Wider: A value needs a wider column.
            Undeclared: The record has properties that the schema lacks.
        """
        if message.fault:
            raise BadRecord(message.fault)
        if parts := self.read(line + b"\n", 1):
            return SpoolLines.joined([part for part in parts if isinstance(part, SpoolLines)])
        if line.count(b'"record"') > 1 and [each.name for each in _decode_members(line)].count("record") > 1:
            raise BadRecord("the message has `record` twice, so it is unknown which one counts")
        texts, plain = self._values(message.record)
        kept: dict[str, Any] = {"time_extracted": message.time_extracted} if message.time_extracted else {}
        if plain:
            kept["record"] = plain
        line = _overridden(msgspec.json.encode(kept), msgspec.json.encode(texts)) + b"\n"
        return SpoolLines(line, 1, frozenset(texts))

    def undeclared(self, messages: Iterable[SingerMessage]) -> list[str]:
        """All properties of some records that the schema does not mention, in order of appearance."""
        names: dict[str, None] = {}
        for message in messages:
            with contextlib.suppress(*UNREADABLE):
                values = msgspec.json.decode(message.record, type=dict[str, Raw])
                names.update((name, None) for name, value in values.items() if bytes(value) != b"null")
        return [name for name in names if name not in self._columns]

    def _decoder(self, raw: frozenset[str], *, bare: bool = False) -> msgspec.json.Decoder[Any]:
        """The decoder of lines, or of records alone, that leaves some columns undecoded."""
        if (decoder := self._decoders.get((raw, bare))) is None:
            record = record_type(tuple(self._columns.values()), raw=raw)
            decoder = msgspec.json.Decoder(record) if bare else lines_decoder(self._stream, record, self._version)
            self._decoders[raw, bare] = decoder
        return decoder

    def _decode(self, raw: frozenset[str], lines: bytes) -> list[Any] | None:
        if not self._reads_lines:
            return None
        try:
            messages: list[Any] = self._decoder(raw).decode_lines(lines)
            records = [message.record for message in messages if type(message) is not StateLine]
            return None if self._has_odd_times(records) else messages
        except UNREADABLE:
            return None

    def _has_odd_times(self, records: list[Any]) -> bool:
        """Whether DuckDB would refuse or round a time; what is not a time is an error of the decoder's."""
        for read in self._times:
            texts = _encode(list(map(read, records)))
            _DECODE_TIMES(texts)
            # DuckDB refuses or rounds a lower-case zone, a lower-case t before the time, more than microseconds.
            if b"z" in texts or b"t" in texts or _TOO_FINE.search(texts):
                return True
        return False

    def _values(self, record: Raw) -> tuple[dict[str, str], dict[str, Raw]]:
        """All values, by column: as exact texts, or as they are where DuckDB reads JSON in a form of its own."""
        try:
            members = _decode_members(record)
        except UNREADABLE:
            raise BadRecord("the record is not a JSON object") from None
        values = {member.name: value for member, value in members.items()}
        if len(values) < len(members):
            names = [member.name for member in members]
            twice = next(name for name in names if names.count(name) > 1)
            raise BadRecord(f"the record has property `{twice}` twice, so it is unknown which value counts")
        texts: dict[str, str] = {}
        plain: dict[str, Raw] = {}
        undeclared: list[str] = []
        for name, raw in values.items():
            text = _text(name, raw)
            if text == "null":
                continue
            if (column := self._columns.get(name)) is None:
                undeclared.append(name)
            elif keeps_text(column) and is_plain(raw):
                plain[column.name] = raw
            else:
                texts[column.name] = exact_text(column, text)
        for column in self._keys:
            if column.name not in texts and column.name not in plain:
                raise BadRecord(f"key property `{column.property}` is missing or null")
        if undeclared:
            raise Undeclared(undeclared)
        return texts, plain


def _text(name: str, raw: Raw) -> str:
    try:
        return bytes(raw).decode()
    except UnicodeDecodeError:
        raise BadRecord(f"property `{name}` holds bytes that are not UTF-8") from None


def _joined(lines: list[bytes]) -> bytes:
    return b"\n".join(lines) + b"\n"


def _overridden(line: bytes, texts: bytes) -> bytes:
    """A line with texts, a JSON object, that replace the record's own values."""
    if texts == b"{}":
        return line
    line = line.rstrip()[:-1]
    return line + (b"," if line != b"{" else b"") + _TEXTS + texts + b"}"


class _HardColumn:
    """A column some of whose values DuckDB would alter.

    Args:
        field: Its attribute in decoded records, which holds undecoded JSON.
        column: The column.
    """

    def __init__(self, field: str, column: Column) -> None:
        self.name = column.name
        self._read = attrgetter(field)
        self._column = column
        kind = strict_type(column)
        item: Any = None if kind is None else kind if column.key else kind | None
        items: Any = list[item]
        self._check = None if kind is None and column.key else msgspec.json.Decoder(items).decode

    def texts(self, records: list[Any]) -> list[Any] | None:
        """The exact text of each record's value, UNSET where DuckDB keeps the value; None if it keeps all of them.

        Raises:
            BadRecord: The declared type does not allow a value.
            Wider: A value needs a wider column.
        """
        column, values = self._column, list(map(self._read, records))
        array = b"[" + b",".join(values) + b"]"
        if self._check is not None:
            with contextlib.suppress(*UNREADABLE):
                self._check(array)
                return None
        return [self._exact(_text(column.property, value)) for value in values]

    def _exact(self, text: str) -> Any:
        if text != "null":
            return exact_text(self._column, text)
        if self._column.key:
            raise BadRecord(f"key property `{self._column.property}` is null")
        return UNSET


@functools.cache
def _texts_type(names: tuple[str, ...]) -> type[msgspec.Struct]:
    """The type of the texts that override columns."""
    fields = [(f"f{index}", str | UnsetType, UNSET) for index in range(len(names))]
    renamed = {f"f{index}": name for index, name in enumerate(names)}
    return msgspec.defstruct("Texts", fields, rename=renamed, gc=False)
