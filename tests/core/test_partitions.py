"""What a stream remembers of the partitions that it has read."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tap_core.session.partitions import KnownPartitions

names = st.sets(st.text(min_size=1, max_size=8), max_size=60)


def known(identities: set[str], remembered: object = None, key: str = "k") -> KnownPartitions:
    return KnownPartitions(identities, remembered=remembered, key=key)


@given(before=names, joined=names, left=names)
def test_a_partition_that_joins_is_never_taken_for_known(before: set[str], joined: set[str], left: set[str]) -> None:
    now = known((before | joined) - left, known(before).digests())
    assert not any(identity in now for identity in joined - before - left)


def test_the_same_list_is_known_in_any_order() -> None:
    people = {f"mob:+91{number}" for number in range(3_000)}
    now = known(people, known(set(people)).digests())
    assert all(identity in now for identity in people)


def test_a_newcomer_makes_few_others_new() -> None:
    people = {f"mob:+91{number}" for number in range(5_000)}
    now = known(people | {"mob:new"}, known(people).digests())
    assert 0 < sum(identity not in now for identity in people) < 40


@pytest.mark.parametrize("count", [5_000, 50_000])
def test_s14_the_state_stays_small(count: int) -> None:
    digests = known({f"mob:+91{number}" for number in range(count)}).digests()
    assert len(json.dumps(digests)) < 12_000


def test_one_that_could_not_be_read_is_new_next_time() -> None:
    first = known({"a", "b"})
    first.forget("a")
    now = known({"a", "b"}, first.digests())
    assert "a" not in now
    assert "b" in now


@pytest.mark.parametrize("remembered", [None, [], "x", {"1": 2}])
def test_s10_a_state_without_sense_knows_nobody(remembered: object) -> None:
    assert "a" not in known({"a"}, remembered)


def test_x1_the_state_names_nobody_without_the_key() -> None:
    assert known({"a"}).digests() != known({"a"}, key="other").digests()
