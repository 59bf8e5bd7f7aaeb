"""From a byte stream to Singer messages: first blocks of whole lines, then messages.

Records are not decoded here: `SingerMessage.record` holds the record's own bytes.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import re
import select
from datetime import datetime  # noqa: TC003  msgspec reads the annotation
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
from msgspec import Raw

from target_duckhouse.errors import MessageError

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = [
    "NOTHING",
    "UNREADABLE",
    "SingerMessage",
    "WindowsRead",
    "by_head",
    "calls_told",
    "failed_told",
    "read_blocks",
    "read_messages",
    "stream_of",
    "windows_read",
]

UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
"""What a decoder raises for a line that is not JSON, not UTF-8, nested too deeply, or of an unexpected form."""

_MAX_STATE = 1024 * 1024
"""Largest state that is looked into, in bytes."""

_MAX_DAMAGED = 4 * 1024 * 1024
"""Longest line, in bytes, that is searched for the damage in a record; that takes several times its size."""

_PIPE = 1024 * 1024
_CHUNK = 128 * 1024
"""Larger chunks are slower: what was decoded no longer fits into the processor's cache."""

NOTHING = Raw(b"")
"""The value of a member that a message lacks."""

_RECORD = re.compile(r'"record"\s*:\s*(?=\{)')
_NOT_A_NUMBER = object()
_LENIENT = json.JSONDecoder(parse_float=str, parse_int=str, parse_constant=lambda _: _NOT_A_NUMBER)


class SingerMessage(msgspec.Struct, gc=False):
    """Any Singer message. Members that its type does not have keep their defaults.

    `fault` never comes from the input. It says why a record cannot be stored.
    """

    type: str
    stream: str = ""
    record: Raw = NOTHING
    version: Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)] | None = None
    time_extracted: str | None = None
    schema: Raw = NOTHING
    key_properties: list[str] | None = None
    value: Raw = NOTHING
    encoding: dict[str, Any] | None = None
    manifest: list[str] | None = None
    fault: Annotated[str, msgspec.Meta(max_length=0)] = ""


class WindowsRead(msgspec.Struct):
    """The windows from `first` to `last`, inclusive: a run has read all of each one and sent its rows."""

    first: datetime
    last: datetime


class _Bookmark(msgspec.Struct):
    windows: WindowsRead | None = msgspec.field(name="_windows_read", default=None)


class _State(msgspec.Struct):
    bookmarks: dict[str, Raw] = msgspec.field(default_factory=dict)


class _Calls(msgspec.Struct):
    requests: Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)]
    retries: Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)]
    waited_s: Annotated[float, msgspec.Meta(ge=0)]


class _Told(msgspec.Struct):
    calls: dict[str, _Calls] = msgspec.field(default_factory=dict)


class _Failed(msgspec.Struct):
    failed: list[str] = msgspec.field(default_factory=list)


_DECODER = msgspec.json.Decoder(SingerMessage)
_TOLD = msgspec.json.Decoder(_Told)
_FAILED = msgspec.json.Decoder(_Failed)
_STATE = msgspec.json.Decoder(_State)
_BOOKMARK = msgspec.json.Decoder(_Bookmark)


def read_blocks(fd: int, wait: float, max_line: int) -> Iterator[bytes]:
    """Yield blocks of whole lines from a file descriptor, as they arrive.

    An empty block means that nothing has arrived for `wait` seconds. The last block lacks its final newline if the
    input does.

    Raises:
        MessageError: A line is longer than `max_line` bytes.
    """
    with contextlib.suppress(OSError, AttributeError):  # a file, or a system without it
        fcntl.fcntl(fd, fcntl.F_SETPIPE_SZ, _PIPE)
    parts: list[bytes] = []
    size = 0
    while True:
        if not select.select([fd], [], [], wait)[0]:
            yield b""
            continue
        chunk = os.read(fd, _CHUNK)
        if not chunk:
            break
        cut = chunk.rfind(b"\n") + 1
        if cut:
            yield b"".join((*parts, memoryview(chunk)[:cut]))
            parts, size = [], 0
        if cut < len(chunk):
            parts.append(chunk[cut:])
            size += len(chunk) - cut
        if size > max_line:
            start = b"".join(parts)[:200]
            raise MessageError(
                f"a line is longer than {max_line >> 20} MB{_stream_hint(start)}; none of it was loaded. "
                "The limit is an eighth of the setting `memory_limit_mb`, but at most 64 MB"
            )
    if parts:
        yield b"".join(parts)


