"""What the nights have found, made small: the acts as Hypothesis prints them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.nights.machine import Nights


def test_s18_a_run_that_is_refused_leaves_no_state_that_a_rename_would_meet(begin: Callable[..., Nights]) -> None:
    begin("peerassist").rename_the_pipeline(told=False)


@pytest.mark.parametrize("lake", [False, True], ids=["tables", "lake"])
def test_s17_a_lake_where_there_are_tables_is_told_as_that(begin: Callable[..., Nights], *, lake: bool) -> None:
    begin("peerassist", lake=lake).mix_storages(days=0)
