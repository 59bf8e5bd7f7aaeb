"""Every leaf that a vendor sends lands: what goes over the wire, against what the tap writes.

Nothing here knows a schema, a transform or the sandbox's truth. A recorder stands between tap and API and keeps the
rows of all answers. Each row must turn up in the tap's records with all its values, as they are or as the time that
they stand for. What need not is listed with the reason.
"""

from __future__ import annotations

import http.client
import json
import os
import re
import select
import socket
import struct
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from http.server import BaseHTTPRequestHandler
from itertools import chain
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

import pytest
from typing_extensions import override

from tap_core.testing import Account, run_tap
from tap_peakium.tap import TapPeakium
from tap_peek.tap import TapPeek
from tap_peerassist.tap import TapPeerAssist
from tap_pegke.tap import TapPegke
from tap_premiumpay.tap import TapPremiumpay

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from merchant_sandbox.client import World
    from tap_core.tap import CoreTap

TAPS: dict[str, type[CoreTap]] = {
    "peakium": TapPeakium,
    "premiumpay": TapPremiumpay,
    "peerassist": TapPeerAssist,
    "pegke": TapPegke,
    "peek": TapPeek,
}
SIZE = os.environ.get("WORLD_SIZE", "small")
"""The size of the worlds; `make soak` sets it."""

TICKS = [5] if SIZE == "small" else [0, 3]
"""How many days pass before the run."""

ZONES = (UTC, ZoneInfo("Europe/Madrid"))
NOT_DATA: dict[str, dict[str, str]] = {
    "peakium": {
        r"(.*\.)?object": "the type of an object, which its place tells",
        r"~.*|.*\.count": "how many rows a list has",
    },
    "peerassist": {r"~.*": "where a page stands among others", r"token.*": "a token"},
    "premiumpay": {},
    "pegke": {r"~.*": "where a page stands among others", r"(access|refresh)_token|token_type|expires_in": "a token"},
    "peek": {},
}
"""What need not land, by its place, and why."""
SCATTERED = {"pegke": r".*/"}
"""Calls whose answer becomes several records: their values land each by itself."""
ACTIVITIES = 50
"""How many messages of a feed are looked at; those behind them may come when the tap has left."""
SETTINGS: dict[str, dict[str, Any]] = {
    "pegke": {"realtime_max_messages": 2 * ACTIVITIES},
    "peek": {"enable_streams": []},
}
EARLIEST = 946_684_800
"""2000-01-01: smaller numbers are no times."""

Leaf = tuple[str, Any]


@dataclass
class Wire:
    """What came over the wire: the path of a request, and the JSON of its answer."""

    bodies: list[tuple[str, Any]] = field(default_factory=list)


