"""The receiver: answered 200 means on disk, and everything else is refused without a word too many."""

from __future__ import annotations

import asyncio
import json
import os
import random
import resource
import signal
import socket
import sqlite3
import subprocess
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING, Any

import pytest

from merchant_webhooks.errors import WebhooksError
from merchant_webhooks.metrics import Metrics
from merchant_webhooks.settings import read_settings
from merchant_webhooks.spool import Kept, Spool
from merchant_webhooks.writer import UnkeptError, Writer
from tests.webhooks.receiver import KEY, Receiver

if TYPE_CHECKING:
    from collections.abc import Coroutine, Iterator
    from pathlib import Path

CANARY = b"c4n4ry-in-a-body"


@pytest.fixture(scope="module")
def receiver(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Receiver]:
    """A receiver for two accounts of one vendor, the second with a secret in a header."""
    header = {"name": "X-Hook-Secret", "value": "s3cret-in-a-header"}
    folder = tmp_path_factory.mktemp("receiver")
    made = Receiver(
        folder,
        ("peek", "default"),
        ("peek", "south"),
        headers={"peek/south": header},
        max_body_bytes=10_000,
        body_timeout_s=2,
    )
    with made:
        yield made


def test_a_delivery_is_kept_as_it_came(receiver: Receiver) -> None:
    body = '{"booking": {"uuid": "ü"}}\n'.encode() + bytes(range(256))
    assert receiver.post(body, Content_Type="application/json; charset=utf-8") == 200
    vendor, account, kind, kept = receiver.query(
        "SELECT vendor, account, content_type, body FROM deliveries ORDER BY position DESC LIMIT 1"
    )[0]
    assert (vendor, account, kind, bytes(kept)) == ("peek", "default", "application/json; charset=utf-8", body)


@pytest.mark.parametrize(
    ("change", "method", "status"),
    [
        pytest.param(lambda path: path[:-1] + "x", "POST", 404, id="wrong-key"),
        pytest.param(lambda path: path + "0", "POST", 404, id="longer-key"),
        pytest.param(lambda path: path[:-1], "POST", 404, id="shorter-key"),
        pytest.param(lambda path: path.replace("default", "south"), "POST", 404, id="key-of-another-account"),
        pytest.param(lambda path: "/" + path, "POST", 404, id="two-slashes"),
        pytest.param(lambda path: path.replace("peek", "peakium"), "POST", 404, id="other-vendor"),
        pytest.param(lambda _: "/", "GET", 404, id="root"),
        pytest.param(lambda path: path, "GET", 405, id="GET"),
        pytest.param(lambda path: path, "PUT", 405, id="PUT"),
        pytest.param(lambda path: path + "/", "POST", 200, id="slash-behind"),
        pytest.param(lambda path: path + "?a=1", "POST", 200, id="query"),
    ],
)
def test_only_a_post_to_the_whole_path_is_kept(receiver: Receiver, change: Any, method: str, status: int) -> None:
    before = len(receiver.bodies())
    path = change(receiver.paths["peek/default"])
    answer = receiver.ask(path, b"{}" if method != "GET" else None, method)
    assert answer == (status, b"")
    assert len(receiver.bodies()) - before == (status == 200)


def test_a_secret_in_a_header_is_wanted_where_it_is_set(receiver: Receiver) -> None:
    before = len(receiver.bodies())
    assert receiver.post(b"{}", "peek/south") == 401
    assert receiver.post(b"{}", "peek/south", X_Hook_Secret="s3cret-in-a-heade") == 401
    assert len(receiver.bodies()) == before
    assert receiver.post(b"{}", "peek/south", x_hook_secret="s3cret-in-a-header") == 200


def test_an_account_may_have_two_keys_while_one_is_replaced(tmp_path: Path) -> None:
    receiver = Receiver(tmp_path, ("peek", "default"), ("peek", "default"))
    with receiver:
        paths = [f"/peek/default/{KEY}{number}" for number in (0, 1)]
        assert [receiver.ask(path, b"{}")[0] for path in paths] == [200, 200]
    assert receiver.query("SELECT count(*) FROM deliveries WHERE account = 'default'") == [(2,)]


def test_a_body_over_the_limit_is_refused_however_it_is_sent(receiver: Receiver) -> None:
    before = len(receiver.bodies())
    assert receiver.post(b"x" * 10_001) == 413
    assert receiver.ask(receiver.paths["peek/default"], iter([b"x" * 6_000] * 2))[0] == 413
    assert len(receiver.bodies()) == before
    assert receiver.post(b"x" * 10_000) == 200


