"""The files of BATCH messages: JSONL becomes RECORD lines like any others; what becomes of Parquet is in `parquet`."""

from __future__ import annotations

import gzip
import os
import re
import zlib
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote_to_bytes

import msgspec

from target_duckhouse.errors import MessageError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from target_duckhouse.input.messages import SingerMessage

__all__ = ["BatchFile", "files_of", "record_lines", "whole_lines"]

_CHUNK = 128 * 1024
_FILE = "file://"
_ADDRESS = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")
_BLANK = re.compile(rb"(?:\A|\n)[ \t\r]*(?=\n|\Z)")


class BatchFile(msgspec.Struct, frozen=True):
    """One file of a manifest.

    Args:
        path: Where it is.
        is_parquet: Whether it is Parquet; otherwise it is JSONL.
        is_gzipped: Whether it is compressed as a whole.
        identity: What tells it from another file, or from other content, that later has the same path.
        link: A link under which it stays the same file, whatever becomes of its path.
    """

    path: Path
    is_parquet: bool
    is_gzipped: bool
    identity: tuple[int, ...] = ()
    link: Path | None = None

    def remove(self) -> bool:
        """Delete the file, unless something else is there by now; returns whether nothing is left of it.

        Raises:
            OSError: It cannot be deleted.
        """
        try:
            if _identity(self.path) != self.identity:
                return False
            self.path.unlink()
        except FileNotFoundError:
            pass
        return True

    @property
    def content(self) -> Path:
        """Where it is read."""
        return self.link or self.path

    @property
    def is_unchanged(self) -> bool:
        """Whether nobody has written to it since the message came."""
        return _identity(self.content) == self.identity

    def linked(self, link: Path) -> BatchFile:
        """The same file, to be read through a link.

        Args:
            link: Where the link is made: a path without characters that have a meaning for DuckDB.
        """
        try:
            os.link(self.path.resolve(), link)
        except OSError:
            link.symlink_to(self.path.absolute())
        return msgspec.structs.replace(self, link=link)


def files_of(message: SingerMessage, number: int, named: set[tuple[int, ...]]) -> list[BatchFile]:
    """Return the files of a BATCH message.

    Args:
        message: The message.
        number: Its line.
        named: What identifies the files that this run's messages have named so far; these are added.

    Raises:
        MessageError: The encoding or the address of a file is not supported, or no files are named, or one twice.
    """
    where = f"line {number}: BATCH of stream {message.stream}"
    encoding = message.encoding or {}
    kind, compression = encoding.get("format"), encoding.get("compression") or "none"
    if kind not in ("jsonl", "parquet"):
        raise MessageError(f"{where}: format {kind!r} is not supported; use jsonl or parquet")
    if kind == "jsonl" and compression not in ("none", "gzip"):
        raise MessageError(f"{where}: compression {compression!r} is not supported; use none or gzip")
    if message.manifest is None:
        raise MessageError(f"{where}: it has no `manifest`, the list of its files")
    files: list[BatchFile] = []
    for address in message.manifest:
        try:
            path = _path(address)
        except ValueError as error:
            raise MessageError(f"{where}: {error}") from None
        file = BatchFile(path, kind == "parquet", kind == "jsonl" and compression == "gzip", _identity(path))
        if file.identity in named:
            raise MessageError(f"{where}: {path} is named for the second time; without a key its rows would be doubled")
        named.add(file.identity)
        files.append(file)
    return files


def _path(address: str) -> Path:
    """The path that a manifest gives, which after ``file://`` may be written with ``%20`` and the like.

    Some taps write such addresses without that, so the path is taken as it stands if only that file exists.

    Raises:
        ValueError: There is no such file on this machine, or there are two.
    """
    found = {Path(address)}
    if address[: len(_FILE)].lower() == _FILE:
        host, slash, rest = address[len(_FILE) :].partition("/")
        if host.lower() not in {"", "localhost"}:
            raise ValueError(f"only files on this machine can be read, not those of {host}")
        found = {Path(slash + os.fsdecode(unquote_to_bytes(rest))), Path(slash + rest)}
    found = {path for path in found if path.is_file()}
    if len(found) > 1:
        raise ValueError("{} and {} exist, and the address may mean either".format(*sorted(found)))
    if not found and _ADDRESS.match(address) and address[: len(_FILE)].lower() != _FILE:
        raise ValueError(f"only files on this machine can be read, not {address.partition(':')[0]}:// addresses")
    if not found:
        raise ValueError(f"there is no file {address}")
    return found.pop()


def _identity(path: Path) -> tuple[int, ...]:
    found = path.stat()
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns


def record_lines(file: BatchFile, message: SingerMessage, max_line: int) -> Iterator[bytes]:
    """Yield blocks of RECORD lines from a JSONL file. Blank lines stay blank.

    Args:
        file: The file.
        message: The BATCH message, whose version and time hold for all records.
        max_line: The longest line that is allowed, in bytes.

    Raises:
        MessageError: The file is damaged, or a line is too long.
    """
    head = b'{"type":"RECORD","stream":' + msgspec.json.encode(message.stream) + b',"record":'
    tail = b"" if message.version is None else b',"version":%d' % message.version
    if message.time_extracted is not None:
        tail += b',"time_extracted":' + msgspec.json.encode(message.time_extracted)
    tail += b"}\n"
    for view in whole_lines(file, max_line):
        block = bytes(view).removesuffix(b"\n")
        if _BLANK.search(block):
            lines = (line.strip() for line in block.split(b"\n"))
            yield b"".join(head + line + tail if line else b"\n" for line in lines)
        else:
            yield head + block.replace(b"\r\n", b"\n").replace(b"\n", tail + head) + tail


def whole_lines(file: BatchFile, max_line: int) -> Iterator[memoryview]:
    """Yield blocks of lines as they stand in a JSONL file; the last one may lack its newline.

    A block is there until the next one is asked for.

    Raises:
        MessageError: The file is damaged, or a line is too long.
    """
    try:
        yield from _blocks(file, max_line)
    except (OSError, EOFError, zlib.error) as error:
        raise MessageError(f"batch file {file.path} cannot be read: {error}") from None


def _blocks(file: BatchFile, max_line: int) -> Iterator[memoryview]:
    with gzip.open(file.content) if file.is_gzipped else file.content.open("rb", buffering=0) as content:
        buffer, kept = bytearray(_CHUNK), 0
        while count := content.readinto(memoryview(buffer)[kept:]):
            lines = memoryview(buffer)[: buffer.rfind(b"\n", kept, kept + count) + 1]
            rest = buffer[len(lines) : kept + count]
            if lines:
                yield lines
            kept = len(rest)
            if kept > max_line:
                raise MessageError(f"batch file {file.path} has a line longer than {max_line >> 20} MB")
            if 2 * kept > len(buffer):
                buffer = bytearray(2 * len(buffer))
            buffer[:kept] = rest
        if kept:
            yield memoryview(buffer)[:kept]
