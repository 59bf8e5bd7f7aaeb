"""What no output may show: secrets in any form, and personal data where it is not wanted."""

from __future__ import annotations

import json
import logging
import subprocess
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tap_core.config.redact import MASK
from tests.canary import forms, shown
from tests.faults.vendors import of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.faults.shop import Shop

LETTERS = ("pk-Ce4/fa+9=kiwi&7", "Quince<'5>%\"xyz", "ümlaut-Zwö9-secret")
"""Secrets with whatever the forms write in another way."""


def echo(secrets: list[str]) -> dict[str, Any]:
    """An answer that says all secrets in all forms, wherever an answer has room."""
    said = [form for secret in secrets for form in forms(secret)]
    cut = [secret[:12] for secret in secrets]
    lines = ["\n".join(secret[at : at + 5] for at in range(0, len(secret), 5)) for secret in secrets]
    body = {
        "error": said[0],
        "errorMessage": said,
        "errors": [{"code": said[1], "message": [*cut, *lines]}],
        "message": " ".join(said),
        "status": "ko",
        said[2]: said[3],
    }
    headers = {
        "X-Echo": said[1],
        "Location": f"http://localhost:1/{said[1]}?key={said[2]}",
        "Content-Type": f"application/json; charset={said[7]}",
        "Retry-After": said[7],
        "WWW-Authenticate": f'Bearer realm="{said[7]}"',
    }
    return {"body": body, "headers": {name: value for name, value in headers.items() if value.isascii()}}


FAILURES = (503, 400, 302, 404, 200, 403, 500, 429, 401)


@of("X1")
@pytest.mark.parametrize("first", range(0, len(FAILURES), 2))
def test_no_failure_shows_a_secret_at_the_finest_level(shop: Shop, first: int) -> None:
    """The API says back what it was sent, in one failure after the other, after a good answer or none."""
    secrets = [*shop.secrets, *LETTERS]
    for number, status in enumerate((*FAILURES[first:], *FAILURES[:first])):
        shop.fault("status", "*", status=status, after=number + first, **echo(secrets))
    shop.fault("status", "*", status=500, after=len(FAILURES) + first, times=None, **echo(secrets))
    run = shop.read(level=logging.DEBUG, pii_key=LETTERS[2], retry_max_s=2, max_rate_limit_wait_s=2, concurrency=2)
    assert run.code in {3, 4}, run.log
    assert shown(secrets, run.log, run.output.decode()) == []


@of("X1")
def test_wrong_credentials_with_odd_letters_are_not_shown(shop: Shop) -> None:
    """What the tap itself does with them on their way into headers, forms and addresses."""
    schema = shop.vendor.tap.config_jsonschema["properties"]
    keys = [name for name, value in shop.config.items() if schema[name].get("secret") and isinstance(value, str)]
    odd = ("pk-Ce4/fa+9=kiwi&7", "Quince<5>%xyz-00", "Third/+secret=00", "Fourth&secret%11")
    wrong: dict[str, Any] = dict(zip(keys, odd, strict=False))
    assert wrong
    run = shop.read(level=logging.DEBUG, retry_max_s=2, **wrong)
    assert run.code in {2, 3, 4}, run.log
    assert shown(wrong.values(), run.log, run.output.decode()) == []


