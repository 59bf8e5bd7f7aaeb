"""No secret is said: in no log line at any level, no exception, no traceback, in no form."""

from __future__ import annotations

import base64
import json
import logging
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tap_core.config.redact import Redactor, secret_values
from tests.core.example import TapExample, start

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.core.conftest import Lists

CANARY = "c@nary/&+%7f'3a9c"


def forms(secret: str) -> list[str]:
    """The ways in which a secret stands in requests and messages."""
    return [
        secret,
        quote(secret, safe=""),
        quote_plus(secret),
        repr(secret),
        base64.b64encode(secret.encode()).decode(),
        base64.b64encode(f"{secret}:".encode()).decode(),
        base64.b64encode(f":{secret}".encode()).decode(),
        json.dumps(secret)[1:-1],
    ]


@settings(max_examples=30)
@given(secret=st.text(min_size=4, max_size=20).filter(lambda text: len(text.strip()) >= 4))
def test_x1_every_form_of_a_secret_is_replaced(secret: str) -> None:
    secret = secret.strip()
    redactor = Redactor([secret])
    for form in forms(secret):
        assert secret not in redactor.text(f"before {form} after")
        assert form.rstrip("=") not in redactor.text(f"before {form} after")


@pytest.mark.parametrize("after", ["", ":", "@host", "/"])
@pytest.mark.parametrize("before", ["", ":", "me:", "user:", "b:you:"])
def test_x1_a_secret_inside_base64_is_replaced_wherever_it_stands(before: str, after: str) -> None:
    whole = f"{before}{CANARY}{after}".encode()
    for encoded in (base64.b64encode(whole).decode(), base64.urlsafe_b64encode(whole).decode()):
        said = Redactor([CANARY]).text(f"Basic {encoded} sent")
        assert "***" in said
        assert len(said) < len("Basic  sent") + 8 * (len(before) + len(after) + 3)


def test_x1_texts_without_secrets_stay() -> None:
    assert Redactor(["secret-1234"]).text("GET /orders: 200") == "GET /orders: 200"
    assert Redactor().text("anything") == "anything"
    assert Redactor(["abc", "", "   "]).text("abc is too short to be a secret") == "abc is too short to be a secret"


def test_x1_the_longer_of_two_secrets_is_replaced_whole() -> None:
    assert Redactor(["secret", "secret-more"]).text("it is secret-more") == "it is ***"


def test_x1_secrets_are_found_at_any_depth() -> None:
    schema = {
        "properties": {
            "key": {"secret": True},
            "plain": {},
            "list": {"items": {"properties": {"key": {"writeOnly": True}, "name": {}}}},
            "tree": {"secret": True},
        }
    }
    config = {
        "key": "one",
        "plain": "shown",
        "list": [{"key": "two", "name": "shown"}, "odd"],
        "tree": {"a": ["three", {"b": "four"}], "n": 5},
        "unknown": "shown",
    }
    assert list(secret_values(config, schema)) == ["one", "two", "three", "four"]


class Kept(logging.Handler):
    """What a formatted log would say."""

    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self.setFormatter(logging.Formatter("%(levelname)s %(message)s"))
        self.said = ""
        self.records: list[logging.LogRecord] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.records.append(record)
        self.said += self.format(record) + "\n"


@pytest.fixture
def log() -> Any:
    """A logger whose handler redacts the canary."""
    handler, logger = Kept(), logging.getLogger("tests.redact")
    handler.addFilter(Redactor([CANARY]))
    logger.addHandler(handler)
    logger.propagate = False
    logger.setLevel(logging.DEBUG)
    yield logger, handler
    logger.removeHandler(handler)


def test_x1_handlers_of_any_logger_are_covered(log: Any) -> None:
    logger, handler = log
    handler.filters.clear()
    Redactor([CANARY]).install()
    logger.info("api_key is %s", CANARY)
    assert handler.said == "INFO api_key is ***\n"


@pytest.mark.parametrize("level", [10, 20, 30, 40, 50])
def test_x1_messages_and_their_arguments(log: Any, level: int) -> None:
    logger, handler = log
    for form in forms(CANARY):
        logger.log(level, "GET https://api.example.com?key=%s", form)
        logger.log(level, f"as it is: {form}")  # noqa: G004  what others' code may do
        logger.log(level, "as part of: %r", {"headers": [form]})
    assert "***" in handler.said
    assert not any(form.strip("'\"") in handler.said for form in forms(CANARY))


def test_x1_exceptions_and_stacks(log: Any) -> None:
    logger, handler = log
    try:
        try:
            raise ValueError(f"cause {CANARY}")  # noqa: TRY301  a chain of two
        except ValueError as error:
            raise RuntimeError(f"effect {CANARY}") from error
    except RuntimeError:
        logger.exception("failed")
        logger.debug("failed, with %s", CANARY, exc_info=True, stack_info=True)
    assert handler.said.count("Traceback") == 4
    assert CANARY not in handler.said


def test_x1_fields_of_structured_logs(log: Any) -> None:
    logger, handler = log
    logger.info("metric", extra={"point": {"tags": [CANARY]}, "count": 7, "url": CANARY, "none": None})
    (record,) = handler.records
    assert CANARY not in json.dumps(vars(record), default=str)
    assert record.count == 7


def test_x1_a_message_that_does_not_fit_its_arguments_is_no_way_around(log: Any) -> None:
    logger, handler = log
    logger.info(f"%d {CANARY}", "x")  # noqa: G004  what others' code may do
    assert "***" in handler.said
    assert CANARY not in handler.said


