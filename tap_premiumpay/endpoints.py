"""Everything about the API that is guessed: one table, which the setting ``endpoints`` overrides cell by cell.

The vendor's page folds away every path, every method and the fields of every row. What stands here follows
``contracts/premiumpay``, where each guess says what it is made from.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from tap_core.errors import ConfigError
from tap_core.settings import is_path

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["ENDPOINTS", "Endpoint", "endpoints"]


@dataclass(frozen=True, slots=True)
class Endpoint:
    """The guesses about one stream or call.

    Args:
        path: Path of the call below ``api_url``; None for a call that is not made.
        method: Its method.
        rows: The member of the answer that holds the rows, where the answer is an object with more than one list.
        rename: The API's name of a field -> the column that it belongs to.
        time: The column with the moment of a row, by which rows on a window's edge are told apart; None if there is
            none.
        key: Columns that identify a row without an id within its window; empty for the whole row.
    """

    path: str | None = None
    method: str = "POST"
    rows: str | None = None
    rename: Mapping[str, str] = field(default_factory=dict)
    time: str | None = None
    key: tuple[str, ...] = ()


ENDPOINTS: Mapping[str, Endpoint] = {
    "version": Endpoint("/version", "GET"),
    "status": Endpoint("/status", "GET"),
    "gateways": Endpoint("/gateways", rename={"id": "pasarela_id"}),
    "services": Endpoint(rename={"id": "service_id"}),
    "sales": Endpoint("/sales", time="date_time"),
    "aggregated_sales": Endpoint("/aggregatedsales"),
    "channels": Endpoint("/channels", rename={"id": "channel_id"}),
    "channel_links": Endpoint(),
    "channel_results": Endpoint("/channelresults", key=("date", "invitation_link")),
    "channel_sales": Endpoint("/channelsales", time="date_time"),
}
"""The guesses, by stream; ``version`` and ``status`` are the two calls behind ``server_status``."""

_CALL = ("path", "method")
_LIST = (*_CALL, "rows", "rename")
_ROW = (*_LIST, "time", "key")
_CELLS: Mapping[str, tuple[str, ...]] = {
    "version": _CALL,
    "status": _CALL,
    "gateways": _LIST,
    "services": ("rename",),
    "sales": _ROW,
    "aggregated_sales": _LIST,
    "channels": _LIST,
    "channel_links": ("rename",),
    "channel_results": _ROW,
    "channel_sales": _ROW,
}
"""The cells that mean something for each stream."""

_NEEDED = frozenset(ENDPOINTS) - {"version", "status", "services", "channel_links"}


def endpoints(setting: Mapping[str, Mapping[str, Any]]) -> dict[str, Endpoint]:
    """The table with the user's cells in it.

    Raises:
        ConfigError: The setting names something that is not in the table.
    """
    table = dict(ENDPOINTS)
    for name, cells in setting.items():
        if name not in table:
            raise ConfigError(f"setting 'endpoints' names {name!r}; there are {', '.join(table)}")
        for cell in cells:
            if cell not in _CELLS[name]:
                raise ConfigError(f"setting 'endpoints.{name}' names {cell!r}; there are {', '.join(_CELLS[name])}")
        changed: dict[str, Any] = {
            cell: tuple(value or ()) if cell == "key" else value for cell, value in cells.items()
        }
        if "rename" in changed:
            changed["rename"] = {**table[name].rename, **(changed["rename"] or {})}
        table[name] = replace(table[name], **changed)
        path = table[name].path
        if name in _NEEDED and not path:
            raise ConfigError(f"setting 'endpoints.{name}.path' is empty; to leave the stream out, deselect it")
        if path and not is_path(path, query=True):
            raise ConfigError(f"setting 'endpoints.{name}.path' must begin with / and hold no blanks and braces")
    return table
