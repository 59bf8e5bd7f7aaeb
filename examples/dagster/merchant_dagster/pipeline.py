"""One tap and one loader, run as processes in a pipe."""

from __future__ import annotations

import copy
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cached_property
from pathlib import Path
from typing import Any

import duckdb

__all__ = ["Outcome", "Pipeline", "StreamLoad"]

_BIN = Path(sys.executable).parent
_API = 4
"""Exit code of a tap whose API failed."""

_STALE = 6
"""Exit code of ``target-duckhouse check`` if something is late."""


@dataclass(frozen=True)
class Outcome:
    """How a run ended.

    Args:
        tap: The tap's exit code; negative, if a signal ended it.
        loader: The loader's.
        log: The last of what both said.
    """

    tap: int
    loader: int
    log: str

    @property
    def code(self) -> int:
        """The code that tells the cause: the loader's if it failed, for want of a reader the tap fails then, too."""
        return self.loader or self.tap

    @property
    def may_pass(self) -> bool:
        """Whether another try may succeed without anybody's help: the API failed, or somebody killed a process."""
        return self.code == _API or self.code < 0


@dataclass(frozen=True)
class StreamLoad:
    """What the warehouse holds of a stream, and what its last load did.

    Args:
        rows: The rows of the table, without those that are marked as deleted.
        counts: Of the last load: ``inserted``, ``updated``, ``unchanged``, ``rejected``.
        committed_at: When that was; None before the first load.
    """

    rows: int
    counts: Mapping[str, int]
    committed_at: datetime | None = None


