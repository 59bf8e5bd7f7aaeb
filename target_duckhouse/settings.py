"""The loader's settings: names, types, defaults and meanings in one place, read from files or the environment."""

from __future__ import annotations

import contextlib
import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, get_args, get_origin, get_type_hints

import msgspec
from msgspec import Meta

from target_duckhouse.errors import SettingsError
from target_duckhouse.names import fold

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["ENV_PREFIX", "Settings", "describe", "read_settings"]

ENV_PREFIX = "TARGET_DUCKHOUSE_"

_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+:|:memory:")
"""How an address begins that a database or a file system elsewhere would understand."""

_BUCKET = re.compile(r"s3://[a-z0-9][a-z0-9.-]+(/(?!\.\.?(/|$))[^/?#@:]+)*/?")
"""The address of a folder in a bucket, which holds neither options nor credentials."""

_ODD = re.compile(r"[\\\x00-\x1f]")
"""What DuckDB or deltalake take for something else in a path."""

_BUCKETS = ", and s3://bucket/folder, without credentials or options"
_PYTHON_MB = 96
_Text = Annotated[str, Meta(min_length=1)]
_Contract = Literal["evolve", "fail"]


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """What a user can set. Every setting is optional."""

    path: Annotated[
        _Text,
        Meta(examples=["data/warehouse.duckdb"], description="DuckDB file to load into; created if it does not exist."),
    ] = "warehouse.duckdb"
    schema: Annotated[
        _Text, Meta(examples=["peakium"], description="Database schema of the tables; created if it does not exist.")
    ] = "main"
    state_id: Annotated[
        _Text | None,
        Meta(
            examples=["prod:tap-peakium"],
            description="Name under which the state is stored beside the rows. Default: the name of the schema.",
        ),
    ] = None
    shared: Annotated[
        bool,
        Meta(
            examples=[True],
            description="Whether other pipelines, each with a `state_id` of its own, fill the same tables. Then rows "
            "are merged on their key or appended, and none are removed, neither by ACTIVATE_VERSION nor in date "
            "windows.",
        ),
    ] = False
    accept_unknown_state: Annotated[
        bool,
        Meta(
            examples=[True],
            description="Whether to load what a tap sends even if it goes on from a state that this warehouse does not "
            "know, so that older rows are missing.",
        ),
    ] = False
    batch_rows: Annotated[
        Annotated[int, Meta(ge=1, le=1_000_000)],
        Meta(
            examples=[50_000],
            description="Rows of one stream that are merged at a time. The first STATE after this many is committed.",
        ),
    ] = 100_000
    batch_bytes: Annotated[
        Annotated[int, Meta(ge=1)],
        Meta(
            examples=[67_108_864],
            description="The same limit in bytes of the records; lower if `memory_limit_mb` is low.",
        ),
    ] = 128 * 1024 * 1024
    flush_interval_s: Annotated[
        Annotated[float, Meta(ge=0)],
        Meta(
            examples=[30], description="Seconds after which the next STATE is committed, however few rows have arrived."
        ),
    ] = 10.0
    lock_timeout_s: Annotated[
        Annotated[float, Meta(ge=0)],
        Meta(
            examples=[600],
            description="Seconds to wait, each time, while another process holds the DuckDB file, or loads under the "
            "same `state_id`.",
        ),
    ] = 300.0
    memory_limit_mb: Annotated[
        Annotated[int, Meta(ge=256)],
        Meta(examples=[1024], description="Memory that the whole process may use, including DuckDB, in MB."),
    ] = 512
    hard_delete: Annotated[
        bool,
        Meta(
            examples=[False],
            description="Whether rows that are gone are removed: those of older versions, and those that did not come "
            "though their window or scope was read again. Otherwise they stay, with the time in `_sdc_deleted_at`. A "
            "lake hides them in any case.",
        ),
    ] = True

    add_record_metadata: Annotated[
        bool,
        Meta(
            examples=[False],
            description="Whether tables get columns that tell when a row was extracted, when it was last inserted, "
            "changed or marked here, and when it was found to be gone: `_sdc_extracted_at`, `_sdc_batched_at` and "
            "`_sdc_deleted_at`. Tables that have them keep them up to date in any case.",
        ),
    ] = True
    history: Annotated[
        bool | list[_Text],
        Meta(
            examples=[["invoices"]],
            description="Streams of which every version of each row is kept, in a table `<stream>__history`: a list, "
            "or true for all that have a key. A lake keeps none.",
        ),
    ] = False
    on_bad_record: Annotated[
        Literal["stop", "reject"],
        Meta(
            examples=["reject"],
            description="What to do with a record that its schema does not allow: stop the load, or put the record and "
            "the reason into the table `<stream>__rejected` and continue.",
        ),
    ] = "stop"
    schema_changes: Annotated[
        _Contract | dict[str, _Contract],
        Meta(
            examples=["fail"],
            description="What to do if a stream needs a new column, or a wider one, in a table that exists: add it "
            "(evolve), or stop the load (fail). An object says it for single streams, and for all others under `*`.",
        ),
    ] = "evolve"
    replace_windows: Annotated[
        bool | None,
        Meta(
            examples=[True],
            description="Whether a date window that is read again replaces its old rows: true in all streams that have "
            "`_window_start`, false in none. Default: in those whose schema marks it with `x-partition`. Only rows of "
            "the same partition are replaced if the mark names any.",
        ),
    ] = None
    resume_state: Annotated[
        bool,
        Meta(
            examples=[True],
            description="Whether runs resume from the loader's own state (`target-duckhouse state`). If so, the last "
            "committed STATE is printed at the start, and rows after the last STATE of an input are left to the next "
            "run if loading them twice would duplicate them.",
        ),
    ] = False

    lake_path: Annotated[
        _Text | None,
        Meta(
            examples=["data/lake"],
            description="Folder of a lake, here or in a bucket (`s3://bucket/folder`, which needs the extra `s3`). "
            "If set, rows go to files there, and `path` holds state and views.",
        ),
    ] = None
    table_format: Annotated[
        Literal["parquet", "delta"],
        Meta(
            examples=["delta"],
            description="What a lake is made of: Parquet files with all versions of rows (parquet), or Delta tables "
            "with the rows as they are now (delta; needs the extra `delta`).",
        ),
    ] = "parquet"
    lake_partition_by: Annotated[
        _Text | None,
        Meta(
            examples=["created"],
            description="A date or date-time property. Streams that have it are partitioned by its date; the others by "
            "`_window_start`, if they have that.",
        ),
    ] = None

    def keeps_history(self, stream: str) -> bool:
        """Whether every version of a stream's rows is to be kept."""
        if isinstance(self.history, bool):
            return self.history
        return fold(stream) in map(fold, self.history)

    def allows_changes(self, stream: str) -> bool:
        """Whether the table of a stream may get other columns than it has."""
        if isinstance(self.schema_changes, str):
            return self.schema_changes == "evolve"
        told = {fold(name): contract for name, contract in self.schema_changes.items()}
        return told.get(fold(stream), told.get("*", "evolve")) == "evolve"

    @property
    def lake_address(self) -> str:
        """Where the lake is, whatever folder the process is in; empty if there is none."""
        path = self.lake_path or ""
        return path if not path or _BUCKET.fullmatch(path) else str(Path(path).absolute())

    @property
    def duckdb_memory_mb(self) -> int:
        """What DuckDB may use. The rest is for Python, and for the texts of rows, which DuckDB does not count."""
        return (self.memory_limit_mb - _PYTHON_MB) * 7 // 10

    @property
    def max_line(self) -> int:
        """Longest line that is read, in bytes: a longer one would not fit into memory."""
        return min(64, self.memory_limit_mb // 8) * 1024 * 1024


_TYPES: dict[str, Any] = get_type_hints(Settings, include_extras=True)
_STRUCTURED = frozenset({"history", "schema_changes"})
_LONGEST_NAME = 100
"""Of a setting that is unknown, for it may be anything."""


def read_settings(files: list[str], environ: Mapping[str, str] = os.environ) -> Settings:
    """Read settings from JSON files; the word ``ENV`` among them means the environment.

    Without any file, only the environment is read. Later sources override earlier ones.

    Raises:
        SettingsError: A file cannot be read, or a setting is unknown or has an invalid value.
    """
    values: dict[str, Any] = {}
    for source in files or ["ENV"]:
        values |= _from_environment(environ) if source == "ENV" else _from_file(source)
    if values.get("lake_path") and values.get("history"):
        raise SettingsError("setting `history`: a lake (`lake_path`) keeps none; leave one of the two out")
    return Settings(**values)


def _from_file(name: str) -> dict[str, Any]:
    # What is given is not repeated: it may be the settings themselves, with their secrets.
    try:
        content = msgspec.json.decode(Path(name).read_bytes())
    except OSError as error:
        raise SettingsError(
            f"--config must name a file of JSON, and what is given cannot be read as one: {error.strerror}"
        ) from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise SettingsError("the file of --config is not valid JSON") from None
    if not isinstance(content, dict):
        raise SettingsError("the file of --config must hold one JSON object")
    # Meltano hands on numbers of its environment as text.
    return {
        key: _convert(key, value, strict=not isinstance(value, str))
        for key, value in content.items()
        if value is not None
    }


def _from_environment(environ: Mapping[str, str]) -> dict[str, Any]:
    return {
        name: _convert(name, environ[variable], strict=False)
        for name in _TYPES
        if environ.get(variable := ENV_PREFIX + name.upper())
    }


def _convert(name: str, value: object, *, strict: bool) -> Any:
    if name not in _TYPES:
        raise SettingsError(
            f"setting `{name[:_LONGEST_NAME]}` is unknown; `target-duckhouse --about` lists the settings"
        )
    try:
        if isinstance(value, str):
            value.encode()
        converted = msgspec.convert(_structured(name, value), _TYPES[name], strict=strict)
    except UnicodeEncodeError:
        raise SettingsError(f"setting `{name}`: it holds bytes that are not UTF-8 text") from None
    except msgspec.ValidationError as error:
        raise SettingsError(f"setting `{name}`: {_complaint(name, error)}") from None
    if why := _misfit(name, converted):
        raise SettingsError(f"setting `{name}`: {why}")
    return converted


def _structured(name: str, value: object) -> object:
    """A list or an object that is given as text, as it is in the environment."""
    if name in _STRUCTURED and isinstance(value, str) and value.lstrip()[:1] in {"[", "{"}:
        with contextlib.suppress(msgspec.DecodeError, RecursionError):
            return msgspec.json.decode(value)
    return value


def _complaint(name: str, error: msgspec.ValidationError) -> str:
    """Why a value is not of the right type. Of several choices, `msgspec` would repeat the one that was given."""
    kind = get_args(_TYPES[name])[0]
    if get_origin(kind) is Literal:
        return f"it must be one of {', '.join(get_args(kind))}"
    if name == "history":
        return "it must be true, false, or a list of streams"
    if name == "schema_changes":
        return "it must be evolve or fail, or an object with one of them for each stream"
    return str(error)


def _misfit(name: str, value: Any) -> str | None:
    """Why a value of the right type cannot be used. The value is not shown, because an address may hold a password."""
    match name:
        case "lake_path" if _ODD.search(value):
            return "a lake cannot be in a folder whose path has a backslash or a control character"
        case "lake_path" if _BUCKET.fullmatch(value):
            return None
        case "path" | "lake_path" if scheme := _SCHEME.match(value):
            return (
                f"this is an address ({scheme[0]}…), and only paths on this machine can be loaded into"
                f"{_BUCKETS if name == 'lake_path' else ''}; a file of that name would be ./{scheme[0]}…"
            )
        case "path" if "?" in value:
            return "DuckDB cannot open a file whose path has a question mark"
        case "schema" if value.lower().startswith("_lake_") or value.lower() in {"information_schema", "pg_catalog"}:
            return f"{value} is a schema of the loader's own, or of DuckDB's; choose another"
    return None


def describe() -> list[dict[str, Any]]:
    """All settings as plain data: name, environment variable, description, default, example and JSON schema."""
    schema: dict[str, Any] = msgspec.json.schema(Settings)["$defs"]["Settings"]["properties"]
    return [
        {
            "name": name,
            "env": ENV_PREFIX + name.upper(),
            "description": entry.pop("description", ""),
            "default": entry.pop("default", None),
            "example": entry.pop("examples")[0],
            "schema": entry,
        }
        for name, entry in schema.items()
    ]
