"""What the fault suite promises holds for the sources, too; `FACE=airbyte` runs the whole of it over them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.faults.conftest import make_shop
from tests.faults.vendors import VENDORS

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.faults.shop import Shop

__all__ = ["make_shop"]

PASSING = [
    ("status", {"status": 429, "retry_after": 30}),
    ("status", {"status": 503}),
    ("reset_body", {}),
    ("short_body", {}),
    ("cut_json", {}),
    ("html", {}),
    ("empty_body", {}),
]


@pytest.fixture
def shop(make_shop: Callable[..., Shop], request: pytest.FixtureRequest) -> Shop:
    made: Shop = make_shop(request.param)
    made.face = "airbyte"
    return made


of_all = pytest.mark.parametrize("shop", VENDORS, indirect=True)


@of_all
def test_passing_faults_lose_nothing(shop: Shop) -> None:
    for number, (kind, details) in enumerate(PASSING):
        shop.fault(kind, "*", after=2 * number + 1, **details)
    run = shop.read()
    assert sum(shop.fired) >= 4
    shop.assert_exact(run)
    shop.assert_silent(run)
    assert shop.synced
    assert {status[-1] for status in shop.synced.statuses.values()} == {"COMPLETE"}


@of_all
def test_a_lasting_fault_fails_its_stream_and_the_next_sync_makes_up_for_it(shop: Shop) -> None:
    shop.fault("status", status=500, times=None, after=2)
    run = shop.read(retry_max_s=2)
    shop.assert_stopped(run, says="500")
    assert shop.synced
    told = {error["stream_descriptor"]["name"]: error for error in shop.synced.errors_told}
    assert told[shop.vendor.main]["failure_type"] == "transient_error"
    ends = {stream: status[-1] for stream, status in shop.synced.statuses.items()}
    assert {stream for stream, end in ends.items() if end == "INCOMPLETE"} == set(told)
    assert "COMPLETE" in ends.values()
    shop.assert_made_up_for(run)


@of_all
def test_refused_credentials_are_the_users_to_mend(shop: Shop) -> None:
    """And no stream is left without an end."""
    shop.fault("unauthorized", "*", times=None)
    run = shop.read(retry_max_s=2)
    assert run.code == 3, run.log
    assert shop.synced
    assert {error["failure_type"] for error in shop.synced.errors_told} == {"config_error"}
    assert {tuple(status) for status in shop.synced.statuses.values()} == {("STARTED", "INCOMPLETE")}
    assert shop.synced.records == {}
    shop.assert_silent(run)


@of_all
@pytest.mark.parametrize("fault", [{"status": 400}, {"status": 401}])
def test_no_message_shows_a_secret(shop: Shop, fault: dict[str, Any]) -> None:
    body = {"status": "ko", "message": " ".join(shop.secrets), "error": shop.secrets}
    shop.fault("status", "*", times=None, body=body, **fault)
    run = shop.read(retry_max_s=0, level=10)
    assert run.code in {3, 4}, run.log
    assert run.log.strip()
    shop.assert_silent(run)