@dataclass(frozen=True)
class Pipeline:
    """A tap and the loader, with the settings in their variables (``TAP_PEEK_…``, ``TARGET_DUCKHOUSE_…``).

    Args:
        vendor: The vendor.
        account: Which of several accounts, if there are several. It names the schema of its tables, its state, and the
            file of settings, if it has one.
        config: A JSON file with settings of the tap, which go before the variables.
    """

    vendor: str
    account: str = ""
    config: Path | None = None
    environ: Mapping[str, str] = field(default_factory=lambda: os.environ, repr=False)

    @property
    def name(self) -> str:
        """The name of the pipeline, and of the schema of its tables."""
        return f"{self.vendor}__{self.account}" if self.account else self.vendor

    @cached_property
    def catalog(self) -> dict[str, Any]:
        """The catalog, as the tap discovers it."""
        done = subprocess.run(
            [_BIN / f"tap-{self.vendor}", *self._settings, "--discover"],
            env=dict(self.environ),
            stdout=subprocess.PIPE,
            check=True,
        )
        found: dict[str, Any] = json.loads(done.stdout)
        return found

    @property
    def streams(self) -> dict[str, dict[str, Any]]:
        """The entries of the catalog that are read, by stream."""
        return {
            entry["tap_stream_id"]: entry
            for entry in self.catalog["streams"]
            if _of_stream(entry).get("selected-by-default", True)
        }

    @property
    def warehouse(self) -> str:
        """The DuckDB file."""
        return self.environ.get("TARGET_DUCKHOUSE_PATH", "warehouse.duckdb")

    def run(
        self,
        streams: AbstractSet[str],
        *,
        settings: Mapping[str, Any] | None = None,
        state_id: str = "",
    ) -> Outcome:
        """Load streams, from where their last load ended.

        Args:
            streams: The streams to read.
            settings: More settings of the tap, which override the others.
            state_id: Whose bookmarks count; the pipeline's own, if not given. Under another one, the pipeline's stay as
                they are, and rows are only merged into its tables.
        """
        own = f"dagster:{self.name}"
        loader = {"schema": self.name, "state_id": state_id or own, "shared": state_id not in {"", own}}
        with _files(
            catalog=self._chosen(streams),
            settings=settings or {},
            loader=loader,
            state=self.state(str(loader["state_id"])),
        ) as paths:
            tap = [_BIN / f"tap-{self.vendor}", *self._settings, "--config", paths["settings"]]
            tap += ["--catalog", paths["catalog"], "--state", paths["state"]]
            return self._pipe(tap, self._loader(paths["loader"]))

    def state(self, state_id: str) -> dict[str, Any]:
        """Where a run continues: the state that is committed with the rows; empty before the first run."""
        if not Path(self.warehouse).exists():
            return {}
        with duckdb.connect(self.warehouse, read_only=True) as con:
            found = con.execute("SELECT state FROM main._singer_state WHERE state_id = ?", [state_id]).fetchone()
        return json.loads(found[0]) if found and found[0] else {}

    def loads(self, streams: AbstractSet[str]) -> dict[str, StreamLoad]:
        """What the warehouse holds of each of these streams that it has a table of."""
        with duckdb.connect(self.warehouse, read_only=True) as con:
            counts = con.execute(
                "SELECT stream, committed_at, inserted, updated, unchanged, rejected FROM main._singer_loads "
                "WHERE schema = ? QUALIFY row_number() OVER (PARTITION BY stream ORDER BY committed_at DESC) = 1",
                [self.name],
            ).fetchall()
            found = {}
            for stream, committed_at, *numbers in counts:
                if stream in streams:
                    table = f'"{self.name}"."{stream}"'
                    rows = con.execute(f"SELECT count(*) FROM {table} WHERE _sdc_deleted_at IS NULL").fetchall()[0][0]
                    names = ("inserted", "updated", "unchanged", "rejected")
                    found[stream] = StreamLoad(rows, dict(zip(names, numbers, strict=True)), committed_at)
            return found

    def stale(self, max_age: timedelta) -> list[str]:
        """The streams whose last load is older than this; before the first load, all of them."""
        if not Path(self.warehouse).exists():
            return sorted(self.streams)
        named = [part for stream in self.streams for part in ("--stream", f"{self.name}.{stream}")]
        with _files(loader={"schema": self.name}) as paths:
            asked = ("check", "--format", "json", "--max-age", f"{max_age // timedelta(minutes=1)}m", *named)
            told = json.loads(self._output(self._loader(paths["loader"]), *asked, codes={0, _STALE}))
        return [row["stream"] for row in told["streams"] if row["stale"]]

    @property
    def _settings(self) -> list[str | Path]:
        return [*(("--config", self.config) if self.config else ()), "--config", "ENV"]

    def _chosen(self, streams: AbstractSet[str]) -> dict[str, Any]:
        chosen = copy.deepcopy(self.catalog)
        for entry in chosen["streams"]:
            _of_stream(entry)["selected"] = entry["tap_stream_id"] in streams
        return chosen

    def _loader(self, settings: Path) -> list[str | Path]:
        return [_BIN / "target-duckhouse", "--config", "ENV", "--config", settings]

    def _output(
        self, command: Sequence[str | Path], *arguments: str, codes: AbstractSet[int] = frozenset({0})
    ) -> bytes:
        """What a command prints; one that fails must not be taken for one that has nothing to say."""
        done = subprocess.run([*command, *arguments], env=dict(self.environ), stdout=subprocess.PIPE, check=False)
        if done.returncode not in codes:
            raise subprocess.CalledProcessError(done.returncode, [str(part) for part in done.args])
        return done.stdout

    def _pipe(self, tap: Sequence[str | Path], loader: Sequence[str | Path]) -> Outcome:
        with tempfile.TemporaryFile() as said:
            first = subprocess.Popen(tap, env=dict(self.environ), stdout=subprocess.PIPE, stderr=said)
            second = subprocess.Popen(
                loader, env=dict(self.environ), stdin=first.stdout, stdout=subprocess.DEVNULL, stderr=said
            )
            assert first.stdout is not None
            first.stdout.close()  # the loader has it now; a tap whose reader dies is told by the system
            try:
                codes = first.wait(), second.wait()
            finally:  # a run that Dagster ends: the tap stops, and the loader commits what has come
                first.terminate()
                first.wait()
                second.wait()
            said.seek(0)
            return Outcome(*codes, said.read().decode(errors="replace")[-10_000:])


def _of_stream(entry: Mapping[str, Any]) -> dict[str, Any]:
    """The metadata of a stream as a whole."""
    found: dict[str, Any] = next(part["metadata"] for part in entry["metadata"] if not part["breadcrumb"])
    return found


@contextmanager
def _files(**contents: Mapping[str, Any]) -> Iterator[dict[str, Path]]:
    """JSON files that only this user can read, for as long as they are needed."""
    with tempfile.TemporaryDirectory() as folder:
        paths = {name: Path(folder, f"{name}.json") for name in contents}
        for name, path in paths.items():
            path.touch(mode=0o600)
            path.write_text(json.dumps(contents[name]))
        yield paths
