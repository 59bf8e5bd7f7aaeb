"""How log lines look: on a terminal, in a file, and for programs that read them.

A line about a stream begins with the stream's name and a colon; that is how the JSON form knows the stream.

A terminal may show one more line, the progress of the run, with the cursor at its beginning: what is logged there,
by this process or another, writes over it.
"""

from __future__ import annotations

import logging
import os
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final, Literal, TextIO

import msgspec
from singer_sdk.logging import ConsoleFormatter
from singer_sdk.metrics import Point
from typing_extensions import override

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = [
    "ERASE",
    "VARIABLE",
    "JsonFormatter",
    "LogFormat",
    "TerminalFormatter",
    "is_news",
    "is_terminal",
    "set_log_format",
]

LogFormat = Literal["text", "json"]

VARIABLE: Final = "LOG_FORMAT"
"""The environment variable with the form of log lines, for all commands alike."""

ERASE: Final = "\r\x1b[K"
"""Clears the line of a terminal that the cursor is in."""

_OWN: Final = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName", "stream_name"}


def is_terminal(stream: TextIO | None) -> bool:
    """Whether a stream is a terminal that understands control sequences."""
    return stream is not None and stream.isatty() and os.environ.get("TERM") != "dumb"


def set_log_format(style: str, streams: Iterable[str], error: TextIO | None) -> None:
    """Give the log lines of this process their form, unless SINGER_SDK_LOG_CONFIG gives them another.

    Args:
        style: ``text`` or ``json``.
        streams: Names of the tap's streams.
        error: Standard error.
    """
    formatter: logging.Formatter
    if style == "json":
        formatter = JsonFormatter(streams)
    else:
        formatter = TerminalFormatter() if is_terminal(error) else ConsoleFormatter()
    for handler in logging.getLogger().handlers:
        if isinstance(handler.formatter, ConsoleFormatter | JsonFormatter | TerminalFormatter):
            handler.setFormatter(formatter)


def is_news(record: logging.LogRecord) -> bool:
    """A filter for what says something; the SDK says of each run that it does not read the environment on its own."""
    return record.msg != "Skipping parse of env var settings..."


class TerminalFormatter(logging.Formatter):
    """``22:01:57 tap-example  orders: 120 records in 6 requests, 0.2 s``."""

    @override
    def format(self, record: logging.LogRecord) -> str:
        level = "" if record.levelno == logging.INFO else f"{record.levelname}  "
        return f"{ERASE}{self.formatTime(record, '%H:%M:%S')} {record.name}  {level}{super().format(record)}"


class JsonFormatter(logging.Formatter):
    """One JSON object a line: ``ts``, ``level``, ``logger``, ``message``, and ``stream`` if it is about one.

    What a line counts, such as ``records``, follows as members of their own; a metric is in ``metric``.

    Args:
        streams: Names of the tap's streams.
    """

    def __init__(self, streams: Iterable[str]) -> None:
        super().__init__()
        self._streams = frozenset(streams)

    @override
    def format(self, record: logging.LogRecord) -> str:
        more = {name: value for name, value in vars(record).items() if name not in _OWN}
        message, stream = record.getMessage(), getattr(record, "stream_name", None)
        if isinstance(record.args, tuple) and record.args and isinstance(record.args[0], Point):
            point = record.args[0].to_dict()
            message, stream, more = "METRIC", point["tags"].get("stream"), {"metric": point}
        if stream is None and (named := message.partition(":")[0]) in self._streams:
            stream = named
        if record.exc_info or record.exc_text:
            more["exception"] = record.exc_text or self.formatException(record.exc_info or (None, None, None))
        line: dict[str, Any] = {
            "ts": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": message,
            **({"stream": stream} if stream else {}),
            **more,
        }
        return msgspec.json.encode(line, enc_hook=str).decode()