def read_messages(lines: list[bytes], first_line: int) -> Iterator[tuple[SingerMessage, int]]:
    """Decode lines; yield each message with the position of its line in the list.

    Args:
        lines: Whole lines without their newlines.
        first_line: The number of the first line in the input, for error messages.

    Raises:
        MessageError: A line is not a Singer message. The messages before it have been yielded.
    """
    for place, line in enumerate(lines):
        if not line or line.isspace():
            continue
        try:
            message: SingerMessage = _DECODER.decode(line)
        except UNREADABLE as error:
            if len(line) <= _MAX_DAMAGED and (damaged := _damaged_record(line)):
                message = damaged
            else:
                raise MessageError(
                    f"line {first_line + place} is not a Singer message, or only part of one"
                    f"{_stream_hint(line)}: {error}"
                ) from None
        yield message, place


def by_head(lines: list[bytes]) -> dict[bytes, list[bytes]]:
    """Lines by what is before their record: those of RECORD messages of one stream usually begin alike."""
    found: dict[bytes, list[bytes]] = {}
    for line in lines:
        found.setdefault(line[: line.find(b'"record"')], []).append(line)
    return found


def stream_of(head: bytes) -> str:
    """The stream of the RECORD messages that begin like this; empty if such lines are something else.

    Args:
        head: What is before the record.
    """
    with contextlib.suppress(*UNREADABLE):
        message: SingerMessage = _DECODER.decode(head.rstrip(b", ") + b"}")
        return message.stream if message.type == "RECORD" else ""
    return ""


def calls_told(line: bytes) -> dict[str, tuple[int, int, float]]:
    """What the calls of each stream have cost so far, if the tap tells it: requests, retries, seconds of waiting.

    Args:
        line: A STATE message.
    """
    if b'"calls"' in line and len(line) <= _MAX_STATE:
        with contextlib.suppress(*UNREADABLE):  # another tap means something else by it
            return {stream: msgspec.structs.astuple(calls) for stream, calls in _TOLD.decode(line).calls.items()}
    return {}


def failed_told(line: bytes) -> set[str]:
    """The streams that have failed in this run, or of which a part could not be read; none if the tap does not tell.

    Args:
        line: A STATE message.
    """
    if b'"failed"' in line and len(line) <= _MAX_STATE:
        with contextlib.suppress(*UNREADABLE):  # another tap means something else by it
            return set(_FAILED.decode(line).failed)
    return set()


def windows_read(state: bytes) -> dict[str, WindowsRead]:
    """The windows that a STATE reports as read, by stream; empty if the tap does not report any.

    Args:
        state: The value of a STATE message as JSON text.
    """
    told: dict[str, WindowsRead] = {}
    if b'"_windows_read"' in state and len(state) <= _MAX_STATE:
        with contextlib.suppress(*UNREADABLE):  # the state of another kind of tap
            for stream, entry in _STATE.decode(state).bookmarks.items():
                with contextlib.suppress(*UNREADABLE):
                    if windows := _BOOKMARK.decode(entry).windows:
                        told[stream] = windows
    return told


def _damaged_record(line: bytes) -> SingerMessage | None:
    """A RECORD message that only lenient parsers accept, because a database could not store one of its values."""
    text = line.decode(errors="backslashreplace")
    start = _RECORD.search(text)
    if not start:
        return None
    try:
        content = _LENIENT.decode(text)
        record, end = _LENIENT.raw_decode(text, start.end())
    except (ValueError, RecursionError):
        return None
    if not isinstance(content, dict) or content.get("type") != "RECORD" or content.get("record") != record:
        return None
    fault = next((fault for name, value in record.items() if (fault := _fault(name, value))), None)
    if not fault:
        return None
    raw = Raw(text[start.end() : end].encode())
    return SingerMessage(type="RECORD", stream=str(content.get("stream", "")), record=raw, fault=fault)


def _fault(name: str, value: object) -> str | None:
    """Why a property cannot be stored, if it cannot."""
    not_numbers: list[object] = []
    text = json.dumps({name: value}, ensure_ascii=False, default=not_numbers.append)
    shown = name.encode(errors="backslashreplace").decode()
    if not_numbers:
        return f"property `{shown}` holds NaN or Infinity, which are not valid JSON"
    try:
        text.encode()
    except UnicodeEncodeError:
        return f"property `{shown}` holds half a surrogate pair, which is not a character"
    return None


def _stream_hint(line: bytes) -> str:
    marker = b'"stream":'
    rest = line[:200].partition(marker)[2].strip()
    name = rest[1:].partition(b'"')[0].decode(errors="replace") if rest.startswith(b'"') else ""
    return f" (stream {name})" if name else ""
