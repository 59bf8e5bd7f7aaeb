"""How log lines look: on a terminal, in a file, for programs that read them, and for Meltano.

A line about a stream says ``stream NAME: ``; that is how the forms for programs know the stream.
"""

from __future__ import annotations

import logging
import os
import re
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import msgspec

__all__ = [
    "ERASE",
    "FORMATS",
    "VARIABLE",
    "JsonFormatter",
    "SdkFormatter",
    "default_format",
    "error_line",
    "set_log_format",
]

FORMATS: Final = ("text", "json")

VARIABLE: Final = "LOG_FORMAT"
"""The environment variable with the form of log lines, for all commands alike."""

ERASE: Final = "\r\x1b[K"
"""Clears the line of a terminal that the cursor is in: a tap may show its progress there."""

_TEXT: Final = "%(asctime)s %(levelname)s %(message)s"
_STREAM: Final = re.compile(r"(?:[^:]+: )?stream (.+?): ")
_OWN: Final = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}


def default_format() -> str:
    """What the environment says; as other programs may mean something else by the variable, that is not an error."""
    return "json" if os.environ.get(VARIABLE) == "json" else "text"


def set_log_format(style: str) -> None:
    """Give the log lines of this process their form.

    Args:
        style: ``text`` or ``json``.
    """
    if sys.stderr is None:
        return
    formatter: logging.Formatter
    if _meltano_reads_along():
        formatter = SdkFormatter()
    elif style == "json":
        formatter = JsonFormatter()
    elif sys.stderr.isatty() and os.environ.get("TERM") != "dumb":
        formatter = logging.Formatter(f"{ERASE}%(asctime)s target-duckhouse  %(levelname)s  %(message)s", "%H:%M:%S")
    else:
        formatter = logging.Formatter(_TEXT)
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(formatter)
    logging.basicConfig(level=logging.INFO, handlers=[handler], force=True)


def error_line(message: str) -> str:
    """An error as the log would write it, for where the log itself cannot be used."""
    record = logging.LogRecord("target-duckhouse", logging.ERROR, "", 0, message, None, None)
    formatters = (handler.formatter for handler in logging.getLogger().handlers)
    return (next(formatters, None) or logging.Formatter(_TEXT)).format(record)


class JsonFormatter(logging.Formatter):
    """One JSON object a line: ``ts``, ``level``, ``logger``, ``message``, and ``stream`` if it is about one.

    What a line counts, such as ``inserted``, follows as members of their own.
    """

    def format(self, record: logging.LogRecord) -> str:
        """The line, without its end."""
        at = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
        return _encoded(
            {
                "ts": at.replace("+00:00", "Z"),
                "level": record.levelname.lower(),
                "logger": record.name,
                "message": record.getMessage(),
                **_stream(record, "stream"),
                **self.more(record),
            }
        )

    def more(self, record: logging.LogRecord) -> dict[str, Any]:
        """What else a record says."""
        more = {name: value for name, value in vars(record).items() if name not in _OWN}
        return {**more, "exception": self.formatException(record.exc_info)} if record.exc_info else more


class SdkFormatter(JsonFormatter):
    """The form of the Singer SDK, from which Meltano takes level, stream and counts of a line."""

    def format(self, record: logging.LogRecord) -> str:
        """The line, without its end."""
        return _encoded(
            {
                "level": record.levelname.lower(),
                "pid": record.process,
                "logger_name": record.name,
                "ts": record.created,
                "thread_name": record.threadName,
                "app_name": "target-duckhouse",
                **_stream(record, "stream_name"),
                "message": record.getMessage(),
                "extra": self.more(record),
            }
        )


def _stream(record: logging.LogRecord, name: str) -> dict[str, str]:
    found = _STREAM.match(record.getMessage())
    return {name: found[1]} if found else {}


def _encoded(line: dict[str, Any]) -> str:
    return msgspec.json.encode(line, enc_hook=str).decode()


def _meltano_reads_along() -> bool:
    """Whether Meltano expects log lines in the form of the Singer SDK, as its file for plugins says."""
    try:
        return "StructuredFormatter" in Path(os.environ.get("SINGER_SDK_LOG_CONFIG", "")).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return False
