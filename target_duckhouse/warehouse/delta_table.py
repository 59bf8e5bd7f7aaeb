"""A Delta table, and how it gets commits: the files are DuckDB's, the log is deltalake's.

Every commit carries the number of the change that it applies (`Transaction`), so that it can be seen whether a change
is in the table, whatever was killed.
"""

from __future__ import annotations

import json
import os
import re
import time
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from target_duckhouse.errors import LoadError, SettingsError
from target_duckhouse.warehouse.delta_changes import delta_folder
from target_duckhouse.warehouse.folder import sync
from target_duckhouse.warehouse.tables import PARTITION
from target_duckhouse.warehouse.types import decimal_size

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

    import duckdb
    from deltalake import DeltaTable

    from target_duckhouse.warehouse.delta_changes import Change
    from target_duckhouse.warehouse.places import Place

__all__ = ["Delta", "NewFile", "delta_type", "missing_files", "owner_in"]

_TYPES = {
    "BIGINT": "long",
    "HUGEINT": "decimal(38,0)",
    "DOUBLE": "double",
    "BOOLEAN": "boolean",
    "DATE": "date",
    "TIMESTAMPTZ": "timestamp",
}
_SQL = {"long": "BIGINT", "double": "DOUBLE", "boolean": "BOOLEAN", "date": "DATE", "timestamp": "TIMESTAMPTZ"}
_OWNER = "singer.owner"
"""The property of a table that says which warehouse it belongs to."""

_LOAD = "singerLoad"
"""Where a commit says which run it comes from."""

_DRAWN = re.compile(r"\x1b\[[0-9;]*m|↳")
"""How deltalake draws its errors."""

_READABLE = 1
"""The version of readers for which the rows of a table are those of its files."""

_NO_DATE = "__HIVE_DEFAULT_PARTITION__"


def owner_in(lake_id: str) -> str:
    """The name under which a warehouse numbers its changes.

    Args:
        lake_id: Its name in the lake.
    """
    return f"target-duckhouse-{lake_id}"


def delta_type(sql: str) -> str:
    """The type that values of a DuckDB type have in a Delta table."""
    if size := decimal_size(sql):
        return f"decimal({size[0]},{size[1]})"
    return _TYPES.get(sql, "string")


@dataclass(frozen=True, slots=True)
class NewFile:
    """A Parquet file that is to be added to a table.

    Args:
        path: Its path from the table's folder.
        rows: How many rows it has.
        size: Its size in bytes.
    """

    path: str
    rows: int
    size: int


