"""Everything about the API that is guessed: one table, which the setting ``endpoints`` overrides cell by cell.

The vendor's page folds away every path, every method and the fields of every row. What stands here follows
``contracts/premiumpay``, where each guess says what it is made from.
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields, replace
from typing import TYPE_CHECKING, Any

from tap_core.errors import ConfigError

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
        known = {cell.name for cell in fields(Endpoint)}
        for cell in cells:
            if cell not in known:
                raise ConfigError(f"setting 'endpoints.{name}' names {cell!r}; there are {', '.join(sorted(known))}")
        changed: dict[str, Any] = {
            cell: tuple(value or ()) if cell == "key" else value for cell, value in cells.items()
        }
        if "rename" in changed:
            changed["rename"] = {**table[name].rename, **(changed["rename"] or {})}
        table[name] = replace(table[name], **changed)
        if name in _NEEDED and not table[name].path:
            raise ConfigError(f"setting 'endpoints.{name}.path' is empty; to leave the stream out, deselect it")
    return table