def test_half_a_body_is_not_kept(receiver: Receiver) -> None:
    before = len(receiver.bodies())
    with socket.create_connection(("127.0.0.1", receiver.port)) as connection:
        head = f"POST {receiver.paths['peek/default']} HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nhalf"
        connection.sendall(head.encode())
    assert receiver.post(b"{}") == 200
    assert len(receiver.bodies()) == before + 1


def test_a_body_that_does_not_arrive_is_not_waited_for(receiver: Receiver) -> None:
    with socket.create_connection(("127.0.0.1", receiver.port), timeout=30) as connection:
        head = f"POST {receiver.paths['peek/default']} HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nhalf"
        connection.sendall(head.encode())
        assert connection.recv(100).startswith(b"HTTP/1.1 408 ")


def test_health_and_metrics_tell_no_secret(receiver: Receiver) -> None:
    assert receiver.post(b"{}") == 200
    assert receiver.ask("/health", method="GET") == (200, b"ok\n")
    text = receiver.ask("/metrics", method="GET")[1].decode()
    assert 'merchant_webhooks_deliveries_total{vendor="peek",account="default"}' in text
    assert KEY not in text
    assert "s3cret" not in text


def test_a_burst_takes_few_syncs(receiver: Receiver) -> None:
    commits = receiver.metric("commits_total")
    bodies = [f'{{"n": {number}}}'.encode() for number in range(1_000)]
    assert len(receiver.burst(bodies, threads=16)) == 1_000
    assert set(bodies) <= set(receiver.bodies())
    assert receiver.metric("commits_total") - commits < 600


def test_what_was_answered_survives_kills(tmp_path: Path) -> None:
    chance, answered = random.Random(7), set[bytes]()
    receiver = Receiver(tmp_path)
    for round_ in range(4):
        receiver.start()
        bodies = [f'{{"n": "{round_}-{number}"}}'.encode() for number in range(2_000)]
        answered.update(receiver.burst(bodies, kill_after=chance.randrange(1, 1_000)))
        receiver.kill()
        assert answered <= set(receiver.bodies())
    assert answered


def test_a_full_disk_is_answered_503_and_comes_back(tmp_path: Path) -> None:
    receiver = Receiver(tmp_path)
    receiver.start(file_bytes=400_000)
    with receiver:
        bodies = [b'{"n": %d, "more": "%b"}' % (number, b"x" * 50_000) for number in range(30)]
        answers = {body: receiver.post(body) for body in bodies}
        assert list(answers.values())[:3] == [200] * 3
        assert list(answers.values())[-3:] == [503] * 3
        kept = {body for body, status in answers.items() if status == 200}
        assert kept <= set(receiver.bodies())
        assert receiver.ask("/health", method="GET")[0] == 503
        code, said = receiver.end(signal.SIGTERM)
        assert code == 0
        assert 1 <= said.count("refused with 503") <= 3, said
    with receiver:
        assert receiver.post(b"{}") == 200
        assert receiver.ask("/health", method="GET")[0] == 200
        assert kept <= set(receiver.bodies())


def test_a_log_that_nobody_reads_costs_no_delivery(tmp_path: Path) -> None:
    receiver = Receiver(tmp_path, max_spool_bytes=1 << 20)
    with receiver:
        receiver.hang_up()
        answers = [receiver.post(b"x" * 50_000) for _ in range(30)]
        assert set(answers) == {200, 503}
        assert answers == sorted(answers)
        assert receiver.ask("/health", method="GET")[0] == 503
        assert len(receiver.bodies()) == answers.count(200)
        assert receiver.end(signal.SIGTERM)[0] == 0


def test_a_log_on_the_disk_that_is_full_costs_no_delivery(tmp_path: Path) -> None:
    receiver = Receiver(tmp_path)
    receiver.log.touch()
    os.truncate(receiver.log, 100_000)
    receiver.start(to_log=True)
    with receiver:
        assert receiver.post(b"before") == 200
        receiver.limit(60_000)
        assert [receiver.post(b"x" * 70_000) for _ in range(3)] == [503] * 3
        assert receiver.ask("/health", method="GET")[0] == 503
        receiver.limit(None)
        assert receiver.ask("/health", method="GET")[0] == 200
        assert receiver.post(b"after") == 200
        assert receiver.bodies() == [b"before", b"after"]
        assert receiver.end(signal.SIGTERM)[0] == 0
    said = receiver.log.read_text()
    assert said.count("refused with 503") == 1
    assert said.endswith("the spool can be written again\n")


