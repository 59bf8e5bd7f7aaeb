"""Settings: each mistake is one line that names the setting and never the value."""

from __future__ import annotations

import json
import logging
import tempfile
from pathlib import Path
from typing import Any

import pytest

from tap_core.clock import Clock
from tap_core.config.checks import check_config, instant
from tap_core.config.environment import read_environment
from tap_core.config.files import read_config_files, read_object, warn_if_exposed
from tap_core.errors import ConfigError
from tests.core.example import TapExample
from tests.settings_made import CANARY, wrong_values

GOOD: dict[str, Any] = {"api_key": "key-1234"}
SCHEMA = TapExample.config_jsonschema


def refusal(config: dict[str, Any]) -> str:
    with pytest.raises(ConfigError) as caught:
        TapExample(config=config)
    message = str(caught.value)
    assert CANARY not in message
    assert "\n" not in message
    assert caught.value.exit_code == 2
    return message


@pytest.mark.parametrize("empty", [{}, {"api_key": None}, {"api_key": ""}], ids=["C1-absent", "C1-null", "C1-empty"])
def test_c1_a_missing_setting_is_named(empty: dict[str, Any]) -> None:
    assert "'api_key' is missing" in refusal(empty)


def test_c1_a_misspelt_setting_is_named_with_the_right_one() -> None:
    assert refusal({**GOOD, "start_dat": CANARY}) == "unknown setting 'start_dat'; did you mean 'start_date'?"


def test_c1_an_unknown_setting_is_named() -> None:
    assert refusal({**GOOD, "zzzzzz": CANARY}) == "unknown setting 'zzzzzz'; --about lists the settings"


def test_x6_what_is_no_name_does_not_flood_the_message() -> None:
    assert len(refusal({**GOOD, "z" * 10_000: CANARY})) < 300


def test_c1_a_name_with_a_line_break_is_told_in_one_line() -> None:
    assert refusal({**GOOD, "stream_maps": {"a\nb": 1}}).startswith(r"setting 'stream_maps.a\nb'")


WRONG = {name: list(wrong_values(member)) for name, member in SCHEMA["properties"].items()}


@pytest.mark.parametrize(
    ("name", "value"),
    [pytest.param(name, value, id=f"C1-{name}-{number}") for name in WRONG for number, value in enumerate(WRONG[name])],
)
def test_c1_a_wrong_setting_is_named(name: str, value: Any) -> None:
    assert refusal({**GOOD, name: value}).startswith(f"setting '{name}")


def test_c1_wrong_values_are_of_every_sort() -> None:
    """What is made from the schema, for settings of the kinds that there are."""
    assert all(WRONG.values())
    assert WRONG["concurrency"] == [CANARY, 1.5, True, [CANARY], {"canary": CANARY}, 0, 65]
    assert WRONG["connect_timeout_s"] == [CANARY, True, [CANARY], {"canary": CANARY}, 0]
    assert WRONG["pii"] == [42, 1.5, True, [CANARY], {"canary": CANARY}, CANARY]
    assert [42] in WRONG["drop_fields"]
    assert {"any": CANARY} in WRONG["weights"]
    assert [{"key": 42}] in WRONG["connections"]


def test_c1_what_the_schema_allows_passes() -> None:
    tap = TapExample(config={**GOOD, "weights": {"a": 1.5}, "connections": [{"name": "a", "key": "k" * 8}]})
    assert tap.config["page_size"] == 100


