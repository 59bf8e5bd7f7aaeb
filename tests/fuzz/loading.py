"""The loader inside this process: the same parts as the command puts together, a hundred times as quick to start."""

from __future__ import annotations

import json
import os
import tempfile
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb

from target_duckhouse.errors import TargetError
from target_duckhouse.load import Load
from target_duckhouse.settings import Settings
from target_duckhouse.warehouse.database import Warehouse
from target_duckhouse.warehouse.runs import begin_run
from tests.duck import reading
from tests.fuzz.oracle import one_line

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

__all__ = ["Loaded", "line", "place", "quoted"]


@dataclass
class Loaded:
    """A warehouse, and what became of the last load into it.

    Args:
        folder: Where it is.
        code: The exit code.
        said: The line that says why, or nothing.
        states: What was confirmed.
    """

    folder: Path
    code: int = 0
    said: str = ""
    states: list[bytes] = field(default_factory=list)

    @property
    def path(self) -> Path:
        return self.folder / "warehouse.duckdb"

    def load(self, blocks: Iterable[bytes], **settings: Any) -> int:
        """Load blocks of whole lines; returns the exit code. Anything but a documented error is raised."""
        given = Settings(path=str(self.path), **settings)
        output = BytesIO()
        self.code, self.said = 0, ""
        try:
            with (
                begin_run(given.path, os.urandom(16).hex()) as run,
                closing(Warehouse.open(given, run.id, run.folder)) as warehouse,
            ):
                Load(warehouse, run.folder, output).run(blocks)
        except TargetError as error:
            self.code, self.said = error.exit_code, str(error)
            assert one_line(self.said), self.said
            assert self.code == 5, self.said
        except OSError as error:  # the command says which file it was
            self.code, self.said = 5, str(error)
        self.states = output.getvalue().splitlines()
        return self.code

    def sql(self, query: str) -> list[tuple[Any, ...]]:
        with reading(self.path) as con:
            return con.execute(query).fetchall()

    def rows(self, stream: str, columns: str = "*") -> list[tuple[Any, ...]]:
        """Some columns of a stream; nothing if it has no table."""
        try:
            return self.sql(f"SELECT {columns} FROM {quoted(stream)}")
        except duckdb.CatalogException:
            return []


@contextmanager
def place() -> Iterator[Loaded]:
    """A new warehouse."""
    with tempfile.TemporaryDirectory() as folder:
        yield Loaded(Path(folder))


def line(**message: Any) -> bytes:
    """A message as a tap writes it."""
    return json.dumps(message, default=float).encode() + b"\n"


def quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
