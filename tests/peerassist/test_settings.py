"""Settings that make no sense, and personal data."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tap_core.config.environment import read_environment
from tap_core.config.guesses import resolved
from tap_core.errors import ConfigError
from tap_core.testing import Account, run_tap
from tap_peerassist.guesses import DATES_OF_CHANGE, ENDPOINTS, PAGINATION
from tap_peerassist.tap import TapPeerAssist

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.peerassist.conftest import Reader

CREDENTIALS = {"client_key": "key-of-a-test", "username": "user@example.com", "password": "word of a pass"}


@pytest.mark.parametrize(
    ("config", "line"),
    [
        pytest.param({"client_key": None}, "setting 'client_key' is missing", id="C1-no-key"),
        pytest.param({"password": None}, "setting 'password' is missing", id="C1-no-password"),
        pytest.param({"user_name": "x"}, "unknown setting 'user_name'; did you mean 'username'?", id="C1-misspelt"),
        pytest.param({"endpoints": {"fwo": "/fwo"}}, "has no member 'fwo'; did you mean 'fwos'?", id="C1-endpoint"),
        pytest.param({"endpoints": {"fwos": "fwo"}}, "'endpoints.fwos' must be a path without a query", id="C1-path"),
        pytest.param({"endpoints": {"auth": "/auth?x=1"}}, "'endpoints.auth' must be a path", id="C1-query"),
        pytest.param({"endpoints": {"fwos": "/fwo/{id}"}}, "'endpoints.fwos' must be a path", id="C1-id"),
        pytest.param({"endpoints": {"customer": "/c"}}, "such as /customer/{id}", id="C1-no-id"),
        pytest.param({"pagination": {"page": "p"}}, "'pagination' has no member 'page'; did you", id="C1-pagination"),
        pytest.param({"pagination": {"first_page": 2}}, "must be 1 or less", id="C1-first-page"),
        pytest.param({"pagination": {"unpaged": ["fwo"]}}, "the streams are customers", id="C1-unpaged"),
        pytest.param({"source_timezone": "Mars"}, "setting 'source_timezone'", id="C1-zone"),
        pytest.param({"fwo_replication_key": "id"}, "must name a field with a date", id="C1-key-is-id"),
        pytest.param({"customer_ids": ["three"]}, "setting 'customer_ids.0' must be of type integer", id="C1-ids"),
        pytest.param({"client_key": "two words"}, "contains spaces", id="C4-blanks"),
    ],
)
def test_a_wrong_setting_is_one_line_that_names_it(config: dict[str, Any], line: str) -> None:
    with pytest.raises(ConfigError) as caught:
        TapPeerAssist(config={**CREDENTIALS, **config})
    assert line in str(caught.value)
    assert "two words" not in str(caught.value)


def test_c2_a_list_of_ids_may_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TAP_PEERASSIST_CUSTOMER_IDS", "3, 4")
    assert read_environment(TapPeerAssist.config_jsonschema, "TAP_PEERASSIST_")["customer_ids"] == [3, 4]
    monkeypatch.setenv("TAP_PEERASSIST_CUSTOMER_IDS", "three")
    with pytest.raises(ConfigError, match="TAP_PEERASSIST_CUSTOMER_IDS must be of type array"):
        read_environment(TapPeerAssist.config_jsonschema, "TAP_PEERASSIST_")


def test_h16_the_plain_http_address_of_the_guide_is_refused() -> None:
    run = run_tap(TapPeerAssist, Account(CREDENTIALS), config={"api_url": "http://198.51.100.7:9090"})
    assert run.code == 2
    assert "must be https" in run.log
    assert run.output == b""
    assert "Traceback" not in run.log


def test_x3_personal_data_can_be_dropped_unknown_members_included(reader: Callable[..., Reader]) -> None:
    source = reader(lines=True)
    text = source.read(pii="drop").output.decode()
    for trace in ("@example.com", "Doe 7", "Pat Doe", "Contact 1"):
        assert trace not in text
    assert "Pat Doe" in source.read().output.decode()


def test_c5_lines_inside_a_ticket_are_kept_as_they_are(reader: Callable[..., Reader]) -> None:
    source = reader(lines=True)
    lines = [row["_extra"]["labor"] for row in source.read(enable_streams=[]).records("fwos") if "_extra" in row]
    assert any(line and line[0]["employeeName"].startswith("Pat Doe") for line in lines)


def test_the_page_of_the_tap_tells_every_guess() -> None:
    page = (Path(__file__).parents[2] / "docs/tap-peerassist.md").read_text(encoding="utf-8")
    rows = {
        cells[1]: cells[2] for line in page.splitlines() if len(cells := [cell.strip() for cell in line.split("|")]) > 3
    }
    for name, guess in ENDPOINTS.items():
        assert rows[f"`endpoints.{name}`"] == f"`{guess.value}`"
    unset = {"first_page": "found out", "unpaged": "none"}
    for name, value in resolved(PAGINATION, {}).items():
        shown = ", ".join(f"`{part}`" for part in ([value] if isinstance(value, str) else value or ()))
        assert rows[f"`pagination.{name}`"] == unset.get(name, shown)
    assert ", ".join(f"`{name}`" for name in DATES_OF_CHANGE) in " ".join(page.split())
