"""The files of BATCH messages: JSONL becomes RECORD lines like any others; DuckDB reads Parquet itself."""

from __future__ import annotations

import gzip
import zlib
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlparse

import msgspec

from target_duckhouse.errors import MessageError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from target_duckhouse.input.messages import SingerMessage

__all__ = ["BatchFile", "files_of", "record_lines"]

_CHUNK = 128 * 1024


class BatchFile(msgspec.Struct, frozen=True):
    """One file of a manifest.

    Args:
        path: Where it is.
        is_parquet: Whether it is Parquet; otherwise it is JSONL.
        is_gzipped: Whether it is compressed as a whole.
    """

    path: Path
    is_parquet: bool
    is_gzipped: bool


def files_of(message: SingerMessage, number: int) -> list[BatchFile]:
    """Return the files of a BATCH message.

    Raises:
        MessageError: The encoding or the address of a file is not supported.
    """
    where = f"line {number}: BATCH of stream {message.stream}"
    encoding = message.encoding or {}
    kind, compression = encoding.get("format"), encoding.get("compression") or "none"
    if kind not in {"jsonl", "parquet"}:
        raise MessageError(f"{where}: format {kind!r} is not supported; use jsonl or parquet")
    if kind == "jsonl" and compression not in {"none", "gzip"}:
        raise MessageError(f"{where}: compression {compression!r} is not supported; use none or gzip")
    files = []
    for address in message.manifest or []:
        parts = urlparse(address)
        if parts.scheme not in {"", "file"}:
            raise MessageError(f"{where}: only files on this machine can be read, not {parts.scheme}:// addresses")
        path = Path(unquote(parts.path))
        if not path.is_file():
            raise MessageError(f"{where}: there is no file {path}")
        files.append(BatchFile(path, kind == "parquet", kind == "jsonl" and compression == "gzip"))
    return files


def record_lines(file: BatchFile, stream: str, max_line: int) -> Iterator[bytes]:
    """Yield blocks of RECORD lines from a JSONL file.

    Raises:
        MessageError: The file is damaged, or a line is too long.
    """
    head = b'{"type":"RECORD","stream":' + msgspec.json.encode(stream) + b',"record":'
    between = b"}\n" + head
    try:
        for block in _blocks(file, max_line):
            lines = block.strip(b"\n").replace(b"\r\n", b"\n")
            while b"\n\n" in lines:
                lines = lines.replace(b"\n\n", b"\n")
            if lines:
                yield head + lines.replace(b"\n", between) + b"}\n"
    except (OSError, EOFError, zlib.error) as error:
        raise MessageError(f"batch file {file.path} cannot be read: {error}") from None


def _blocks(file: BatchFile, max_line: int) -> Iterator[bytes]:
    with gzip.open(file.path) if file.is_gzipped else file.path.open("rb") as content:
        rest = b""
        while chunk := content.read(_CHUNK):
            block, newline, tail = (rest + chunk).rpartition(b"\n")
            if newline:
                yield block
            rest = tail
            if len(rest) > max_line:
                raise MessageError(f"batch file {file.path} has a line longer than {max_line >> 20} MB")
        yield rest