@pytest.mark.parametrize(
    ("name", "value", "complaint"),
    [
        pytest.param("start_date", "2124-01-01", "is in the future", id="C3-future"),
        pytest.param("start_date", "2024-01-01T00:00:00", "has no time zone", id="C3-naive"),
        pytest.param("end_date", "2024-01-01T00:00:00", "has no time zone", id="C3-end-naive"),
        *(
            pytest.param("start_date", text, "is not a date", id=f"C3-invalid-{text[:12]}")
            for text in (
                CANARY,
                "2024-13-01",
                "2024-02-30",
                "yesterday",
                "now",
                "12:00",
                "P1D",
                "2024-01-01/2024-02-01",
            )
        ),
        pytest.param("start_date", "0001-01-01T00:00:00+14:00", "is not a date", id="C3-before-the-calendar"),
        pytest.param("end_date", "9999-12-31T23:59:59-14:00", "is not a date", id="C3-behind-the-calendar"),
    ],
)
def test_c3_dates_that_make_no_sense_are_refused(name: str, value: str, complaint: str) -> None:
    assert refusal({**GOOD, name: value}).startswith(f"setting '{name}' {complaint}")


@pytest.mark.parametrize("end", ["2024-01-01", "2023-12-31T23:00:00-01:00", "2020-01-01"])
def test_c3_the_end_must_be_later_than_the_start(end: str) -> None:
    assert refusal({**GOOD, "start_date": "2024-01-01", "end_date": end}) == (
        "setting 'end_date' must be later than 'start_date'"
    )


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("2024-01-02", "2024-01-02T00:00:00+00:00"),
        ("2024-01-02T03:04:05Z", "2024-01-02T03:04:05+00:00"),
        ("2024-01-02T03:04:05.5+02:00", "2024-01-02T01:04:05.500000+00:00"),
        ("2024-01-02 03:04:05Z", "2024-01-02T03:04:05+00:00"),
    ],
)
def test_c3_dates_mean_utc_and_times_their_zone(text: str, meant: str) -> None:
    moment = instant("start_date", text)
    assert moment is not None
    assert moment.isoformat() == meant


def test_c3_no_date_is_no_instant() -> None:
    assert instant("start_date", None) is instant("start_date", "") is None


@pytest.mark.parametrize(
    "config",
    [
        pytest.param({"api_key": f"{CANARY}\n"}, id="C4-api_key-newline"),
        pytest.param({"api_key": f" {CANARY}"}, id="C4-api_key-blank"),
        pytest.param({"api_key": f"{CANARY[:4]}\t{CANARY[4:]}"}, id="C4-api_key-tab"),
        pytest.param({"api_key": f"{CANARY}\u00a0"}, id="C4-api_key-no-break-space"),
        pytest.param({"api_key": "key-1234", "connections": [{"key": f"{CANARY}\n"}]}, id="C4-inside-a-list"),
        pytest.param({"api_key": "key-1234", "api_url": "https://api.example.com/\n"}, id="C4-api_url-newline"),
        pytest.param({"api_key": "key-1234", "api_url": "https://api.exam ple.com"}, id="C4-api_url-blank"),
    ],
)
def test_c4_blanks_and_line_breaks_in_keys_and_addresses_are_told(config: dict[str, Any]) -> None:
    assert "spaces or line breaks" in refusal(config)


@pytest.mark.parametrize("value", ["a\udcff", "\ud83d"])
@pytest.mark.parametrize("name", ["api_key", "user_agent", "drop_fields", "weights"])
def test_c2_bytes_that_are_not_text_are_told(name: str, value: str) -> None:
    """A variable of the environment may hold any bytes."""
    given = {"drop_fields": [value], "weights": {value: 1.5}}.get(name, value)
    assert refusal({**GOOD, name: given}) == f"setting '{name}' holds bytes that are not UTF-8 text"


def test_c4_a_password_may_hold_blanks() -> None:
    assert TapExample(config={**GOOD, "password": "correct horse"}).config["password"] == "correct horse"


@pytest.mark.parametrize(
    "url",
    [
        "api.example.com",
        "ftp://api.example.com",
        "https://",
        "https://api.example.com:port",
        "http://api.example.com",
        "http://127.0.0.1.example.com",
        f"https://{CANARY}@api.example.com",
        f"https://user:{CANARY}@api.example.com",
        f"https://api.example.com/?key={CANARY}",
        f"https://api.example.com/#{CANARY}",
        "https://[::1",
    ],
)
def test_h16_an_address_that_may_not_be_called_is_refused(url: str) -> None:
    assert refusal({**GOOD, "api_url": url}).startswith("setting 'api_url' must")