def test_a_log_that_stays_unwritable_changes_no_exit_code(tmp_path: Path) -> None:
    receiver = Receiver(tmp_path)
    receiver.log.touch()
    os.truncate(receiver.log, 100_000)
    receiver.start(to_log=True, file_bytes=60_000)
    with receiver:
        assert receiver.post(b"x" * 70_000) == 503
        assert receiver.end(signal.SIGTERM)[0] == 0


def test_a_thread_that_ends_leaves_nobody_waiting(tmp_path: Path) -> None:
    def say(line: str) -> None:
        raise LookupError(line)

    async def deliver() -> list[bool]:
        writer = Writer(tmp_path / "spool.db", most_bytes=1 << 20, max_age_s=60, metrics=metrics, say=say)
        await writer.start()
        kept = [await answered(writer.keep(Kept("peek", "default", None, bytes(50_000)))) for _ in range(30)]
        healthy = await answered(writer.probe())
        together = await asyncio.gather(
            *(answered(writer.keep(Kept("peek", "default", None, b"{}"))) for _ in range(3)), answered(writer.probe())
        )
        writer.stop()
        return [*kept, healthy, *together]

    async def answered(work: Coroutine[Any, Any, None]) -> bool:
        try:
            await asyncio.wait_for(work, 30)
        except UnkeptError:
            return False
        return True

    metrics = Metrics()
    answers = asyncio.run(deliver())
    assert answers[0]
    assert answers == sorted(answers, reverse=True)
    assert not any(answers[-5:])
    assert sum(metrics.accepted.values()) == sum(answers)
    assert metrics.refused["unwritable"] == answers.count(False) - 2
    assert not metrics.writable


def test_the_first_delivery_is_kept_once_a_full_disk_has_room_again(tmp_path: Path) -> None:
    receiver = Receiver(tmp_path)
    with receiver:
        receiver.limit(16_000)
        assert receiver.post(b"x" * 70_000) == 503
        receiver.limit(None)
        assert receiver.post(b"{}") == 200
        assert receiver.bodies() == [b"{}"]


def test_a_look_at_the_health_is_no_commit(tmp_path: Path) -> None:
    receiver = Receiver(tmp_path)
    with receiver:
        assert receiver.post(b"{}") == 200
        receiver.limit(60_000)
        assert receiver.post(b"x" * 70_000) == 503
        receiver.limit(None)
        assert receiver.metric("spool_writable") == 0
        assert receiver.ask("/health", method="GET")[0] == 200
        assert receiver.metric("spool_writable") == 1
        assert receiver.metric("commits_total") == 1


def test_the_limit_of_the_spool_is_told_before_it_is_reached(tmp_path: Path) -> None:
    receiver = Receiver(tmp_path, max_spool_bytes=1 << 20)
    with receiver:
        answers = [receiver.post(b"x" * 50_000) for _ in range(30)]
        assert answers[0] == 200
        assert answers[-1] == 503
        _, said = receiver.end(signal.SIGTERM)
    nearly, full = said.splitlines()
    assert "(max_spool_bytes): once it is full, deliveries are refused" in nearly
    assert "max_spool_bytes is reached" in full


def test_what_all_readers_have_committed_is_trimmed(tmp_path: Path) -> None:
    receiver = Receiver(tmp_path, ("peek", "default"), ("peakium", "default"))
    with receiver:
        for _ in range(4):
            receiver.post(b"{}")
        receiver.post(b"{}", "peakium/default")
    receiver.query("INSERT INTO readers VALUES ('a', 'peek', 'default', 3, 0), ('b', 'peek', 'default', 2, 0)")
    with receiver:
        assert receiver.post(b"{}") == 200  # is written after the first trimming
        rows = receiver.query("SELECT position, vendor FROM deliveries ORDER BY 1")
    assert rows == [(3, "peek"), (4, "peek"), (5, "peakium"), (6, "peek")]
    assert receiver.query("SELECT * FROM trimmed") == [("peek", "default", 2)]


