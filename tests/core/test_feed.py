"""Reading a feed: whatever the server does with the connection, nothing that it sent is lost, and each gap is told."""

from __future__ import annotations

import json
import random
import re
import signal
import socket
import ssl
import subprocess
import threading
import time
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Any, ClassVar

import pytest
import trustme
from singer_sdk import typing as th
from typing_extensions import override
from websockets.exceptions import ConnectionClosed
from websockets.sync.server import Server, ServerConnection, serve

from tap_core.clock import Clock, real_seconds
from tap_core.errors import ApiError, NetworkError, TransientError
from tap_core.http.auth import NoAuth
from tap_core.http.retry import RetryPolicy
from tap_core.http.websocket import FeedConnection, Lost
from tap_core.output.meters import StreamMeter
from tap_core.streams.feed import FeedStream
from tap_core.workers import Workers
from tests.core.example import ExampleStream, Outcome, TapExample, run, schema, start

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

    from tap_core.reading.fetch import Slice
    from tap_core.streams.base import CoreStream
    from tests.core.conftest import RawServer


@dataclass
class FeedServer:
    """Plays one script for each connection; the last one again and again."""

    scripts: list[Callable[[ServerConnection], None]] = field(default_factory=list)
    paths: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._server: Server = serve(self._play, "127.0.0.1", 0)
        self._thread = threading.Thread(target=self._server.serve_forever)
        self._thread.start()
        self.port = int(self._server.socket.getsockname()[1])

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def _play(self, connection: ServerConnection) -> None:
        assert connection.request is not None
        self.paths.append(connection.request.path)
        script = self.scripts.pop(0) if len(self.scripts) > 1 else self.scripts[0]
        script(connection)

    def close(self) -> None:
        self._server.shutdown()
        self._thread.join()


@pytest.fixture
def feed() -> Iterator[FeedServer]:
    server = FeedServer()
    yield server
    server.close()


def sends(*messages: str | bytes, code: int | None = None) -> Callable[[ServerConnection], None]:
    """Send messages, then close with a code, or wait until the reader goes."""

    def script(connection: ServerConnection) -> None:
        for message in messages:
            connection.send(message)
        if code is not None:
            connection.close(code)
        else:
            silent(connection)

    return script


def silent(connection: ServerConnection) -> None:
    """Say nothing until the reader goes."""
    try:
        connection.recv()
    except ConnectionClosed:
        return


def stands_for(seconds: float) -> Callable[[ServerConnection], None]:
    """Say nothing for so long, then close."""

    def script(connection: ServerConnection) -> None:
        try:
            connection.recv(seconds)
        except TimeoutError:
            connection.close(1001)

    return script


def fast() -> Clock:
    """A clock on which waiting costs little."""
    return Clock(start=1.7e9, anchor=time.time(), rate=1_000.0)


def connection(url: str, **options: Any) -> FeedConnection:
    arguments: dict[str, Any] = {
        "auth": NoAuth(),
        "clock": fast(),
        "retry": RetryPolicy(),
        "workers": Workers(1),
        "timeout_s": 5.0,
        "user_agent": "tap-test/1",
        "meter": StreamMeter("feed"),
        "what": "feed: /feed",
    }
    return FeedConnection(url, **{**arguments, **options})


def until(batches: Iterator[Sequence[str | bytes]], found: Callable[[list[str | bytes]], bool]) -> list[str | bytes]:
    """What came until it was enough."""
    came: list[str | bytes] = []
    for batch in batches:
        came += batch
        if found(came):
            break
    return came


def test_a_reader_that_has_enough_says_goodbye_as_one_that_is_well(feed: FeedServer) -> None:
    codes: list[int | None] = []

    def script(connection: ServerConnection) -> None:
        connection.send("1")
        try:
            connection.recv()
        except ConnectionClosed as closed:
            codes.append(closed.rcvd.code if closed.rcvd else None)

    feed.scripts = [script]
    batches = connection(f"ws://127.0.0.1:{feed.port}").batches(lambda _: None)
    assert until(batches, bool) == ["1"]
    batches.close()
    feed.close()
    assert codes == [1000], "1011 would say that something went wrong"


def test_a_connection_that_stood_for_long_costs_no_patience(feed: FeedServer) -> None:
    feed.scripts = [stands_for(0.5), sends("1")]
    patience = RetryPolicy(retry_max_s=0.3, base_s=0.01)
    reader = connection(f"ws://127.0.0.1:{feed.port}", retry=patience, clock=Clock())
    batches = reader.batches(lambda _: None)
    assert until(batches, bool) == ["1"]
    batches.close()


