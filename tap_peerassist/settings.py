"""The settings of the tap for PeerAssist, and what its streams make of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgspec
from singer_sdk import typing as th

from tap_core.config.checks import is_path
from tap_core.config.guesses import guesses_setting, resolved
from tap_core.config.settings import config_schema
from tap_core.errors import ConfigError
from tap_core.timestamps import zone
from tap_peerassist.client import Pagination
from tap_peerassist.guesses import ENDPOINTS, PAGINATION

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

__all__ = ["CONFIG", "PeerAssistSettings"]

CONFIG: Final = config_schema(
    th.Property(
        "client_key",
        th.StringType,
        required=True,
        secret=True,
        title="API key",
        description="The API key that the vendor issues; its guide also calls it clientKey.",
    ),
    th.Property(
        "username",
        th.StringType,
        required=True,
        secret=True,
        title="User name",
        description="Login of the user whose role decides what can be read; an e-mail address.",
    ),
    th.Property(
        "password", th.StringType, required=True, secret=True, title="Password", description="The user's password."
    ),
    th.Property(
        "source_timezone",
        th.StringType,
        default="UTC",
        title="Source time zone",
        description="Time zone of times that come without an offset, such as America/New_York.",
    ),
    th.Property(
        "fwo_replication_key",
        th.StringType,
        title="Date of change",
        description="Field of a field work order that says when it last changed. Without it, the tap looks for one on "
        "the first page of each run; if there is none, fwos are read as FULL_TABLE.",
    ),
    th.Property(
        "customer_ids",
        th.ArrayType(th.IntegerType),
        default=[],
        title="Customer ids",
        description="Further customers to read, by id: for those that no list, field work order or project names.",
    ),
    guesses_setting(
        "endpoints",
        ENDPOINTS,
        title="Endpoints",
        description="Paths of calls that are not as guessed, by name: auth, fwos, customers (the list), customer (one, "
        "with {id}), projects, employees.",
    ),
    th.Property(
        "pagination",
        th.ObjectType(
            th.Property("page_param", th.StringType, description="Query parameter for the page number."),
            th.Property(
                "size_param", th.StringType, description="Query parameter for the page size; empty to send none."
            ),
            th.Property("sort_param", th.StringType, description="Query parameter for the order; empty to send none."),
            th.Property("sort", th.StringType, description="Its value; empty to send none."),
            th.Property(
                "first_page",
                th.IntegerType(minimum=0, maximum=1),
                description="Number of the first page. Without it, the tap finds out.",
            ),
            th.Property(
                "records",
                th.ArrayType(th.StringType),
                description="Where the rows may be in a response that is not an array.",
            ),
            th.Property("last", th.ArrayType(th.StringType), description="Where a page may say that it is the last."),
            th.Property("total_pages", th.ArrayType(th.StringType), description="Where the number of pages may be."),
            th.Property("total_elements", th.ArrayType(th.StringType), description="Where the number of rows may be."),
            th.Property("page_number", th.ArrayType(th.StringType), description="Where the page number may be."),
            th.Property("unpaged", th.ArrayType(th.StringType), description="Streams whose call has no pages."),
            additional_properties=False,
        ),
        default={},
        title="Pagination",
        description="How paging works where it differs from the guesses. Places in a response are dotted paths; the "
        "first one present counts.",
    ),
    api_url="https://api.mypeerassist.com",
    bounded="They bound `fwos` by its date of change; the other streams are read whole.",
    page_size=100,
)


class PeerAssistSettings:
    """The settings as the streams need them.

    Args:
        config: The settings, defaults included.

    Attributes:
        endpoints: The path of each call.
        pagination: How paging works.
    """

    def __init__(self, config: Mapping[str, Any]) -> None:
        self._config = config
        self.endpoints = resolved(ENDPOINTS, config["endpoints"])
        self.pagination = msgspec.convert(resolved(PAGINATION, config["pagination"]), Pagination)

    def check(self, streams: Collection[str]) -> None:
        """Check what a schema cannot express.

        Args:
            streams: The names of the tap's streams.

        Raises:
            ConfigError: A setting makes no sense.
        """
        try:
            zone(self._config["source_timezone"])
        except ValueError as error:
            raise ConfigError(f"setting 'source_timezone': {error}") from None
        for name, guess in ENDPOINTS.items():
            if not is_path(self.endpoints[name], placeholders=["id"] if "{id}" in guess.value else []):
                raise ConfigError(f"setting 'endpoints.{name}' must be a path without a query, such as {guess.value}")
        for name in self.pagination.unpaged:
            if name not in streams:
                raise ConfigError(f"setting 'pagination.unpaged' names {name!r}; the streams are {', '.join(streams)}")
