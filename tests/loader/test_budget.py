"""How many Python functions a block of records costs: a slow line in the path of every record shows here."""

from __future__ import annotations

import pytest

from benchmarks.api import record
from benchmarks.schema import PAYMENTS
from target_duckhouse.input.exact_lines import ExactLines
from target_duckhouse.warehouse.evolve import declared_columns
from tests.calls import counted

MOST = 20
"""Calls from a block of lines to what goes to the spool files: a few for each column of times or JSON."""


def read(lines: ExactLines, rows: int, *, bare: bool) -> list[str]:
    """What is called for a block of records."""
    found = [record(number, number * 7919) for number in range(rows)]
    if bare:
        block = b"\n".join(found) + b"\n"
        with counted() as calls:
            assert lines.read_bare(block)
    else:
        block = b"".join(b'{"type":"RECORD","stream":"payments","record":%s}\n' % each for each in found)
        with counted() as calls:
            assert lines.read(block, rows)
    return calls


@pytest.mark.parametrize("bare", [False, True], ids=["RECORD", "BATCH"])
def test_a_block_costs_a_few_calls_however_many_records_it_has(*, bare: bool) -> None:
    lines = ExactLines("payments", declared_columns(PAYMENTS, ["id"]), None)
    for _ in range(2):  # which columns need texts is found out, and a decoder compiled for it
        read(lines, 1, bare=bare)
    few, many = read(lines, 20, bare=bare), read(lines, 300, bare=bare)
    assert few == many, "something is called for each record"
    assert len(many) <= MOST, "\n".join(many)
