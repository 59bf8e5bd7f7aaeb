"""BATCH messages: records in files of JSON lines, for a target on the same machine that reads such files."""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Final
from urllib.parse import unquote, urlsplit
from uuid import uuid4

from typing_extensions import override

from tap_core import codec
from tap_core.errors import ConfigError, OutputError
from tap_core.output.messages import MessageWriter

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["BatchWriter"]

_ROWS: Final = 10_000
"""The most records of a file by default, as in singer-sdk."""


@dataclass(slots=True)
class _Batch:
    """A file that is being written.

    Args:
        path: Where it is.
        file: Takes the records.
        version: The table version of its records.
        extracted: When the first of them were read.
        rows: How many they are.
    """

    path: Path
    file: BinaryIO
    version: int | None
    extracted: str
    rows: int = 0


class BatchWriter(MessageWriter):
    """Writes records to files, and everything else to standard output.

    Before any other message goes out, each file that has records is closed and told by a BATCH message. So a STATE
    covers the files before it, as it covers RECORD messages. The target removes them. Those that were not told are
    removed when the output is gone.

    Args:
        config: The setting ``batch_config``, in the form that singer-sdk has given it.
        descriptor: Where messages go; standard output by default.

    Raises:
        ConfigError: The setting asks for what there is not.
    """

    def __init__(self, config: Mapping[str, Any], descriptor: int | None = None) -> None:
        super().__init__(descriptor)
        encoding, storage = config.get("encoding") or {}, config.get("storage") or {}
        _refuse_unknown("batch_config", config, ("encoding", "storage", "batch_size"))
        _refuse_unknown("batch_config.encoding", encoding, ("format", "compression"))
        _refuse_unknown("batch_config.storage", storage, ("root", "prefix"))
        if encoding.get("format", "jsonl") != "jsonl":
            raise ConfigError("setting 'batch_config.encoding.format' must be 'jsonl'; other files are not written")
        if encoding.get("compression") not in (None, "none"):
            raise ConfigError("setting 'batch_config.encoding.compression' must be 'none': the files do not travel")
        self._most = config.get("batch_size", _ROWS)
        if type(self._most) is not int or self._most < 1:  # true is no number
            raise ConfigError("setting 'batch_config.batch_size' must be a number of records")
        self._folder = _folder(storage.get("root"))
        prefix = storage.get("prefix") or ""
        if "/" in prefix or "\0" in prefix:
            raise ConfigError("setting 'batch_config.storage.prefix' must not have a '/' or NUL; 'root' is the folder")
        self._name = f"{prefix}{uuid4().hex}"
        self._files = 0
        self._open: dict[str, _Batch] = {}

    @override
    def write_line(self, message: dict[str, Any]) -> None:
        if message["type"] == "RECORD":
            self.write_records(
                message["stream"],
                codec.encode(message["record"]) + b"\n",
                rows=1,
                version=message.get("version"),
                extracted=message["time_extracted"],
            )
            return
        self._tell_all()
        super().write_line(message)

    @override
    def write_records(self, stream: str, records: bytes, *, rows: int, version: int | None, extracted: str) -> None:
        if not rows:
            return
        batch = self._open.get(stream)
        try:
            if batch is None:
                batch = self._open[stream] = self._begin(version, extracted)
            batch.file.write(records)
        except OSError as error:
            raise self._failed(error) from None
        batch.rows += rows
        if batch.rows >= self._most:
            self._tell(stream)

    @override
    def flush(self) -> None:
        self._tell_all()
        super().flush()

    def _begin(self, version: int | None, extracted: str) -> _Batch:
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._files += 1
        path = self._folder / f"{self._name}-{self._files}.jsonl"
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        return _Batch(path, os.fdopen(descriptor, "wb"), version, extracted)

    def _tell_all(self) -> None:
        while self._open:
            self._tell(next(iter(self._open)))

    def _tell(self, stream: str) -> None:
        """Close the file of a stream, and let the target have it."""
        batch = self._open[stream]
        try:
            batch.file.close()
        except OSError as error:
            raise self._failed(error) from None
        del self._open[stream]
        version = {} if batch.version is None else {"version": batch.version}
        super().write_line(
            {
                "type": "BATCH",
                "stream": stream,
                "encoding": {"format": "jsonl", "compression": "none"},
                "manifest": [batch.path.as_uri()],
                **version,
                "time_extracted": batch.extracted,
            }
        )

    def _failed(self, error: OSError) -> OutputError:
        self._discard()
        return OutputError(
            f"batch file in {self._folder} (setting 'batch_config.storage.root') cannot be written: {error.strerror}"
        )

    @override
    def _discard(self) -> None:
        super()._discard()
        for batch in self._open.values():
            with suppress(OSError):  # what it still holds goes nowhere
                batch.file.close()
            batch.path.unlink(missing_ok=True)
        self._open.clear()


def _refuse_unknown(place: str, given: Mapping[str, Any], known: tuple[str, ...]) -> None:
    for name in given:
        if name not in known:
            raise ConfigError(f"setting {f'{place}.{name}'!r} is unknown; there are {', '.join(known)}")


def _folder(root: object) -> Path:
    """The folder that a path or a ``file://`` address names."""
    setting = "setting 'batch_config.storage.root'"
    if not root or not isinstance(root, str):
        raise ConfigError(f"{setting} is missing: the folder for the files")
    parts = urlsplit(root)
    if parts.scheme not in ("", "file") or parts.netloc not in ("", "localhost"):
        raise ConfigError(f"{setting} must be a folder on this machine")
    path = unquote(parts.path) if parts.scheme else root
    if "\0" in path:
        raise ConfigError(f"{setting} must not have a NUL")
    return Path(path).absolute()
