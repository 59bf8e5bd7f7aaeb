"""Singer messages out of a byte stream: whole lines first, then one compiled decode per block of lines.

A record is not taken apart here: `Message.record` is the record's own bytes.
"""

from __future__ import annotations

import os
import select
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import Raw

from target_duckhouse.errors import MessageError

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["MAX_LINE", "Message", "read_blocks", "read_messages"]

MAX_LINE = 64 * 1024 * 1024
"""Longest line that is read, in bytes: a longer one does not fit into bounded memory."""

_CHUNK = 1024 * 1024
_NOTHING = Raw(b"")


class Message(msgspec.Struct, gc=False):
    """Any Singer message. Parts that its type does not have are left at their defaults."""

    type: str
    stream: str = ""
    record: Raw = _NOTHING
    version: int | None = None
    time_extracted: str | None = None
    schema: Raw = _NOTHING
    key_properties: list[str] | None = None
    value: Raw = _NOTHING
    encoding: dict[str, Any] | None = None
    manifest: list[str] | None = None


_DECODER = msgspec.json.Decoder(Message)


def read_blocks(fd: int, wait: float) -> Iterator[bytes]:
    """Yield blocks of whole lines from a file descriptor, as large as what has arrived.

    An empty block says that nothing has arrived for `wait` seconds. The last block lacks its newline where the input
    does.

    Raises:
        MessageError: A line is longer than `MAX_LINE`.
    """
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
            yield b"".join((*parts, chunk[:cut]))
            parts, size = [], 0
        if cut < len(chunk):
            parts.append(chunk[cut:])
            size += len(chunk) - cut
        if size > MAX_LINE:
            start = b"".join(parts)[:200]
            raise MessageError(
                f"a line is longer than {MAX_LINE >> 20} MB{_stream_hint(start)}; nothing of it was loaded"
            )
    if parts:
        yield b"".join(parts)


def read_messages(block: bytes, first_line: int) -> Iterator[tuple[Message, int]]:
    """Decode a block of lines; yields each message with the number of its line.

    Args:
        block: Whole lines.
        first_line: The number of the block's first line in the input, for error messages.

    Raises:
        MessageError: A line is no Singer message. The messages before it were yielded.
    """
    try:
        messages: list[Message] = _DECODER.decode_lines(block)
    except msgspec.DecodeError:
        yield from _one_by_one(block, first_line)
        return
    if len(messages) == block.count(b"\n") + (not block.endswith(b"\n")):
        yield from zip(messages, range(first_line, first_line + len(messages)), strict=True)
    else:  # there are blank lines
        yield from _one_by_one(block, first_line)


def _one_by_one(block: bytes, first_line: int) -> Iterator[tuple[Message, int]]:
    lines = block.split(b"\n")
    for number, line in enumerate(lines, first_line):
        if not line.strip():
            continue
        try:
            message: Message = _DECODER.decode(line)
        except msgspec.DecodeError as error:
            is_last = number == first_line + len(lines) - 1
            if is_last:
                raise MessageError(f"the input ends in the middle of line {number}{_stream_hint(line)}") from None
            raise MessageError(f"line {number} is no Singer message{_stream_hint(line)}: {error}") from None
        yield message, number


def _stream_hint(line: bytes) -> str:
    marker = b'"stream":'
    rest = line[:200].partition(marker)[2].strip()
    name = rest[1:].partition(b'"')[0].decode(errors="replace") if rest.startswith(b'"') else ""
    return f" (stream {name})" if name else ""