def test_a_reader_that_is_busy_while_it_connects_costs_no_patience() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url, workers = f"ws://127.0.0.1:{listener.getsockname()[1]}", Workers(1)
        begun = real_seconds()
        batches = connection(url, retry=RetryPolicy(retry_max_s=0), workers=workers).batches(lambda _: None)
        assert next(batches) == ()
        listener.accept()[0].close()
        workers.submit(int).result(30)
        failed = real_seconds()
        busy = connection(url).batches(lambda _: None)
        assert next(busy) == (), "that took a beat"
        with pytest.raises(NetworkError, match="gave up after 1 try in") as caught:
            next(batches)
        busy.close()
    took = re.search(r" in ([\d.]+) s \(retry_max_s\)$", str(caught.value))
    assert took is not None
    assert float(took[1]) <= (failed - begun) * 1.01


@pytest.mark.parametrize("code", [1000, 1001, 1008, 1011, 1012, 4000])
def test_whatever_code_a_server_closes_with_it_is_connected_to_again(feed: FeedServer, code: int) -> None:
    feed.scripts = [sends("1", "2", code=code), sends("3")]
    lost: list[Lost] = []
    batches = connection(f"ws://127.0.0.1:{feed.port}").batches(lost.append)
    assert until(batches, lambda came: len(came) == 3) == ["1", "2", "3"]
    assert len(lost) == 1
    batches.close()


def test_a_server_that_drops_everybody_at_once_ends_patience(feed: FeedServer) -> None:
    feed.scripts = [sends(code=1013)]
    reader = connection(f"ws://127.0.0.1:{feed.port}", retry=RetryPolicy(retry_max_s=30))
    with pytest.raises(ApiError, match=r"the connection was lost; gave up after \d+ tries"):
        until(reader.batches(lambda _: None), bool)
    assert len(feed.paths) > 3


def test_pings_are_answered_and_messages_kept_while_nobody_reads(feed: FeedServer) -> None:
    busy, answered = threading.Event(), threading.Event()

    def script(connection: ServerConnection) -> None:
        connection.send("0")
        busy.wait(30)
        for number in range(1, 200):
            connection.send(str(number))
        if connection.ping().wait(30):
            answered.set()
        silent(connection)

    feed.scripts = [script]
    batches = connection(f"ws://127.0.0.1:{feed.port}").batches(lambda _: None)
    assert until(batches, bool) == ["0"]
    busy.set()
    assert answered.wait(30)
    assert until(batches, lambda came: len(came) == 199) == [str(number) for number in range(1, 200)]
    batches.close()


def test_a_gap_lasts_from_the_loss_to_the_next_connection(feed: FeedServer) -> None:
    feed.scripts = [sends("1", code=1001), sends("2")]
    clock = fast()
    reader = connection(f"ws://127.0.0.1:{feed.port}", clock=clock)
    lost: list[Lost] = []
    batches = reader.batches(lost.append)
    before = reader.seen_until
    until(batches, lambda came: came == ["1"])
    seen = reader.seen_until
    assert before is None
    assert seen is not None
    until(batches, lambda came: came == ["2"])
    [gap] = lost
    assert seen <= gap.since < gap.until <= clock.now()
    assert reader.is_up
    batches.close()


def test_while_it_is_not_connected_nothing_counts_as_seen(feed: FeedServer) -> None:
    feed.scripts = [sends("1", code=1001)]
    clock = Clock()
    reader = connection(f"ws://127.0.0.1:{feed.port}", clock=clock, retry=RetryPolicy(base_s=60, rng=random.Random(1)))
    batches = reader.batches(lambda _: None)
    until(batches, lambda came: came == ["1"])
    for _ in batches:
        if not reader.is_up:
            break
    frozen = reader.seen_until
    next(batches)
    next(batches)
    assert frozen == reader.seen_until
    assert frozen is not None
    assert frozen < clock.now()
    batches.close()


def test_whoever_answers_no_ping_has_been_gone_since_the_one_before() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        silence = threading.Thread(target=_shake_hands_and_fall_silent, args=(listener,), daemon=True)
        silence.start()
        reader = connection(f"ws://127.0.0.1:{listener.getsockname()[1]}", clock=Clock(), ping_s=0.3)
        batches = reader.batches(lambda _: None)
        next(batch for batch in batches if reader.is_up)
        next(batch for batch in batches if not reader.is_up)
        assert reader.seen_until is not None
        assert reader.seen_until <= Clock().now() - timedelta(seconds=2 * 0.3)
        batches.close()


def _shake_hands_and_fall_silent(listener: socket.socket) -> None:
    from websockets.server import ServerProtocol  # noqa: PLC0415  only this server needs the bare protocol

    taken, _ = listener.accept()
    with taken:
        protocol = ServerProtocol()
        protocol.receive_data(taken.recv(65_536))
        request = protocol.events_received()[0]
        protocol.send_response(protocol.accept(request))  # type: ignore[arg-type]
        for data in protocol.data_to_send():
            taken.sendall(data)
        while taken.recv(65_536):
            pass


# The stream


