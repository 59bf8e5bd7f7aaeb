"""The connection test: a line for each stream that says whether it can be read, and what to do if not."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from tests.core.example import start

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path
    from typing import Any

    from tests.core.conftest import Lists


@pytest.fixture
def full(lists: Lists) -> Lists:
    """An API with a few rows in most lists."""
    lists.rows |= {"/orders": [{"id": "a", "parts": [{"sku": "x"}]}], "/places": [{"id": "a"}]}
    return lists


def probe(
    folder: Path, config: Mapping[str, Any], *arguments: str, code: str | None = None
) -> tuple[int, dict[str, str], str]:
    """The exit code, what is said of each stream, and the log."""
    with start(folder, config, "--test", *arguments, code=code, stdout=-1) as process:
        output, said = process.communicate(timeout=60)
    lines = dict(line.split(maxsplit=1) for line in output.decode().splitlines())
    return process.returncode, lines, said.decode()


def test_each_stream_has_a_line(tmp_path: Path, full: Lists) -> None:
    assert probe(tmp_path, full.config) == (
        0,
        {
            "orders": "ok",
            "parts": "ok",
            "events": "ok, but there are no records",
            "places": "ok",
            "secrets": "skipped: enable_streams switches it on",
        },
        "",
    )
    assert [request.target for request in full.server.seen] == ["/orders", "/events", "/places"]


def test_a_stream_that_cannot_be_read_is_told_with_what_to_do_and_the_others_are_tried(
    tmp_path: Path, full: Lists
) -> None:
    full.rows["/orders"] = full.server.answer(403)
    code, lines, said = probe(tmp_path, full.config)
    assert (code, said) == (4, "")
    assert lines["orders"] == lines["parts"]
    assert lines["orders"].startswith("failed: GET /orders: 403 Forbidden")
    assert lines["orders"].endswith("extend their rights at the vendor")
    assert lines["places"] == "ok"


def test_a4_refused_credentials_cost_one_request(tmp_path: Path, full: Lists) -> None:
    full.rows["/orders"] = full.server.answer(401)
    code, lines, _ = probe(tmp_path, full.config)
    assert code == 3
    assert lines["orders"].endswith("the API refuses the credentials; check api_key")
    assert lines["places"] == "not tried, for the same reason"
    assert len(full.server.seen) == 1


def test_a_host_out_of_reach_is_asked_for_one_stream(tmp_path: Path, full: Lists) -> None:
    code, lines, _ = probe(tmp_path, {**full.config, "api_url": "http://localhost:9"})
    assert code == 4
    assert lines["orders"].startswith("failed: ")
    assert "api_url" in lines["orders"]
    assert lines["places"] == "not tried, for the same reason"


def test_what_the_settings_allow_to_be_tried_again_for_is_cut_short(tmp_path: Path, full: Lists) -> None:
    """Somebody is waiting: fifteen minutes, the default, are for a run at night."""
    full.rows["/orders"] = full.server.answer(503)
    code = "import tap_core.probe as p; p.RETRY_MAX_S = 0; from tests.core.example import TapExample; TapExample.main()"
    exit_code, lines, _ = probe(tmp_path, {**full.config, "retry_max_s": 900}, code=code)
    assert exit_code == 4
    assert "503" in lines["orders"]
    assert lines["places"] == "ok"


@pytest.mark.parametrize("first", [True, False], ids=["before", "after"])
def test_a_catalog_says_which_streams_are_tried(tmp_path: Path, full: Lists, *, first: bool) -> None:
    with start(tmp_path, full.config, "--discover", stdout=-1) as process:
        catalog = json.loads(process.communicate(timeout=60)[0])
    for entry in catalog["streams"]:
        if entry["stream"] == "places":
            entry["metadata"][0 if not entry["metadata"][0]["breadcrumb"] else -1]["metadata"]["selected"] = False
    (tmp_path / "catalog.json").write_text(json.dumps(catalog))
    options = ["--catalog", str(tmp_path / "catalog.json")]
    with start(tmp_path, full.config, *([*options, "--test"] if first else ["--test", *options]), stdout=-1) as process:
        output = process.communicate(timeout=60)[0].decode()
    assert "places   skipped: not selected\n" in output
    assert "orders   ok\n" in output