@of("X1")
def test_what_goes_out_as_credentials_is_masked_in_every_message(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    """Tokens that the API has issued, too: nobody knows them from the settings."""
    monkeypatch.setenv("MERCHANT_CLOCK", shop.world.clock())
    tap = shop.vendor.tap(config=shop.config)
    sent = [value for client in tap.session.clients.values() for value in client.auth.headers().values()]
    assert sent
    for value in sent:
        word = value.rpartition(" ")[2]
        assert word not in tap.redactor.text(f"sent {value} to the API")
        assert MASK in tap.redactor.text(value)


@of("X1")
def test_a_process_leaves_no_secret_behind(shop: Shop) -> None:
    """Neither in its output nor in files, nor where other users see its command."""
    home = shop.folder / "home"
    home.mkdir()
    shop.fault("status", status=500, times=None, after=2, **echo(shop.secrets))
    shop.fault("stall", times=None)
    places = {"HOME": str(home), "TMPDIR": str(home), "LOGLEVEL": "DEBUG"}
    outputs = shop.folder / "output", home / "log"
    with outputs[0].open("wb") as output, outputs[1].open("wb") as log:
        process = shop.start(kind=subprocess.Popen, stdout=output, stderr=log, cwd=home, env=places)
        while not any(shop.fired):
            assert process.poll() is None
        command = Path(f"/proc/{process.pid}/cmdline").read_bytes().decode()
        assert f"tap_{shop.vendor.name}" in command
        process.terminate()
        assert process.wait(60) == 143
    left = "".join(file.read_text(errors="replace") for file in home.rglob("*") if file.is_file())
    assert "DEBUG" in left
    assert shown(shop.secrets, command + left, outputs[0].read_text()) == []


# Personal data

PERSON = ("Wilhelmina Sonderborg", "wilhelmina.sonderborg@example.com", "+4915112345678")


@of("X2")
@pytest.mark.parametrize("status", [200, 400, 404, 500])
def test_personal_data_in_the_bodies_of_errors_is_not_logged(shop: Shop, status: int) -> None:
    codes = [{"code": word} for word in PERSON[0].split()]
    body = {"status": "ko", "error": PERSON[0], "message": f"{PERSON[1]} {PERSON[2]}", "errors": codes}
    shop.fault("status", status=status, body=body, times=None)
    run = shop.read(level=logging.DEBUG, retry_max_s=0)
    assert run.code in {3, 4}, run.log
    assert not [word for text in PERSON for word in text.split() if word in run.log]


def leaves(schema: dict[str, Any], value: Any, *, personal: bool = False) -> Iterator[tuple[Any, bool]]:
    """The leaves of a record, each with whether its schema marks it, or what it is in, as personal."""
    personal = personal or bool(schema.get("x-pii"))
    if isinstance(value, dict):
        for name, member in value.items():
            yield from leaves(schema.get("properties", {}).get(name, {}), member, personal=personal)
    elif isinstance(value, list):
        for item in value:
            yield from leaves(schema.get("items", {}), item, personal=personal)
    else:
        yield value, personal


@of("X3")
@pytest.mark.parametrize("maps", [{}, {"*": {"seen_by": "str('us')"}}], ids=["plain", "stream-maps"])
@pytest.mark.parametrize("pii", ["drop", "hash"])
def test_no_personal_value_is_written(shop: Shop, pii: str, maps: dict[str, Any]) -> None:
    calm = shop.calm
    assert calm is not None
    found = {
        leaf
        for stream in calm.streams
        for record in calm.records(stream)
        for leaf in leaves(declared(shop, stream), record)
        if isinstance(leaf[0], str) and len(leaf[0]) > 6
    }
    personal = {value for value, is_personal in found if is_personal and (value, False) not in found}
    run = shop.read(pii=pii, pii_key="a-key-of-these-tests", stream_maps=maps)
    assert run.code == 0, run.log
    assert personal or shop.vendor.name == "premiumpay", "there, links may be personal, and stand elsewhere, too"
    text = run.output.decode()
    assert [value for value in personal if json.dumps(value, ensure_ascii=False) in text] == []
    for stream in shop.streams:
        assert len(run.records(stream)) == len(calm.records(stream)), stream
        assert not maps or all(record["seen_by"] == "us" for record in run.records(stream))


@of("X5")
@pytest.mark.parametrize("pii", ["drop", "hash"])
def test_what_no_schema_declares_is_personal(shop: Shop, pii: str) -> None:
    """A new member of a record, its own members, and their names."""
    shop.fault(
        "patch", times=None, set={f"{shop.vendor.rows}.taste": {"Canary-name-kiwi": ["Canary-4fa9-kiwi", 71_717_171]}}
    )
    run = shop.read(pii=pii, pii_key="a-key-of-these-tests")
    assert run.code == 0, run.log
    assert shop.fired[0] > 0
    assert run.records(shop.vendor.main)
    said = run.output.decode() + run.log
    assert [odd for odd in ("Canary", "kiwi", "71717171") if odd in said] == []
    kept = shop.read(pii=pii, pii_key="a-key-of-these-tests", pii_harmless=["taste", "Canary-name-kiwi"])
    assert "Canary-4fa9-kiwi" in kept.output.decode()


def declared(shop: Shop, stream: str) -> dict[str, Any]:
    """The schema of a stream as its tap declares it."""
    kind = next(kind for kind in shop.vendor.tap.stream_types if kind.name == stream)
    schema: dict[str, Any] = kind.schemas.get_schema(stream)
    return schema


@of("X4")
def test_a_config_that_others_can_read_is_told(shop: Shop) -> None:
    """The folder that it is in lets everybody in."""
    shop.fault("unauthorized", "*", times=None)
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        place.chmod(0o755)
        file = place / "config.json"
        file.write_text(json.dumps(shop.config))
        file.chmod(0o644)
        _, log = shop.start("--config", str(file)).communicate()
    assert log.decode().count(f"config file {file} holds secrets that others can read") == 1
    assert shown(shop.secrets, log.decode()) == []
