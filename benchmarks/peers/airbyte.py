"""A source on airbyte-cdk: ``python -m benchmarks.peers.airbyte read --config FILE --catalog FILE``."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from airbyte_cdk.entrypoint import launch
from airbyte_cdk.models import ConnectorSpecification
from airbyte_cdk.sources import AbstractSource
from airbyte_cdk.sources.streams.http import HttpStream

from benchmarks.schema import PAYMENTS

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    import requests


class Payments(HttpStream):  # type: ignore[misc]
    """The list."""

    primary_key = "id"
    name = "payments"

    def __init__(self, url: str) -> None:
        super().__init__()
        self._url = url

    @property
    def url_base(self) -> str:
        return f"{self._url}/"

    def path(self, **_: Any) -> str:
        return "payments"

    def get_json_schema(self) -> Mapping[str, Any]:
        return PAYMENTS

    def request_params(self, next_page_token: Mapping[str, Any] | None = None, **_: Any) -> Mapping[str, Any]:
        return {"page": 1, "limit": 100, **(next_page_token or {})}

    def next_page_token(self, response: requests.Response) -> Mapping[str, Any] | None:
        page = response.json()
        return {"page": page["page"] + 1} if page["has_more"] else None

    def parse_response(self, response: requests.Response, **_: Any) -> Iterable[Mapping[str, Any]]:
        yield from response.json()["data"]


class Source(AbstractSource):  # type: ignore[misc]
    """The source."""

    def check_connection(self, logger: Any, config: Mapping[str, Any]) -> tuple[bool, Any]:
        del logger, config
        return True, None

    def streams(self, config: Mapping[str, Any]) -> list[Payments]:
        return [Payments(config["api_url"])]

    def spec(self, *_: Any) -> ConnectorSpecification:
        url = {"api_url": {"type": "string"}}
        return ConnectorSpecification(connectionSpecification={"type": "object", "properties": url, "required": [*url]})


if __name__ == "__main__":
    launch(Source(), sys.argv[1:])
