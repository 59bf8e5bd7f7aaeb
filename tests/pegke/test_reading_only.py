"""A read never writes: everything that goes over the wire in a full run is looked at."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import parse_qsl

import msgspec
import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.pegke.conftest import Reader

ALL = (
    "offers",
    "customer_points",
    "customers",
    "points_history",
    "store_history",
    "user_history",
    "users",
    "store_activity",
    "system_status",
)
READS = {
    ("GET", "/?q=api/pegke_status"): {"q"},
    ("GET", "/apiv1/my_offers"): {"q"},
    ("GET", "/apiv1/check_points"): {"q", "phone"},
    ("POST", "/apiv1/check_history"): {"q", "phone", "page"},
    ("POST", "/v1/oauth2/token"): {"grant_type"},
    ("GET", "/simple-oauth/refresh"): set(),
    ("GET", "/v1/store/history"): {"_format", "page"},
    ("GET", "/v1/user/history"): {"_format", "page", "idType", "mob"},
    ("POST", "/v1/entity/user"): {"_format", "idType", "mob"},
    ("GET", "/v1/realtime/store-activity"): set(),
}
"""All that the tap may send: calls, and the fields that they may have."""


@pytest.mark.parametrize("style", ["query", "path"])
def test_no_request_of_a_full_run_can_change_anything(make_pegke: Callable[..., Reader], style: str) -> None:
    pegke = make_pegke(feed_interval_ms=1)
    pegke.world.fault("pegke", "/v1/user/history", "expire_tokens", after=20)
    run = pegke.read(*ALL, merchant_style=style, realtime_max_messages=20)
    assert run.code == 0, run.log
    assert run.log.count("users: the search call is documented as the call that gives points") == 1
    sent = set()
    for entry in pegke.world.requests("pegke"):
        call = (entry["method"], entry["route"])
        body = entry.get("body", "")
        fields = msgspec.json.decode(body) if body.startswith("{") else dict(parse_qsl(body))
        names = {name for name, _ in parse_qsl(entry["query"])} | set(fields)
        assert names <= READS[call], call
        sent.add(call)
    assert sent == READS.keys()
    assert pegke.world.stats("pegke")["writes"] == []


def test_users_is_off_unless_asked_for(pegke: Reader) -> None:
    streams = {entry["stream"]: entry for entry in pegke.catalog["streams"]}
    off = [
        name
        for name, entry in streams.items()
        if next(item for item in entry["metadata"] if not item["breadcrumb"])["metadata"].get("selected-by-default")
        is False
    ]
    assert sorted(off) == ["store_activity", "users"]
