"""A tap as a process on an executor, which reads one part of a stream."""

from __future__ import annotations

import ctypes
import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from typing import IO, TYPE_CHECKING, Any, Final

from pyspark.sql.datasource import InputPartition

from merchant_spark.columns import Column, Rows
from merchant_spark.errors import ended

if TYPE_CHECKING:
    import pyarrow as pa
    from pyspark.sql.types import StructType

__all__ = ["Part", "TapRun"]

_ROWS: Final = 10_000
_BYTES: Final = 16 * 1024 * 1024
"""Of messages, after which a batch goes out."""

_DEATH_OF_PARENT: Final = 1
"""The option of ``prctl`` that names the signal for a process whose parent is gone."""


@dataclass(frozen=True)
class Part(InputPartition):
    """A part of a stream.

    Args:
        settings: The settings that make a tap read it, besides those of all parts.
        state: Where the tap begins.
    """

    settings: Mapping[str, Any] = field(default_factory=dict, repr=False)
    state: Mapping[str, Any] = field(default_factory=dict, repr=False)


@dataclass(frozen=True)
class TapRun:
    """What the runs of a tap have in common that read the parts of a stream.

    Args:
        vendor: The vendor.
        stream: The stream.
        columns: Its columns, in the order in which Spark wants them.
        schema: The same as Spark has them.
        settings: The tap's settings.
        catalog: Its catalog, in which the stream and the columns are selected.
        environ: Variables for the process, besides those of the executor.
    """

    vendor: str
    stream: str
    columns: Sequence[Column]
    schema: StructType = field(repr=False)
    settings: Mapping[str, Any] = field(repr=False)
    catalog: Mapping[str, Any] = field(repr=False)
    environ: Mapping[str, str] = field(repr=False)

    def batches(self, part: Part) -> Iterator[pa.RecordBatch]:
        """Read a part, and give its rows as they come.

        The tap ends with whoever reads: it is told to stop when the reading is given up, and when this process dies.

        Raises:
            ReadError: The tap fails. What it has sent so far is not all, so the task fails, too.
        """
        rows = Rows(self.stream, self.columns, self.schema)
        with ExitStack() as stack:
            log = stack.enter_context(tempfile.TemporaryFile())
            process = self._start(part, stack, log)
            assert process.stdout is not None
            size = 0
            for line in process.stdout:
                rows.add(line)
                size += len(line)
                if len(rows) >= _ROWS or size >= _BYTES:
                    size = 0
                    yield rows.batch()
            code = process.wait()
            log.seek(0)
            reason = _told(log)
            if code:
                raise ended(f"tap-{self.vendor}", code, reason)
            if len(rows):
                yield rows.batch()

    def _start(self, part: Part, stack: ExitStack, log: IO[bytes]) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", f"tap_{self.vendor}", "--log-format", "json"]
        given = {"config": {**self.settings, **part.settings}, "catalog": self.catalog, "state": part.state}
        files = []
        for option, content in given.items():
            files.append(stack.enter_context(_nameless(content)))
            command += [f"--{option}", f"/dev/fd/{files[-1].fileno()}"]
        process = subprocess.Popen(
            command,
            env={**os.environ, **self.environ},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=log,
            pass_fds=[file.fileno() for file in files],
            preexec_fn=_end_with_parent,  # noqa: PLW1509  Spark's worker has one thread
        )
        stack.callback(_stop, process)
        return process


def _nameless(content: Mapping[str, Any]) -> IO[bytes]:
    """A file that nobody else can open, and that is gone with this process, however that ends."""
    file = tempfile.TemporaryFile()  # noqa: SIM115  whoever asked for it closes it
    file.write(json.dumps(content).encode())
    file.flush()
    file.seek(0)
    return file


def _end_with_parent() -> None:
    """Have Linux stop the tap when the worker is killed: it would go on calling the API until its next row."""
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(_DEATH_OF_PARENT, signal.SIGTERM)


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    if process.stdout:
        process.stdout.close()
    process.wait()


def _told(log: IO[bytes]) -> str:
    """Pass the tap's log on to the executor's; returns its last error."""
    reason = "it gave no reason"
    for line in log:
        try:
            entry = json.loads(line)
            message, level = str(entry["message"]), str(entry["level"]).upper()
        except (ValueError, LookupError, TypeError):
            message, level = line.decode(errors="replace").rstrip(), ""
        print(level, message, file=sys.stderr)  # noqa: T201  where the executor logs
        if level in {"ERROR", "CRITICAL"}:
            reason = message
    return reason