@contextmanager
def small_files(size: int) -> Iterator[None]:
    """Let no file of this process grow beyond a size, as on a full disk."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_trimming_that_fails_says_why_and_is_done_later(tmp_path: Path) -> None:
    spool = Spool(tmp_path / "spool.db", 1 << 30)
    kept = Kept("peek", "default", None, bytes(50_000))
    with closing(spool):
        spool.keep([kept] * 20)
        with small_files(16_000), pytest.raises(sqlite3.Error, match="disk I/O error"):
            spool.trim(0)
        spool.keep([kept])
        assert spool.trim(0) == 21
        assert spool.trim(0) == 0


def test_what_is_too_old_is_trimmed_unread(tmp_path: Path) -> None:
    receiver = Receiver(tmp_path, max_age_days=2)
    with receiver:
        receiver.post(b"old")
        receiver.post(b"young")
    receiver.query("UPDATE deliveries SET received_at = received_at - 3 * 86400 * 1000000 WHERE position = 1")
    with receiver:
        assert receiver.post(b"{}") == 200
        assert receiver.bodies() == [b"young", b"{}"]


def test_nothing_that_was_sent_is_said(tmp_path: Path) -> None:
    receiver = Receiver(tmp_path)
    with receiver:
        receiver.post(CANARY)
        receiver.ask("/" + CANARY.decode(), CANARY)
        with socket.create_connection(("127.0.0.1", receiver.port)) as connection:
            connection.sendall(CANARY + b"\r\n\r\n")
            connection.recv(1_000)
        code, said = receiver.end(signal.SIGTERM)
    assert code == 0
    assert CANARY.decode() not in said
    assert KEY not in said


def test_one_spool_has_one_receiver(tmp_path: Path) -> None:
    with Receiver(tmp_path) as receiver:
        config = json.loads(receiver.config.read_text()) | {"port": 0}
        receiver.config.write_text(json.dumps(config))
        done = subprocess.run(receiver.command("serve"), capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr == (
        "merchant-webhooks: setting 'spool': another receiver writes to it; give each a spool of its own\n"
    )


@pytest.mark.parametrize(
    ("given", "said"),
    [
        pytest.param({"endpoints": []}, "setting 'endpoints': expected `array` of length >= 1", id="no-endpoint"),
        pytest.param({"spol": 1}, "unknown setting 'spol'", id="misspelt"),
        pytest.param({"spool": None}, "setting 'spool': expected `str`, got `null`", id="wrong-type"),
        pytest.param(
            {"endpoints": [{"vendor": "peek", "key": "c4n4ry"}]},
            "setting 'endpoints[0].key' must consist of at least 32 letters, digits, `_` and `-`",
            id="short-key",
        ),
        pytest.param(
            {"endpoints": [{"vendor": "peek", "key": KEY, "kye": 1}]}, "unknown setting 'endpoints[0].kye'", id="member"
        ),
        pytest.param({"endpoints": [{"vendor": "peek"}]}, "setting 'endpoints[0].key' is missing", id="no-key"),
        pytest.param(
            {"endpoints": [{"vendor": "peek", "key": KEY}, {"vendor": "peakium", "key": KEY}]},
            "setting 'endpoints': peek/default, peakium/default have the same key",
            id="key-twice",
        ),
        pytest.param({"public_url": "hooks"}, "setting 'public_url' must be an address", id="public-url"),
        pytest.param({"port": 70_000}, "setting 'port': expected `int` <= 65535", id="port"),
    ],
)
def test_a_wrong_setting_is_named_in_one_line(tmp_path: Path, given: dict[str, Any], said: str) -> None:
    receiver = Receiver(tmp_path)
    config = json.loads(receiver.config.read_text()) | given
    receiver.config.write_text(json.dumps(config))
    with pytest.raises(WebhooksError) as caught:
        read_settings(str(receiver.config), print)
    assert str(caught.value).startswith(said)
    assert "\n" not in str(caught.value)
    assert "c4n4ry" not in str(caught.value)
    assert caught.value.code == 2


def test_a_spool_that_cannot_be_made_is_named_in_one_line(tmp_path: Path) -> None:
    receiver = Receiver(tmp_path)
    config = json.loads(receiver.config.read_text()) | {"spool": "/nowhere/spool.db"}
    receiver.config.write_text(json.dumps(config))
    done = subprocess.run(receiver.command("serve"), capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr == ("merchant-webhooks: setting 'spool': the file cannot be made: No such file or directory\n")
