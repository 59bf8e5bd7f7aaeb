"""Singer messages to standard output: buffered, whole lines only, flushed before every STATE."""

from __future__ import annotations

import io
import os
import select
import sys
from functools import cache
from typing import TYPE_CHECKING, Any, Final, TextIO

from singer_sdk.singerlib.encoding.base import GenericSingerWriter
from singer_sdk.singerlib.encoding.simple import Message
from typing_extensions import override

from tap_core import codec
from tap_core.errors import OutputError

if TYPE_CHECKING:
    from tap_core.errors import TapError

__all__ = ["BUFFER_BYTES", "MessageWriter", "standard_output"]

BUFFER_BYTES: Final = 64 * 1024
_MOST_PIECES: Final = 64
"""More pieces than this are joined before they are written."""


class MessageWriter(GenericSingerWriter[bytes, Message]):
    """Writes to the process's standard output.

    Lines are collected and written in large pieces. A piece is always finished once begun, so that a target never
    sees a STATE after half a record.
    """

    def __init__(self, descriptor: int | None = None) -> None:
        self.descriptor = descriptor
        self._pieces: list[bytes | memoryview] = []
        self._size = 0
        self._rest: list[bytes | memoryview] = []

    @override
    def serialize_message(self, message: Message) -> bytes:
        return codec.encode(message.to_dict())

    @override
    def write_message(self, message: Message) -> None:
        """Write one message.

        Raises:
            OutputError: The target is gone, or the disk is full.
        """
        self.write_line(message.to_dict())

    def write_line(self, message: dict[str, Any]) -> None:
        """Write one message that is a dictionary already.

        Raises:
            OutputError: The target is gone, or the disk is full.
        """
        kind = message["type"]
        if kind == "STATE":
            self.flush()
        self._add(codec.encode(message) + b"\n")
        if kind != "RECORD":
            self.flush()

    def write_records(self, stream: str, records: bytes, *, rows: int, version: int | None, extracted: str) -> None:
        """Write a page of records.

        Args:
            stream: The stream's name.
            records: The JSON of each record, without line breaks, on a line of its own.
            rows: How many they are.
            version: The table version, for a snapshot that is to replace older ones.
            extracted: When the page was read.

        Raises:
            OutputError: The target is gone, or the disk is full.
        """
        if not rows:
            return
        head, tail = self.frame(stream, version=version, extracted=extracted)
        # One head too many stands at the end: it is cut off without another copy.
        lines = memoryview(records.replace(b"\n", tail + head))
        self._pieces.append(head)
        self._size += len(head)
        self._add(lines[: -len(head)])

    def frame(self, stream: str, *, version: int | None, extracted: str) -> tuple[bytes, bytes]:
        """What stands before and behind each record of a page."""
        tail = b"" if version is None else b',"version":%d' % version
        return _head(stream), tail + b',"time_extracted":' + codec.encode(extracted) + b"}\n"

    def expected(self, stream: str, rows: int) -> None:
        """Called when the API has told how many rows a stream's list has. Singer has no message for it."""

    def idle(self) -> None:
        """Called now and then, also while nothing arrives. Singer has nothing to say then."""

    def ended(self, stream: str, failure: TapError | None, *, whole: bool) -> None:
        """Called when a stream is over. Singer has no message for it.

        Args:
            stream: The stream's name.
            failure: What went wrong; None if nothing did.
            whole: Whether everything that was asked for was read.
        """

    def _add(self, piece: bytes | memoryview) -> None:
        self._pieces.append(piece)
        self._size += len(piece)
        if self._size >= BUFFER_BYTES:
            self.flush()

    def flush(self) -> None:
        """Hand everything over to the operating system.

        Raises:
            OutputError: The target is gone, or the disk is full.
        """
        self._write()
        many = len(self._pieces) > _MOST_PIECES
        self._rest, self._pieces, self._size = [b"".join(self._pieces)] if many else self._pieces, [], 0
        self._write()

    def check(self) -> None:
        """See whether the target is still there, although there is nothing to write.

        Raises:
            OutputError: It is gone.
        """
        poll = select.poll()
        poll.register(sys.stdout.fileno() if self.descriptor is None else self.descriptor, 0)
        if any(events & select.POLLERR for _, events in poll.poll(0)):
            self._discard()
            raise _output_error(BrokenPipeError())

    def _write(self) -> None:
        descriptor = sys.stdout.fileno() if self.descriptor is None else self.descriptor
        while self._rest:
            try:
                written = os.writev(descriptor, self._rest)
            except OSError as error:
                self._discard()
                raise _output_error(error) from None
            while self._rest and written >= len(self._rest[0]):
                written -= len(self._rest.pop(0))
            if written:
                self._rest[0] = memoryview(self._rest[0])[written:]

    def _discard(self) -> None:
        self._rest, self._pieces, self._size = [], [], 0


def standard_output() -> TextIO:
    """Standard output for everything that is no message; what cannot be written is an `OutputError` there, too."""
    return io.TextIOWrapper(io.BufferedWriter(_StandardOutput(1, "wb", closefd=False)), encoding="utf-8")


class _StandardOutput(io.FileIO):
    @override
    def write(self, data: Any, /) -> int:
        try:
            return super().write(data)
        except OSError as error:
            raise _output_error(error) from None


@cache
def _head(stream: str) -> bytes:
    """How a RECORD message of a stream begins."""
    return b'{"type":"RECORD","stream":' + codec.encode(stream) + b',"record":'


def _output_error(error: OSError) -> OutputError:
    if isinstance(error, BrokenPipeError):
        return OutputError("the target closed the pipe; its own messages above say why")
    return OutputError(f"standard output cannot be written: {error.strerror}")
