"""Everything about the API that is guessed: one table, which the setting ``endpoints`` overrides cell by cell.

The vendor's page hides every path, every method and the fields of every row. It says what the calls are for and what
their requests contain; so purposes and requests are documented, and nothing in this table is.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from tap_core.config.checks import is_path
from tap_core.config.guesses import Guess, Guesses
from tap_core.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["ENDPOINTS", "Endpoint", "endpoints"]


@dataclass(frozen=True, slots=True)
class Endpoint:
    """What is taken for granted about one stream or call.

    Args:
        path: Path of the call below ``api_url``; None for a call that is not made.
        method: Its method.
        rows: The member of the response that holds the rows, where the response is an object with more than one list.
        rename: The API's name of a field -> the column that it belongs to.
        time: The column with the time of a row, which places rows on a window's edge; None if there is
            none.
        key: Columns that identify a row without an id within its window; empty for the whole row.
    """

    path: str | None = None
    method: str = "POST"
    rows: str | None = None
    rename: Mapping[str, str] = field(default_factory=dict)
    time: str | None = None
    key: tuple[str, ...] = ()


def _call(path: str, method: str) -> Guesses:
    return {
        "path": Guess(path, "named like the call's section on the vendor's page"),
        "method": Guess(method, "POST where the page shows a request body, GET where it shows none"),
    }


def _fields(**rename: str) -> Guesses:
    return {"rename": Guess(rename, "ids are named as requests name them, or just id")}


def _list(path: str, **rename: str) -> Guesses:
    rows = Guess(None, "the only list in the response is found automatically")
    return {**_call(path, "POST"), "rows": rows, **_fields(**rename)}


def _rows(path: str, *, time: str | None = None, key: tuple[str, ...] = ()) -> Guesses:
    return {
        **_list(path),
        "time": Guess(time, "sales have a time, counts of people a date at most"),
        "key": Guess(key, "what a count is about; a sale is identified by the whole row"),
    }


ENDPOINTS: Final[Mapping[str, Guesses]] = {
    "version": _call("/version", "GET"),
    "status": _call("/status", "GET"),
    "gateways": _list("/gateways", id="pasarela_id"),
    "services": _fields(id="service_id"),
    "sales": _rows("/sales", time="date_time"),
    "aggregated_sales": _list("/aggregatedsales"),
    "channels": _list("/channels", id="channel_id"),
    "channel_links": _fields(),
    "channel_results": _rows("/channelresults", key=("date", "invitation_link")),
    "channel_sales": _rows("/channelsales", time="date_time"),
}
"""The cells that mean something for each stream; ``version`` and ``status`` are the two calls behind ``server_status``,
and a stream without a path comes with another one."""

_OPTIONAL: Final = frozenset({"version", "status"})


def endpoints(setting: Mapping[str, Mapping[str, Any]]) -> dict[str, Endpoint]:
    """The table with the user's cells in it.

    Raises:
        ConfigError: The setting names something that is not in the table.
    """
    for name, cells in setting.items():
        if name not in ENDPOINTS:
            raise ConfigError(f"setting 'endpoints' names {name!r}; the endpoints are {', '.join(ENDPOINTS)}")
        for cell in cells:
            if cell not in ENDPOINTS[name]:
                raise ConfigError(f"setting 'endpoints.{name}' names {cell!r}; it has {', '.join(ENDPOINTS[name])}")
    return {name: _endpoint(name, guesses, setting.get(name, {})) for name, guesses in ENDPOINTS.items()}


def _endpoint(name: str, guesses: Guesses, given: Mapping[str, Any]) -> Endpoint:
    cells: dict[str, Any] = {cell: guess.value for cell, guess in guesses.items()} | dict(given)
    if "key" in cells:
        cells["key"] = tuple(cells["key"] or ())
    if "rename" in cells:
        cells["rename"] = {**guesses["rename"].value, **(cells["rename"] or {})}
    path = cells.get("path")
    if "path" in guesses and not path and name not in _OPTIONAL:
        raise ConfigError(f"setting 'endpoints.{name}.path' is empty; to leave the stream out, deselect it")
    if path and not is_path(path, query=True):
        raise ConfigError(f"setting 'endpoints.{name}.path' must begin with / and contain no spaces or braces")
    return Endpoint(**cells)
