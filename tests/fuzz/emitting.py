"""The records of one stream, written on either path."""

from __future__ import annotations

import tempfile
from copy import deepcopy
from typing import TYPE_CHECKING

from tap_core.output.emit import Emitter
from tap_core.output.messages import MessageWriter

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tap_core.codec import Json
    from tap_core.errors import RecordError
    from tap_core.records.field import Context
    from tap_core.streams.base import CoreStream

__all__ = ["emitted"]

WHEN = "2026-02-01T00:00:00Z"


def emitted(stream: CoreStream, rows: Sequence[Json], context: Context, *, fast: bool) -> tuple[list[bytes], list[str]]:
    """The lines that a stream writes for some rows, and why it refuses others.

    Args:
        stream: The stream.
        rows: The JSON of each row.
        context: What they do not say themselves.
        fast: Whether a page may be taken as a whole.

    Raises:
        TapError: The stream does not go on.
    """
    refused: list[str] = []

    def refuse(error: RecordError) -> None:
        refused.append(str(error))

    with tempfile.TemporaryFile() as output:
        writer = MessageWriter(output.fileno())
        emitter = Emitter(
            stream.name,
            stream_maps=stream.stream_maps,
            declared=stream.schema,
            replication_key=stream.replication_key,
            slow_path=stream.slow_path,
            fast_path=stream.fast_path if fast else None,
            key_filter=stream.key_filter(),
            version=None,
            writer=writer,
            meter=stream.meter,
            refuse=refuse,
        )
        emitter.rows(rows, deepcopy(dict(context)), WHEN)  # it counts what repeats
        writer.flush()
        output.seek(0)
        return output.read().splitlines(), refused
