"""A local API that is never what limits a measurement: ``python -m benchmarks.api --records 20000``.

Its records are rendered once, and each page is a slice of them: a request costs it a few microseconds. A record has 655
bytes, two times, a nested object and an array of objects. The port stands in the first line of the output.

    GET /payments?page=1&limit=100        {"count": 20000, "page": 1, "has_more": true, "data": [{"id": …}, …]}
    GET /by_cursor?cursor=100&limit=100   {"next_cursor": "200", "data": [{"id": …}, …]}; null on the last page
    GET /500/payments?page=1              the same, as if there were 500 records
"""

from __future__ import annotations

import argparse
import asyncio
import random
from array import array
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final, cast
from urllib.parse import parse_qsl

from uvloop import run

if TYPE_CHECKING:
    from collections.abc import Mapping

PAGE: Final = 100
_FIRST: Final = datetime(2024, 1, 1, tzinfo=UTC)
_NAMES: Final = (
    "Ada Lovelace",
    "Grace Hopper",
    "Jos\u00e9 Garc\u00eda",
    "Zo\u00eb M\u00fcller",
    "Alan Turing",
    "Kaito Yamamoto",
)
_CURRENCIES: Final = ("EUR", "USD", "GBP", "SEK", "PLN")
_STATES: Final = ("settled", "settled", "pending", "refunded", "failed")
_CHANNELS: Final = ("web", "app", "pos", "moto")
_COUNTRIES: Final = ("DE", "US", "GB", "SE", "PL")


def record(number: int, dice: int) -> bytes:
    """One payment; ``dice`` are 40 random bits."""
    updated = _FIRST + timedelta(seconds=30 * number)
    created = updated - timedelta(seconds=60 + number * 7919 % 86400)
    channel = _CHANNELS[dice % 4]
    text = "null" if dice % 10 == 0 else rf'"Payment for order {number}, thank you \"{channel}\""'
    items = ",".join(
        f'{{"sku":"SKU-{(dice >> 5 * place) % 99991:05}","description":"Line item {place + 1}",'
        f'"quantity":{1 + (dice >> place) % 5},"unit_price":{(dice >> 7 * place) % 1_000_000 / 100:.2f}}}'
        for place in range(1 + dice % 3)
    )
    return (
        f'{{"id":"pay_{number:012x}","object":"payment","created":"{_iso(created)}","updated":"{_iso(updated)}",'
        f'"amount":{dice % 10_000_000 / 100:.2f},"fee":{dice % 1000 / 100:.2f},"currency":"{_CURRENCIES[dice % 5]}",'
        f'"status":"{_STATES[(dice >> 3) % 5]}","captured":{"true" if dice & 1 else "false"},"attempts":{1 + dice % 3},'
        f'"reference":"INV-{number:08}","description":{text},"customer":{{"id":"cus_{dice % 50_000:08x}",'
        f'"name":"{_NAMES[dice % 6]}","email":"user{dice % 50_000}@example.com","country":"{_COUNTRIES[dice % 5]}"}},'
        f'"line_items":[{items}],"metadata":{{"order_id":"ord_{dice % 9_999_999_999:010}","channel":"{channel}",'
        f'"ip":"10.{dice % 256}.{(dice >> 8) % 256}.{(dice >> 16) % 256}"}}}}'
    ).encode()


def _iso(moment: datetime) -> str:
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


class Records:
    """All records, side by side."""

    def __init__(self, number: int) -> None:
        dice = random.Random(7)
        text, self._ends = bytearray(), array("Q", [0])
        for each in range(number):
            text += record(each, dice.getrandbits(40)) + b","
            self._ends.append(len(text))
        self._text = memoryview(text)
        self._number = number

    def response(self, path: str, query: Mapping[str, str]) -> bytes:
        """A response."""
        *shortened, name = path.strip("/").split("/")
        count = min(int(shortened[0]), self._number) if shortened else self._number
        limit = int(query.get("limit", PAGE))
        if name == "by_cursor":
            first = int(query.get("cursor") or 0)
            head = b'"next_cursor":%s' % (b'"%d"' % (first + limit) if first + limit < count else b"null")
        else:
            page = int(query.get("page", 1))
            first = (page - 1) * limit
            more = b"true" if first + limit < count else b"false"
            head = b'"object":"list","count":%d,"page":%d,"limit":%d,"has_more":%s' % (count, page, limit, more)
        end = min(count, first + limit)
        rows = self._text[self._ends[first] : self._ends[end] - 1] if end > first else b""
        body = b'{%s,"data":[%s]}' % (head, rows)
        return b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)


class Connection(asyncio.Protocol):
    """A kept-alive connection without pipelining."""

    def __init__(self, records: Records, latency_s: float) -> None:
        self._records = records
        self._latency_s = latency_s
        self._transport: asyncio.WriteTransport | None = None
        self._received = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.WriteTransport", transport)

    def connection_lost(self, exc: Exception | None) -> None:
        del exc
        self._transport = None

    def data_received(self, data: bytes) -> None:
        self._received += data
        if not self._received.endswith(b"\r\n\r\n"):
            return
        target = self._received.split(b" ", 2)[1].decode()
        self._received = b""
        path, _, query = target.partition("?")
        response = self._records.response(path, dict(parse_qsl(query)))
        if self._latency_s:
            asyncio.get_running_loop().call_later(self._latency_s, self._answer, response)
        else:
            self._answer(response)

    def _answer(self, response: bytes) -> None:
        if self._transport is not None:
            self._transport.write(response)


async def serve(records: Records, latency_s: float) -> None:
    """Answer until the process is ended."""
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Connection(records, latency_s), "127.0.0.1", 0, backlog=512)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--records", type=int, default=20_000)
    parser.add_argument("--latency-ms", type=float, default=0)
    options = parser.parse_args()
    run(serve(Records(options.records), options.latency_ms / 1000))