def recorder(origin: str, wire: Wire) -> type[BaseHTTPRequestHandler]:
    """A handler that passes everything on to an API, and keeps what comes back."""
    host = urlsplit(origin).netloc

    class Recorder(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        @override
        def log_message(self, format: str, *args: Any) -> None:
            pass

        def do_GET(self) -> None:
            if self.headers.get("Upgrade"):
                self.upgrade()
                return
            length = int(self.headers.get("Content-Length") or 0)
            upstream = http.client.HTTPConnection(host)
            headers = {**self.headers, "Host": host, "Accept-Encoding": "identity"}
            upstream.request(self.command, self.path, self.rfile.read(length), headers)
            answer = upstream.getresponse()
            body = answer.read()
            upstream.close()
            if answer.status < http.client.BAD_REQUEST and body.strip():
                wire.bodies.append((self.path, json.loads(body, parse_float=Decimal)))
            self.send_response(answer.status)
            for name, value in answer.getheaders():
                if name.lower() not in {"content-length", "transfer-encoding", "connection"}:
                    self.send_header(name, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_POST = do_GET  # noqa: N815

        def upgrade(self) -> None:
            del self.headers["Sec-WebSocket-Extensions"]  # nothing is compressed then
            said = conversation(self.connection, f"{self.requestline}\r\n{self.headers}", origin)
            wire.bodies += [(self.path, frame) for frame in list(frames(said))[:ACTIVITIES]]
            self.close_connection = True

    return Recorder


def conversation(client: socket.socket, head: str, origin: str) -> bytes:
    """Pass a WebSocket on until one side ends it; what the server has said after its head."""
    server_at = urlsplit(origin)
    with socket.create_connection((server_at.hostname, server_at.port)) as server:
        server.sendall(re.sub(r"\r?\n", "\r\n", head).encode())
        said, other = bytearray(), {server: client, client: server}
        while True:
            for side in select.select([*other], [], [])[0]:
                if not (data := side.recv(65536)):
                    return bytes(said).partition(b"\r\n\r\n")[2]
                other[side].sendall(data)
                said += data if side is server else b""


def frames(stream: bytes) -> Iterator[Any]:
    """The JSON in the text frames that a server sends, each of them whole (RFC 6455, 5.2)."""
    while len(stream) > 10:
        kind, length, begin = stream[0] & 0x0F, stream[1], 2
        if length > 125:
            form, begin = (">H", 4) if length == 126 else (">Q", 10)
            (length,) = struct.unpack(form, stream[2:begin])
        if kind == 1 and len(stream) >= begin + length:
            yield json.loads(stream[begin : begin + length], parse_float=Decimal)
        stream = stream[begin + length :]


def rows_of(body: Any, path: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """The rows in an answer: the objects of the lists nearest to its top, or the answer itself."""
    if isinstance(body, list):
        for item in body:
            if isinstance(item, dict):
                yield path, item
        return
    lists = {name: value for name, value in body.items() if isinstance(value, list) and is_rows(value)}
    if not lists:
        yield path, body
        return
    for name, value in lists.items():
        yield from rows_of(value, f"{path}{name}")
    if rest := {f"~{name}": value for name, value in body.items() if name not in lists}:
        yield path, rest


def is_rows(value: Sequence[Any]) -> bool:
    return not value or isinstance(value[0], dict)


def leaves(value: Any, path: str = "") -> Iterator[Leaf]:
    if isinstance(value, dict):
        for name, member in value.items():
            yield from leaves(member, f"{path}.{name}" if path else name)
    elif isinstance(value, list):
        for item in value:
            yield from leaves(item, f"{path}[]")
    elif value is not None and value != "":
        yield path, value


def plain(value: Any) -> str:
    """A scalar as a text that does not depend on how it is written."""
    if isinstance(value, bool):
        return str(value)
    try:
        return str(Decimal(str(value)).normalize()) if re.fullmatch(r"-?\d+(\.\d+)?", str(value)) else str(value)
    except InvalidOperation:
        return str(value)


def instants(value: Any) -> Iterator[str]:
    """The times that a value may stand for."""
    if isinstance(value, bool):
        return
    if re.fullmatch(r"\d{9,13}(\.\d+)?", text := str(value)):
        for scale in (1, 1000):
            if (seconds := float(text) / scale) >= EARLIEST:
                yield datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds")
        return
    if browser := re.fullmatch(r"\w{3} (\w{3} \d\d \d{4} [\d:]{8} GMT[+-]\d{4}) \(.*\)", text):
        text = datetime.strptime(browser[1], "%b %d %Y %H:%M:%S GMT%z").isoformat()
    for reading in (datetime.fromisoformat, lambda text: datetime.strptime(text, "%d/%m/%Y %H:%M:%S")):  # noqa: DTZ007
        try:
            found = reading(text)
        except ValueError:
            continue
        for zone in ZONES if found.tzinfo is None else (found.tzinfo,):
            yield found.replace(tzinfo=zone).astimezone(UTC).isoformat(timespec="milliseconds")


def forms_of(value: Any) -> set[str]:
    """What a value says: itself, or an instant."""
    return {plain(value), *instants(value)}


@pytest.mark.parametrize("ticks", TICKS)
@pytest.mark.parametrize("vendor", TAPS)
def test_c11_every_leaf_that_is_sent_lands(
    vendor: str, ticks: int, make_world: Callable[..., World], serve: Callable[[type[BaseHTTPRequestHandler]], str]
) -> None:
    wire, world = Wire(), make_world(size=SIZE, switches={"premiumpay": {"rate_limit": 0, "extra_fields": True}})
    world.tick(ticks)
    api = world.config(vendor)
    recorded = serve(recorder(api["api_url"], wire))
    own = {"mask_secrets": False, "enable_streams": [kind.name for kind in TAPS[vendor].stream_types]}
    text = json.dumps({**api, **own, **SETTINGS.get(vendor, {})})
    config = json.loads(text.replace(urlsplit(api["api_url"]).netloc, urlsplit(recorded).netloc))
    run = run_tap(TAPS[vendor], Account(config, world.env(vendor)))
    assert run.code == 0, run.log
    messages = [json.loads(line, parse_float=Decimal) for line in run.output.splitlines()]
    landed = [
        Counter(form for _, value in leaves(message["record"]) for form in forms_of(value))
        for message in messages
        if message["type"] == "RECORD"
    ]
    assert len(landed) > 100
    assert lost_on_the_way(vendor, wire, landed) == {}


def lost_on_the_way(vendor: str, wire: Wire, landed: Sequence[Counter[str]]) -> dict[str, Any]:
    """The values that were sent and did not land: one for each place."""
    index: dict[str, list[int]] = defaultdict(list)
    for number, counted in enumerate(landed):
        for form in counted:
            index[form].append(number)
    ignored = re.compile("|".join(NOT_DATA[vendor]) or "(?!)").fullmatch
    scattered = re.compile(SCATTERED.get(vendor, "(?!)")).fullmatch
    lost: dict[str, Any] = {}
    for path, body in wire.bodies:
        for place, row in rows_of(body):
            sent = [leaf for leaf in leaves(row) if not ignored(leaf[0])]
            for part in [[leaf] for leaf in sent] if scattered(urlsplit(path).path) else [sent]:
                lost |= {f"{urlsplit(path).path} {place}: {name}": value for name, value in best(part, landed, index)}
    return lost


def best(sent: Sequence[Leaf], landed: Sequence[Counter[str]], index: Mapping[str, Sequence[int]]) -> Sequence[Leaf]:
    """What the record that has most of a row lacks of it; the record is one of those with the row's rarest value."""
    spoken = [(leaf, forms_of(leaf[1])) for leaf in sent]
    known = [[form for form in forms if form in index] for _, forms in spoken]
    rarest = min(filter(None, known), key=lambda forms: sum(len(index[form]) for form in forms), default=[])
    least = sent
    for number in chain.from_iterable(index[form] for form in rarest):
        left, lost = Counter(landed[number]), []
        for leaf, forms in spoken:
            held = next((form for form in forms if left[form] > 0), None)
            if held is None:
                lost.append(leaf)
            else:
                left[held] -= 1
        if not lost:
            return lost
        least = min(least, lost, key=len)
    return least
