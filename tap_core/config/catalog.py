"""The catalog and the stream maps that a user provides: read strictly, because what they leave out is not loaded."""

from __future__ import annotations

import ast
from fnmatch import fnmatch
from typing import TYPE_CHECKING, Any, Literal

import msgspec
from singer_sdk.singerlib import StreamMetadata

from tap_core.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence

    from singer_sdk.singerlib import CatalogEntry

__all__ = ["check_catalog", "check_entry", "check_stream_maps", "removed_columns"]

_NOTHING = (None, "__NULL__")
_WITHOUT_EXPRESSION = {"__alias__", "__source__", "__key_properties__"}
_METHODS = ("FULL_TABLE", "INCREMENTAL")
_AGAIN = "--discover writes a new catalog"

_Kind = Literal["null", "boolean", "integer", "number", "string", "array", "object"]


class _Schema(msgspec.Struct):
    """As much of a JSON schema as is looked into."""

    type: _Kind | list[_Kind] | None = None
    format: str | None = None
    properties: dict[str, _Schema] | None = None
    items: _Schema | None = None
    anyOf: list[_Schema] | None = None  # noqa: N815  JSON Schema's spelling
    oneOf: list[_Schema] | None = None  # noqa: N815
    allOf: list[_Schema] | None = None  # noqa: N815


class _Metadata(msgspec.Struct, rename="kebab"):
    """What the metadata of a stream or of a property may say."""

    selected: bool | None = None
    selected_by_default: bool | None = None
    inclusion: str | None = None
    table_key_properties: list[str] | None = None
    replication_key: str | None = None
    replication_method: str | None = None
    forced_replication_method: str | None = None


class _Item(msgspec.Struct):
    breadcrumb: list[str]
    metadata: _Metadata


class _Entry(msgspec.Struct):
    """A stream of a catalog, as far as anything is made of it."""

    schema: _Schema
    metadata: list[_Item] = []
    key_properties: list[str] | None = None
    replication_key: str | None = None
    replication_method: str | None = None


def check_catalog(catalog: Mapping[str, Any]) -> list[str]:
    """Check the form of a catalog, and let the replication methods in its metadata count.

    Meltano writes its user's choice there, next to the ``replication_method`` that was discovered; the SDK uses the
    latter.

    Args:
        catalog: The catalog; its ``replication_method`` members may be changed.

    Returns:
        The names of the streams in it.

    Raises:
        ConfigError: It is not of the form ``{"streams": [{"tap_stream_id": …, "schema": {…}, "metadata": […]}]}``.
    """
    entries = catalog.get("streams")
    if not isinstance(entries, list):
        raise ConfigError(f"the catalog has no list of 'streams'; {_AGAIN}")
    names = []
    for entry in entries:
        name = entry.get("tap_stream_id") if isinstance(entry, dict) else None
        if not isinstance(name, str):
            raise ConfigError(f"the catalog has a stream without 'tap_stream_id'; {_AGAIN}")
        if (entry.get("stream") or name) != name:
            raise ConfigError(f"the catalog gives stream {name!r} another name; setting 'stream_maps' can do that")
        if not isinstance(entry.get("schema"), dict) or not entry["schema"].get("properties"):
            raise ConfigError(f"the catalog has no 'schema' with properties for stream {name!r}; {_AGAIN}")
        if not _is_metadata(entry.get("metadata", [])):
            raise ConfigError(f"the catalog's 'metadata' of stream {name!r} is not a list of entries; {_AGAIN}")
        try:
            msgspec.convert(entry, _Entry)
        except msgspec.ValidationError as error:
            raise ConfigError(f"the catalog has another form for stream {name!r}: {error}; {_AGAIN}") from None
        for item in entry.get("metadata", []):
            for wish in ("forced-replication-method", "replication-method") if not item["breadcrumb"] else ():
                entry["replication_method"] = item["metadata"].get(wish) or entry.get("replication_method")
        names.append(name)
    return names


def _is_metadata(found: Any) -> bool:
    return isinstance(found, list) and all(
        isinstance(item, dict) and isinstance(item.get("breadcrumb"), list) and isinstance(item.get("metadata"), dict)
        for item in found
    )


def check_entry(entry: CatalogEntry, *, keys: Sequence[str], replication_key: str | None) -> None:
    """Check that a catalog leaves a stream's keys and replication method as they are.

    Args:
        entry: The catalog's entry of the stream.
        keys: The stream's key properties.
        replication_key: Its replication key, if it has one.

    Raises:
        ConfigError: It names other keys, or a replication method that the stream does not have.
    """
    said = entry.metadata.get((), StreamMetadata())
    assert isinstance(said, StreamMetadata)
    for what, found, own in (
        ("key properties", entry.key_properties or said.table_key_properties, list(keys)),
        ("replication key", entry.replication_key or said.replication_key, replication_key),
    ):
        if found and (list(found) if isinstance(own, list) else found) != own:
            raise ConfigError(f"the catalog changes the {what} of stream {entry.tap_stream_id!r}; {_AGAIN}")
    method = entry.replication_method
    if method and (method not in _METHODS or (method == "INCREMENTAL" and replication_key is None)):
        raise ConfigError(
            f"the catalog asks for a replication method that stream {entry.tap_stream_id!r} does not support;"
            f" it supports FULL_TABLE{'' if replication_key is None else ' and INCREMENTAL'}"
        )


def check_stream_maps(maps: Any, streams: Collection[str]) -> None:
    """Check that stream maps name existing streams, and that their expressions can be read.

    Args:
        maps: The setting ``stream_maps``.
        streams: The names of the tap's streams.

    Raises:
        ConfigError: They are not; the message names the stream or the column, not the expression.
    """
    if not isinstance(maps, dict):
        raise ConfigError("setting 'stream_maps' must be of type object")
    for name, found in maps.items():
        if found not in _NOTHING and not isinstance(found, dict):
            raise ConfigError(f"setting 'stream_maps.{name}' must be of type object, or null")
        source = found.get("__source__", name) if isinstance(found, dict) else name
        if not isinstance(source, str):
            raise ConfigError(f"setting 'stream_maps.{name}.__source__' must be of type string")
        if not str(name).startswith("__") and not any(fnmatch(stream, source) for stream in streams):
            raise ConfigError(f"setting 'stream_maps' names {source!r}; the streams are {', '.join(sorted(streams))}")
        for column, expression in found.items() if isinstance(found, dict) else ():
            if column in _WITHOUT_EXPRESSION or expression in _NOTHING:
                continue
            if not _is_expression(expression):
                raise ConfigError(f"setting 'stream_maps.{name}.{column}' is not an expression")


def removed_columns(maps: Mapping[str, Any], streams: Collection[str]) -> Iterator[tuple[str, str, list[str]]]:
    """The columns that stream maps leave out.

    Args:
        maps: The setting ``stream_maps``, checked.
        streams: The names of the tap's streams.

    Yields:
        The place in the setting, the column, and the streams that it is left out of.
    """
    for name, found in maps.items():
        for column, expression in found.items() if isinstance(found, dict) else ():
            if expression in _NOTHING and not column.startswith("__"):
                source = found.get("__source__", name)
                yield f"stream_maps.{name}.{column}", column, [each for each in streams if fnmatch(each, source)]


def _is_expression(text: Any) -> bool:
    """Whether a stream map can evaluate a text: one Python expression, without spaces before it."""
    try:
        return [type(statement) for statement in ast.parse(text).body] == [ast.Expr]
    except (TypeError, SyntaxError, ValueError):
        return False