def test_an_address_whose_variable_is_not_set_says_what_is_missing() -> None:
    message = refusal({**GOOD, "api_url": "/w/default/peakium/api/v1"})
    assert message.startswith("setting 'api_url' has no host: a variable that it is made from is not set")
    assert "--environment=prod" in message


@pytest.mark.parametrize(
    "url", ["https://api.example.com/v1/", "http://127.0.0.1:8080/w/x", "http://localhost:1", "http://[::1]:80"]
)
def test_https_and_this_machine_are_fine(url: str) -> None:
    assert TapExample(config={**GOOD, "api_url": url}).config["api_url"] == url


def test_hash_needs_a_key() -> None:
    assert "'pii_key' is missing" in refusal({**GOOD, "pii": "hash"})


def test_enable_streams_names_streams() -> None:
    message = refusal({**GOOD, "enable_streams": ["order"]})
    assert message == "setting 'enable_streams' names 'order'; the streams are events, orders, parts, places, secrets"


def test_drop_fields_leaves_keys_and_markers_alone() -> None:
    assert "'drop_fields' names 'id'" in refusal({**GOOD, "drop_fields": ["id"]})
    assert "'drop_fields' names 'at'" in refusal({**GOOD, "drop_fields": ["at"]})


@pytest.mark.parametrize("depth", [{}, {"flattening_max_depth": None}, {"flattening_max_depth": -1}])
def test_c1_flattening_needs_a_depth(depth: dict[str, Any]) -> None:
    assert "'flattening_max_depth' must be 0 or more" in refusal({**GOOD, "flattening_enabled": True, **depth})


def test_c1_a_depth_of_flattening_may_be_0() -> None:
    assert TapExample(config={**GOOD, "flattening_enabled": True, "flattening_max_depth": 0}).config["api_key"]


# The environment

ENVIRONMENT = {
    "API_KEY": ("12345678", "12345678"),
    "API_URL": ("https://api.example.org", "https://api.example.org"),
    "START_DATE": ("2024-01-01", "2024-01-01"),
    "CONCURRENCY": ("8", 8),
    "CONNECT_TIMEOUT_S": ("2.5", 2.5),
    "RETRY_MAX_S": ("0", 0),
    "MASK_SECRETS": ("no", False),
    "CLIENT_FILTER": ("TRUE", True),
    "DROP_FIELDS": ("name, note", ["name", "note"]),
    "ENABLE_STREAMS": ('["secrets"]', ["secrets"]),
    "WEIGHTS": ('{"a": 1}', {"a": 1}),
    "CONNECTIONS": ('[{"name": "a"}]', [{"name": "a"}]),
    "PASSWORD": ("", None),
}