class Delta:
    """One Delta table.

    Args:
        place: The lake.
        folder: Its folder in it.
        owner: The name under which this warehouse numbers its changes.
        stream: The stream, for messages.
    """

    def __init__(self, place: Place, folder: str, owner: str, stream: str) -> None:
        self.folder = folder
        self.address = place.join(folder)
        self._place = place
        self._owner = owner
        self._stream = stream
        self._table = self._load()

    def _load(self) -> DeltaTable | None:
        try:
            from deltalake import DeltaTable  # noqa: PLC0415  takes time and memory, and need not be installed
        except ModuleNotFoundError as error:
            raise SettingsError(
                f"setting `table_format`: {error.name} is missing; in a clone of the project: "
                "pip install '.[loader,delta]'"
            ) from None
        with self._told():
            if not DeltaTable.is_deltatable(self.address, self._options):
                return None
            table = DeltaTable(self.address, storage_options=self._options)
        if table.metadata().configuration.get(_OWNER) != self._owner:
            raise LoadError(
                f"stream {self._stream}: {self.address} is a Delta table of another warehouse; load into another "
                "schema, or move it away"
            )
        self._check_features(table)
        return table

    def _check_features(self, table: DeltaTable) -> None:
        """Refuse tables whose rows are not just those of their files, such as ones with deletion vectors."""
        if table.protocol().min_reader_version > _READABLE:
            raise LoadError(
                f"stream {self._stream}: the Delta table {self.address} uses features of newer readers, such as "
                "deletion vectors or column mapping; drop the feature, or load into another schema"
            )

    def join(self, file: str) -> str:
        """The address of one of its files."""
        return self._place.join(file)

    @property
    def exists(self) -> bool:
        """Whether there is a table."""
        return self._table is not None

    @property
    def number(self) -> int:
        """The last change that is in it; 0 if there is none."""
        return (self._table and self._table.transaction_version(self._owner)) or 0

    def check(self, known: int, pending: Sequence[Change]) -> None:
        """Make sure that the table has no changes of another copy of this warehouse, and lacks none.

        Args:
            known: The last change that is known to be in it.
            pending: The last change that may be in it, if there is one.
        """
        if self.number > known and not (pending and self.has(pending[0])):
            raise self._copied()
        if self.number < known:
            raise LoadError(
                f"stream {self._stream}: the Delta table {self.address} is older than the DuckDB file, and lacks rows; "
                "bring the newer one back, or a DuckDB file that is as old, or load into another schema from the start"
            )

    def has(self, change: Change) -> bool:
        """Whether a change is in the table.

        Raises:
            LoadError: Another change has its number: that of another copy of this warehouse.
        """
        if self._table is None or self.number < change.number:
            return False
        loads = (entry[_LOAD] for entry in self._table.history() if _LOAD in entry)
        if self.number > change.number or next(loads, change.load_id) != change.load_id:
            raise self._copied()
        return True

    def _copied(self) -> LoadError:
        return LoadError(
            f"stream {self._stream}: {self.address} was written with another copy of this warehouse; use that copy, or "
            "load into another schema from the start"
        )

    @property
    def version(self) -> int | None:
        """Its own version; None if there is no table."""
        return self._table.version() if self._table else None

    @property
    def is_partitioned(self) -> bool:
        """Whether its files are in folders by date."""
        return bool(self._table and self._table.metadata().partition_columns)

    @property
    def columns(self) -> dict[str, str]:
        """Its columns with their types, in DuckDB's names, without that of the partition."""
        fields: list[Any] = list(self._table.schema().fields) if self._table else []
        return {
            field.name: _SQL.get(kind := field.type.type, kind.upper().replace("STRING", "VARCHAR"))
            for field in fields
            if field.name != PARTITION
        }

    @property
    def files(self) -> list[str]:
        """The files that have its rows, below the lake's folder."""
        if self._table is None:
            return []
        found: Any = self._table.get_add_actions().column("path").to_pylist()
        return sorted(f"{self.folder}/{unquote(path)}" for path in found)

    def create(self, columns: Mapping[str, str], *, partitioned: bool) -> None:
        """Create an empty table.

        Args:
            columns: Its columns with their types, in DuckDB's names.
            partitioned: Whether its files are in folders by date.
        """
        from deltalake import DeltaTable  # noqa: PLC0415

        partition_by = [PARTITION] if partitioned else None
        with self._told():
            schema = self._schema(columns, partitioned=partitioned)
            self._table = DeltaTable.create(
                self.address,
                schema,
                storage_options=self._options,
                partition_by=partition_by,
                configuration={_OWNER: self._owner},
                raise_if_key_not_exists=False,
            )
        self._sync()

    def commit(
        self, change: Change | None, columns: Mapping[str, str], add: Collection[NewFile], remove: Collection[str]
    ) -> bool:
        """Add and remove files as one version, unless there is nothing to do.

        Args:
            change: The last change that this applies; None if the rows stay as they are.
            columns: The columns of the table from now on, with their types. If one that is there gets another type,
                the new files must have all rows, and all files that are there are removed.
            add: The new files.
            remove: The files that they replace.

        Returns:
            Whether that is done. If not, somebody else has committed since `refresh`, and what to do may be different.

        Raises:
            LoadError: The table cannot be changed.
        """
        from deltalake import CommitProperties, Field, Transaction  # noqa: PLC0415
        from deltalake.exceptions import CommitFailedError  # noqa: PLC0415
        from deltalake.schema import PrimitiveType  # noqa: PLC0415

        assert self._table is not None
        before, partitioned = self.columns, self.is_partitioned
        wider = any(delta_type(before[name]) != delta_type(kind) for name, kind in columns.items() if name in before)
        new = [Field(name, PrimitiveType(delta_type(kind))) for name, kind in columns.items() if name not in before]
        if not (add or remove or wider):
            return True
        actions = self._actions(add, () if wider else remove, changes_rows=change is not None)
        told: dict[str, Any] = {}
        if change:
            told["app_transactions"] = [Transaction(self._owner, change.number)]
            told["custom_metadata"] = {_LOAD: change.load_id}
        with self._told():
            if new and not wider:
                self._table.alter.add_columns(new)
            try:
                self._table.create_write_transaction(
                    actions,
                    mode="overwrite" if wider else "append",
                    schema=self._schema(columns, partitioned=partitioned) if wider else self._table.schema(),
                    partition_by=[PARTITION] if partitioned else None,
                    # A second try would not see that somebody else has replaced the same files.
                    commit_properties=CommitProperties(max_commit_retries=0, **told),
                )
            except CommitFailedError:
                return False
        self._sync()
        self.refresh()
        return True

    def _actions(self, add: Iterable[NewFile], remove: Iterable[str], *, changes_rows: bool) -> list[Any]:
        """What a commit says of files."""
        from deltalake.transaction import AddAction, RemoveAction  # noqa: PLC0415

        now = int(time.time() * 1000)
        gone = [file.removeprefix(f"{self.folder}/") for file in remove]
        return [
            *(
                AddAction(f.path, f.size, self._values(f.path), now, changes_rows, json.dumps({"numRecords": f.rows}))
                for f in add
            ),
            *(RemoveAction(path, changes_rows, now, None, self._values(path)) for path in gone),
        ]

    def refresh(self) -> None:
        """Look at what others have committed meanwhile."""
        if self._table is not None:
            with self._told():
                self._table.update_incremental()
            self._check_features(self._table)

    def vacuum(self) -> None:
        """Remove files that no version of the last week has, and those that never came into one."""
        if self._table is not None:
            with self._told():
                self._table.vacuum(dry_run=False, full=True)

    def _schema(self, columns: Mapping[str, str], *, partitioned: bool) -> Any:
        from deltalake import Field, Schema  # noqa: PLC0415
        from deltalake.schema import PrimitiveType  # noqa: PLC0415

        fields = [Field(name, PrimitiveType(delta_type(kind))) for name, kind in columns.items()]
        return Schema([*fields, Field(PARTITION, PrimitiveType("date"))] if partitioned else fields)

    @contextmanager
    def _told(self) -> Iterator[None]:
        """Turn what can go wrong into one line."""
        from deltalake.exceptions import DeltaError  # noqa: PLC0415

        try:
            yield
        except (DeltaError, OSError) as error:
            what = " ".join(_DRAWN.sub("", str(error)).split())
            raise LoadError(
                f"stream {self._stream}: the Delta table {self.address} cannot be read or changed; run "
                f"the load again: {what}"
            ) from error

    def _sync(self) -> None:
        """Have the newest entry of the log written to the disk."""
        if self._place.is_local:
            for entry in sorted((Path(self.address) / "_delta_log").glob("*.json"))[-2:]:
                sync(entry)

    @property
    def _options(self) -> dict[str, str]:
        """Whether a store is spoken to without TLS, as the address in the environment says."""
        endpoint = os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL") or ""
        return {"allow_http": "true"} if endpoint.startswith("http://") else {}

    def _values(self, path: str) -> dict[str, str | None]:
        """The date that a file is for."""
        if not self.is_partitioned:
            return {}
        date = Path(path).parent.name.removeprefix(f"{PARTITION}=")
        return {PARTITION: None if date == _NO_DATE else date}


def missing_files(con: duckdb.DuckDBPyConnection, schema: str, place: Place, lake_id: str) -> list[tuple[str, str]]:
    """The files of a database schema's Delta tables that are not there, each with its stream; only logs are read.

    Args:
        con: The warehouse.
        schema: The database schema.
        place: The lake.
        lake_id: The warehouse's name in the lake.
    """
    streams = con.execute("SELECT stream FROM main._singer_deltas WHERE schema = ? ORDER BY stream", [schema])
    missing = []
    for (stream,) in streams.fetchall():
        folder = delta_folder(schema, stream)
        there = place.find(folder)
        table = Delta(place, folder, owner_in(lake_id), stream)
        wanted = table.files if table.exists else [f"{folder}/_delta_log"]
        missing += [(stream, file) for file in wanted if file not in there]
    return missing