class Happenings(FeedStream, ExampleStream):
    """A feed."""

    name = "happenings"
    path = "/feed"
    replication_key = "at"

    @override
    def declared_schema(self) -> dict[str, Any]:
        return schema(at={"type": ["string", "null"], "format": "date-time"}, points={"type": ["integer", "null"]})

    @override
    def params(self, part: Slice, token: Any) -> Mapping[str, Any]:
        return {"format": "json"}

    @property
    @override
    def seconds(self) -> float:
        return float(self.config["seconds"])

    @property
    @override
    def messages(self) -> int:
        return int(self.config["messages"])


class TapFeed(TapExample):
    """A tap of one feed."""

    stream_types: ClassVar[Sequence[type[CoreStream]]] = (Happenings,)
    config_jsonschema: ClassVar[dict[str, Any]] = {
        **TapExample.config_jsonschema,
        "properties": {
            **TapExample.config_jsonschema["properties"],
            **th.PropertiesList(
                th.Property("seconds", th.NumberType, default=30), th.Property("messages", th.IntegerType, default=0)
            ).to_dict()["properties"],
        },
    }


def read(feed: FeedServer, *messages: str | bytes, expected: int, **options: Any) -> Outcome:
    """Read what one connection sends."""
    feed.scripts = [sends(*messages)]
    return run(TapFeed, {"api_url": feed.url, "api_key": "k", "messages": expected}, **options)


def test_messages_with_a_null_for_an_id_are_all_different(feed: FeedServer) -> None:
    class Numbered(TapFeed):
        class Stream(Happenings):
            identity = "points"

        stream_types = (Stream,)

    feed.scripts = [sends(*(json.dumps({"id": str(number), "points": None}) for number in range(3)))]
    outcome = run(Numbered, {"api_url": feed.url, "api_key": "k", "messages": 3, "seconds": 5})
    assert [row["id"] for row in outcome.records("happenings")] == ["0", "1", "2"]


@pytest.mark.parametrize(
    "bad",
    [
        pytest.param(b'{"id":"x\xff"}', id="no-utf-8"),
        pytest.param("[" * 100_000, id="deep"),
        pytest.param('{"id":' + "[" * 100_000 + "]" * 100_000 + "}", id="deep-inside"),
        pytest.param('{"id":"x"', id="cut"),
        pytest.param("", id="empty"),
    ],
)
def test_a_message_that_cannot_be_read_costs_no_other(feed: FeedServer, bad: str | bytes) -> None:
    outcome = read(feed, '{"id":"a"}', bad, '{\n"id":\t"b"\r\n}', expected=2)
    assert outcome.error is None
    assert [row["id"] for row in outcome.records("happenings")] == ["a", "b"]
    assert outcome.tap.session.progress.meter("happenings").notes == {"malformed messages": 1}


def test_the_address_keeps_its_query(feed: FeedServer) -> None:
    read(feed, '{"id":"a"}', expected=1)
    assert feed.paths == ["/feed?format=json"]


def test_a_run_that_ends_without_a_connection_remembers_when_it_was_lost(
    feed: FeedServer, caplog: pytest.LogCaptureFixture
) -> None:
    feed.scripts = [sends('{"id":"a"}', code=1001), stands_for(30)]
    first = run(TapFeed, {"api_url": feed.url, "api_key": "k", "messages": 1})
    until_then = first.state["happenings"]["read_until"]
    feed.close()
    unreachable = {"api_url": feed.url, "api_key": "k", "seconds": 0.5}
    second = run(TapFeed, unreachable, state={"bookmarks": first.state})
    assert second.state["happenings"]["read_until"] == until_then
    assert "gap" not in caplog.text


def test_testing_the_connection_waits_for_no_message(feed: FeedServer) -> None:
    feed.scripts = [silent]
    TapFeed(config={"api_url": feed.url, "api_key": "k", "seconds": 0}).test_connection()
    assert feed.paths


def test_s2_a_signal_is_heard_while_it_connects(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        config = {"api_url": f"http://127.0.0.1:{listener.getsockname()[1]}", "api_key": "k", "connect_timeout_s": 300}
        code = "from tests.core.test_feed import TapFeed; TapFeed.main()"
        process = start(tmp_path, config, code=code, stdout=subprocess.PIPE)
        listener.settimeout(60)  # a process that has failed connects to nobody
        taken, _ = listener.accept()
        with taken:
            taken.recv(65_536)
            process.send_signal(signal.SIGTERM)
            _, log = process.communicate(timeout=60)
    assert process.returncode == 143, log


def test_h16_a_directory_of_authorities_serves_a_feed_too(
    raw_server: RawServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """An empty directory trusts nobody: a clean stop, not a network error that is tried again."""
    raw_server.tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    trustme.CA().issue_cert("localhost").configure_cert(raw_server.tls)
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tmp_path))
    with pytest.raises(ApiError, match="certificate is not trusted") as raised:
        next(batch for batch in connection(f"wss://localhost:{raw_server.port}").batches(lambda _: None) if batch)
    assert not isinstance(raised.value, TransientError)