def test_c2_the_environment_alone_suffices(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    for name, (text, _) in ENVIRONMENT.items():
        monkeypatch.setenv(f"TAP_EXAMPLE_{name}", text)
    found = read_environment(SCHEMA, "TAP_EXAMPLE_")
    assert found == {name.lower(): value for name, (_, value) in ENVIRONMENT.items() if value is not None}
    check_config(found, SCHEMA)


TEXTS = {
    "concurrency": ("8", 8),
    "connect_timeout_s": ("2.5", 2.5),
    "retry_max_s": ("0", 0),
    "requests_per_second": ("1e-1", 0.1),
    "lookback_days": ("2", 2),
    "mask_secrets": ("False", False),
    "client_filter": ("true", True),
    "drop_fields": ('["name"]', ["name"]),
    "weights": ('{"a": 1}', {"a": 1}),
    "user_agent": ("2", "2"),
    "page_size": ("", 100),
}


def test_c10_settings_that_a_program_hands_on_as_text_are_read_as_what_they_are() -> None:
    tap = TapExample(config={**GOOD, **{name: text for name, (text, _) in TEXTS.items()}})
    assert {name: tap.config[name] for name in TEXTS} == {name: value for name, (_, value) in TEXTS.items()}


@pytest.mark.parametrize("name", ["concurrency", "retry_max_s", "mask_secrets", "drop_fields", "weights"])
@pytest.mark.parametrize("text", [CANARY, "nan", "[", "1e999", "a,b"])
def test_c10_text_that_is_something_else_is_named(name: str, text: str) -> None:
    assert refusal({**GOOD, name: text}).startswith(f"setting '{name}' must be of type ")


def test_c2_a_dotenv_file_counts_and_variables_win(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / ".env").write_text('TAP_EXAMPLE_API_KEY="from-file"\nTAP_EXAMPLE_PAGE_SIZE=7\n')
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TAP_EXAMPLE_PAGE_SIZE", "8")
    assert read_environment(SCHEMA, "TAP_EXAMPLE_") == {"api_key": "from-file", "page_size": 8}


def test_c2_a_dotenv_file_that_is_no_text_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / ".env").write_bytes(b"TAP_EXAMPLE_API_KEY=\xff\xfe")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError, match=r"the file .*\.env cannot be read"):
        read_environment(SCHEMA, "TAP_EXAMPLE_")


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        pytest.param("CONCURRENCY", CANARY, "integer", id="C2-integer"),
        pytest.param("CONCURRENCY", "1.5", "integer", id="C2-fraction"),
        pytest.param("RETRY_MAX_S", CANARY, "number", id="C2-number"),
        pytest.param("RETRY_MAX_S", "nan", "number", id="C2-nan"),
        pytest.param("RETRY_MAX_S", "inf", "number", id="C2-infinity"),
        pytest.param("MASK_SECRETS", CANARY, "boolean", id="C2-boolean"),
        pytest.param("DROP_FIELDS", f"[{CANARY}", "array", id="C2-array"),
        pytest.param("WEIGHTS", CANARY, "object", id="C2-object"),
        pytest.param("WEIGHTS", "{", "object", id="C2-cut-object"),
    ],
)
def test_c2_a_variable_of_another_type_is_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str, text: str, expected: str
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv(f"TAP_EXAMPLE_{name}", text)
    with pytest.raises(ConfigError) as caught:
        read_environment(SCHEMA, "TAP_EXAMPLE_")
    assert str(caught.value) == f"environment variable TAP_EXAMPLE_{name} must be of type {expected}"


# Config files


def test_later_files_win(tmp_path: Path) -> None:
    paths = [tmp_path / "a.json", tmp_path / "b.json"]
    paths[0].write_text('{"api_key": "a", "page_size": 1}')
    paths[1].write_text('{"api_key": "b"}')
    assert read_config_files(map(str, paths), SCHEMA) == {"api_key": "b", "page_size": 1}


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        pytest.param(f'{{"api_key": "{CANARY}'.encode(), "is not valid JSON", id="C1-cut-JSON"),
        pytest.param(f"api_key: {CANARY}".encode(), "is not valid JSON", id="C1-YAML"),
        pytest.param(f'["{CANARY}"]'.encode(), "must contain a JSON object", id="C1-array"),
        pytest.param(b"\xff\xfe{}", "is not valid JSON", id="C1-not-UTF-8"),
        pytest.param(b"", "is not valid JSON", id="C1-empty-file"),
        pytest.param(b"[" * 100_000, "is not valid JSON", id="C1-endless-depth"),
    ],
)
def test_c1_a_file_that_holds_no_settings_is_told(tmp_path: Path, content: bytes, complaint: str) -> None:
    path = tmp_path / "config.json"
    path.write_bytes(content)
    with pytest.raises(ConfigError) as caught:
        read_config_files([str(path)], SCHEMA)
    assert str(caught.value) == f"the file of --config {complaint}"


