"""What a stream loses part by part is named, and what nothing can help ends it."""

from __future__ import annotations

import pytest

from tap_core.errors import ApiError, AuthError, TapError, ThrottledError, TransientError, UnreachableError
from tap_core.session.losses import NAMED, Losses


def losses() -> tuple[Losses, list[str]]:
    told: list[str] = []
    return Losses("tours", told.append, "; exclude them"), told


def test_p9_a_part_is_named_when_it_is_lost_and_at_the_end() -> None:
    kept, told = losses()
    assert not kept
    assert kept.failure() is None
    kept.read()
    for part in ("tour 1", "tour 2", "tour 1"):
        kept.lose(part, ApiError("tours: GET /tours: 400 Bad Request"))
    assert kept
    assert told == [f"tours: tour {n} is left out, the rest is read: GET /tours: 400 Bad Request" for n in (1, 2)]
    assert str(kept.failure()) == "tours: everything was read except tour 1; tour 2; exclude them"


def test_a_stream_of_which_no_part_was_read_fails_for_the_reason() -> None:
    kept, _ = losses()
    kept.lose("connection a", AuthError("refused"))
    kept.lose("connection b", first := ApiError("first"))
    kept.lose("connection c", ApiError("second"))
    assert kept.failure() is first


def test_many_parts_are_counted_at_the_end() -> None:
    kept, told = losses()
    kept.read()
    for number in range(NAMED + 3):
        kept.lose(f"tour {number}", ApiError("no"))
    assert len(told) == NAMED + 3
    assert str(kept.failure()).endswith(f"tour {NAMED - 1}; and 3 more; exclude them")


@pytest.mark.parametrize("error", [UnreachableError("no host"), ThrottledError("an hour is too long")])
def test_what_would_fail_every_part_is_no_loss(error: TapError) -> None:
    kept, told = losses()
    with pytest.raises(type(error)):
        kept.lose("tour 1", error)
    assert not kept
    assert told == []


def test_two_parts_in_a_row_that_fail_after_all_tries_end_the_stream() -> None:
    kept, _ = losses()
    kept.lose("tour 1", TransientError("500"))
    assert kept.hopeless("tour 1")
    assert not kept.hopeless("tour 2")
    kept.read()
    kept.lose("tour 2", TransientError("500"))
    with pytest.raises(TransientError):
        kept.lose("tour 3", TransientError("500"))


def test_what_another_stream_lost_is_lost_without_a_second_word() -> None:
    theirs, _ = losses()
    theirs.lose("connection a", AuthError("refused"))
    ours, told = losses()
    ours.read()
    ours.inherit(theirs)
    assert told == []
    assert "connection a" in str(ours.failure())
