"""Personal data leave the tap only as the settings say."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.pegke.conftest import Reader

STREAMS = ("customer_points", "customers", "points_history", "user_history", "store_history", "users", "store_activity")


@pytest.mark.parametrize(("policy", "ids"), [("hash", "mixed"), ("drop", "none")])
def test_x3_no_personal_value_is_emitted(make_pegke: Callable[..., Reader], policy: str, ids: str) -> None:
    pegke = make_pegke(ids=ids, feed_interval_ms=1)
    run = pegke.read(*STREAMS, pii=policy, pii_key="a-key-of-my-own", realtime_max_messages=10)
    assert run.code == 0, run.log
    people = pegke.world.truth("pegke", "customers")
    text = run.output.decode()
    assert not [person for person in people if person["_phone"][3:] in text or (person["email"] or "@@") in text]
    assert len(run.rows("customers")) == len(people)
    for stream in ("points_history", "user_history", "store_history"):
        assert len(run.rows(stream)) == len(pegke.world.truth("pegke", stream))
        assert all(policy == "hash" or not {"cid", "mob"} & row.keys() for row in run.records(stream))


def test_x3_hashes_join_across_streams(pegke: Reader) -> None:
    run = pegke.read("customers", "points_history", pii="hash", pii_key="a-key-of-my-own")
    phones: set[Any] = {row["_phone"] for row in run.records("customers")}
    assert {row["_phone"] for row in run.records("points_history")} < phones