@pytest.mark.parametrize(
    "given",
    [
        pytest.param(f'{{"api_key": "{CANARY}"}}', id="X6-JSON"),
        pytest.param(CANARY, id="X6-word"),
        pytest.param(CANARY * 10_000, id="X6-enormous"),
        pytest.param(f"{CANARY}\0", id="X6-NUL"),
        pytest.param(f"{CANARY}\udcff", id="X6-binary"),
    ],
)
def test_x6_what_stands_where_a_file_is_expected_is_not_repeated(given: str) -> None:
    for option in ("--config", "--state", "--catalog"):
        with pytest.raises(ConfigError) as caught:
            read_object(option, given)
        assert str(caught.value).startswith(f"{option} must name a file of JSON")
        assert CANARY not in str(caught.value)


@pytest.mark.parametrize("text", [CANARY, "1,2", "1e300,0,1", "nan,0,1", "0,0,0", "0,0,inf", "9" * 5000 + ",0,1"])
def test_x6_a_clock_that_makes_no_sense_is_named_and_not_repeated(text: str) -> None:
    with pytest.raises(ConfigError, match="MERCHANT_CLOCK") as caught:
        Clock.parse(text)
    assert len(str(caught.value)) < 100
    assert CANARY not in str(caught.value)


def test_x6_a_file_without_end_is_given_up() -> None:
    with pytest.raises(ConfigError, match="the file of --config is larger than 64 MiB"):
        read_config_files(["/dev/zero"], SCHEMA)


def test_c1_a_byte_order_mark_before_the_settings_is_no_mistake(tmp_path: Path) -> None:
    path = tmp_path / "config.json"
    path.write_bytes(b'\xef\xbb\xbf{"api_key": "a"}')
    assert read_config_files([str(path)], SCHEMA) == {"api_key": "a"}


@pytest.mark.parametrize(
    ("mode", "folder", "secrets", "warned"),
    [
        pytest.param(0o600, 0o755, ["s"], False, id="X4-private"),
        pytest.param(0o640, 0o755, ["s"], True, id="X4-group"),
        pytest.param(0o604, 0o755, ["s"], True, id="X4-world"),
        pytest.param(0o604, 0o701, ["s"], True, id="X4-folder-lets-others-through"),
        pytest.param(0o644, 0o755, [], False, id="X4-without-secrets"),
        pytest.param(0o644, 0o700, ["s"], False, id="X4-in-a-private-folder-as-Meltano-has-it"),
    ],
)
def test_x4_a_file_of_secrets_that_others_can_read_is_a_warning(
    mode: int, folder: int, secrets: list[str], warned: bool
) -> None:
    with tempfile.TemporaryDirectory() as outer:  # pytest's own folders are private
        Path(outer).chmod(folder)
        path = Path(outer) / "run" / "config.json"
        path.parent.mkdir(mode=0o755)
        path.write_text(json.dumps(GOOD))
        path.chmod(mode)
        warning = warn_if_exposed(str(path), secrets)
    assert warning == (
        f"config file {path} holds secrets that others can read; chmod 600 it, or write it under umask 077"
        if warned
        else None
    )


def test_a_dropped_field_that_no_stream_has_is_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        TapExample(config={**GOOD, "drop_fields": ["name", "nmae", "x"]})
    told = "setting 'drop_fields' names {!r}, which no stream has; it drops only unknown fields"
    assert [record.message for record in caplog.records] == [
        f"{told.format('nmae')}; did you mean 'name'?",
        told.format("x"),
    ]


def test_a_column_that_a_stream_map_cannot_remove_is_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    """Whoever misspells it loads what was to be left out."""
    maps = {
        "orders": {"name": None, "nmae": "__NULL__", "new": "id", "__alias__": "o"},
        "*": {"at": None, "naem": None},
        "copies": {"__source__": "orders", "_extra": None, "naem": None},
    }
    with caplog.at_level(logging.WARNING):
        TapExample(config={**GOOD, "stream_maps": maps})
    assert [record.message for record in caplog.records] == [
        f"setting 'stream_maps.{place}' removes a column that is not there; did you mean 'name'?"
        for place in ("orders.nmae", "*.naem", "copies.naem")
    ]