# Whole runs

SECRETS = {
    "api_key": "canary-one-1/&+",
    "password": "canary two",
    "pii_key": "canary-three",
    "connections": [{"name": "a", "key": "canary-four"}],
}


@pytest.mark.parametrize("arguments", [["--log-format=text"], ["--log-format=json"], ["--test"]], ids=" ".join)
@pytest.mark.parametrize(
    ("answers", "code"),
    [
        pytest.param({}, 0, id="X1-all-well"),
        pytest.param({"/orders": 401}, 3, id="X1-refused"),
        pytest.param({"/orders": 500, "/events": 302, "/places": 200}, 4, id="X1-failures"),
    ],
)
def test_x1_no_output_of_a_run_holds_a_secret_at_the_finest_level(
    tmp_path: Path, lists: Lists, answers: dict[str, int], code: int, arguments: list[str]
) -> None:
    said_by_the_api = json.dumps({"error": "invalid key " + SECRETS["api_key"]}).encode()  # type: ignore[operator]
    for path, status in answers.items():
        elsewhere = {"Location": f"https://example.org/?key={SECRETS['api_key']}"}
        lists.rows[path] = lists.server.answer(status, said_by_the_api, elsewhere)
    process = start(tmp_path, {**lists.config, **SECRETS}, *arguments, stdout=-1, env={"LOGLEVEL": "DEBUG"})
    output, said = process.communicate(timeout=60)
    assert process.returncode == code, said.decode()
    assert b"debug" in said.lower()
    everything = (output + said).decode()
    secrets = [*secret_values(SECRETS, TapExample.config_jsonschema)]
    assert len(secrets) == 4
    assert [form for secret in secrets for form in forms(secret) if form.rstrip("=") in everything] == []


STRUCTURED = """
version: 1
disable_existing_loggers: false
formatters: {json: {"()": singer_sdk.logging.StructuredFormatter}}
handlers: {console: {class: logging.StreamHandler, formatter: json, stream: ext://sys.stderr}}
loggers: {tap-example: {handlers: [console], propagate: false, level: DEBUG}}
root: {level: DEBUG, handlers: [console]}
"""


def test_x1_structured_logs_hold_metrics_and_no_secret(tmp_path: Path, lists: Lists) -> None:
    (tmp_path / "logging.yml").write_text(STRUCTURED)
    lists.rows["/orders"] = [{"id": "a"}, {"id": "b"}]
    lists.rows["/places"] = lists.server.answer(500)
    config = {**lists.config, **SECRETS, "drop_fields": [SECRETS["api_key"]]}
    process = start(
        tmp_path, config, stdout=-1, env={"SINGER_SDK_LOG_CONFIG": str(tmp_path / "logging.yml"), "LOGLEVEL": "DEBUG"}
    )
    output, said = process.communicate(timeout=60)
    assert b"canary" not in output + said
    assert b"drop_fields" in said
    found = [json.loads(line).get("metric_info") for line in said.splitlines() if line.startswith(b"{")]
    points = {(point["metric"], point["tags"]["stream"]): point for point in found if point}
    assert points["record_count", "orders"]["value"] == 2
    assert points["http_request_count", "orders"]["value"] == 1
    assert points["record_count", "parts"]["value"] == 0
    assert points["sync_duration", "places"]["tags"]["status"] == "failed"


def test_x1_a_traceback_of_a_run_shows_no_secret(tmp_path: Path, lists: Lists) -> None:
    code = (
        "import tests.core.example as e\n"
        "e.Orders.params = lambda self, part, token: {}[self.config['api_key']]\n"
        "e.TapExample.main()"
    )
    process = start(tmp_path, {**lists.config, **SECRETS}, code=code, stdout=-1, env={"LOGLEVEL": "DEBUG"})
    output, said = process.communicate(timeout=60)
    assert process.returncode == 1
    assert b"Traceback" in said
    assert b"canary" not in output + said


def test_x1_settings_that_are_refused_are_not_shown(tmp_path: Path, lists: Lists) -> None:
    for wrong in ({"api_key": {"canary": "canary"}}, {"concurrency": "canary"}, {"api_kye": "canary"}):
        process = start(tmp_path, {**lists.config, **wrong}, stdout=-1, env={"LOGLEVEL": "DEBUG"})
        output, said = process.communicate(timeout=60)
        assert process.returncode == 2
        assert b"canary" not in output + said


@pytest.mark.parametrize("form", [str.upper, str.lower, str.swapcase, str.title], ids=lambda form: form.__name__)
def test_x1_a_secret_in_other_letters_is_masked(form: Callable[[str], str]) -> None:
    assert Redactor(["Canary-7f3a9C/x"]).text(f"key {form('Canary-7f3a9C/x')} refused") == "key *** refused"


@pytest.mark.parametrize(
    ("schema", "config"),
    [
        ({"anyOf": [{"type": "string", "secret": True}, {"type": "null"}]}, "canary"),
        ({"oneOf": [{"properties": {"key": {"secret": True}}}]}, {"key": "canary"}),
        ({"allOf": [{"items": {"secret": True}}]}, ["canary"]),
        ({"items": [{}, {"secret": True}]}, ["a", "canary"]),
        ({"additionalProperties": {"secret": True}}, {"anything": "canary"}),
    ],
)
def test_x1_secrets_are_found_in_every_shape_of_a_setting(schema: dict[str, Any], config: Any) -> None:
    assert list(secret_values(config, schema)) == ["canary"]
