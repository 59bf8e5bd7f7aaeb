"""A tap on the stock singer-sdk, as its template makes one: ``python -m benchmarks.peers.singer_tap --config FILE``.

``WRITER=msgspec`` in the environment chooses the SDK's faster writer, which its documentation offers as an extra.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, ClassVar

from singer_sdk import RESTStream, Tap
from singer_sdk import typing as th
from singer_sdk.contrib.msgspec import MsgSpecWriter
from singer_sdk.pagination import BasePageNumberPaginator
from typing_extensions import override

from benchmarks.schema import PAYMENTS

if TYPE_CHECKING:
    from collections.abc import Sequence

    import requests
    from singer_sdk import Stream


class Pages(BasePageNumberPaginator):
    """Pages until one says that there are no more."""

    @override
    def has_more(self, response: requests.Response) -> bool:
        return bool(response.json()["has_more"])


class Payments(RESTStream[int]):
    """The list."""

    name = "payments"
    path = "/payments"
    schema: ClassVar[dict[str, Any]] = PAYMENTS
    primary_keys = ("id",)
    replication_key = "updated"
    records_jsonpath = "$.data[*]"

    @property
    @override
    def url_base(self) -> str:
        return str(self.config["api_url"])

    @override
    def get_new_paginator(self) -> Pages:
        return Pages(start_value=1)

    @override
    def get_url_params(self, context: Any, next_page_token: int | None) -> dict[str, Any]:
        return {"page": next_page_token or 1, "limit": 100}


class TapPayments(Tap):
    """The tap."""

    name = "tap-payments-stock"
    config_jsonschema = th.PropertiesList(th.Property("api_url", th.StringType, required=True)).to_dict()
    if os.environ.get("WRITER") == "msgspec":
        message_writer_class = MsgSpecWriter

    @override
    def discover_streams(self) -> Sequence[Stream]:
        return [Payments(tap=self)]


if __name__ == "__main__":
    TapPayments.cli()
