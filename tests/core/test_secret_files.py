"""Secrets from files: read like the settings that they stand for, and never repeated."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from tap_core.config.environment import read_environment
from tap_core.config.secret_files import with_secrets
from tap_core.errors import ConfigError
from tests.core.example import TapExample, start

if TYPE_CHECKING:
    from pathlib import Path

    from tests.core.conftest import Lists

CANARY = "canary-5b0f-quince"
BASIC = "Basic Y2FuYXJ5LTViMGYtcXVpbmNlOg=="
"""The secret as the API gets it."""


def tried(folder: Path, config: dict[str, Any], *arguments: str, env: dict[str, str] | None = None) -> tuple[int, str]:
    """The exit code of ``--test``, and all that it says."""
    with start(folder, config, *arguments, "--test", stdout=-1, env={"LOGLEVEL": "DEBUG", **(env or {})}) as process:
        output, said = process.communicate(timeout=60)
    return process.returncode, (output + said).decode()


def keys(lists: Lists) -> set[str]:
    return {request.headers["authorization"] for request in lists.server.seen}


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    file = tmp_path / "secret"
    file.write_text(f"{CANARY}\n")
    return file


def test_a_file_that_a_variable_names_has_the_precedence_of_a_variable(
    tmp_path: Path, lists: Lists, secret: Path
) -> None:
    variable = {"TAP_EXAMPLE_API_KEY_FILE": str(secret)}
    code, said = tried(tmp_path, lists.config, env=variable)
    assert code == 0, said
    assert BASIC not in keys(lists), "without --config ENV, variables count for nothing"
    lists.server.seen.clear()
    code, said = tried(tmp_path, lists.config, "--config", "ENV", env=variable)
    assert code == 0, said
    assert keys(lists) == {BASIC}
    assert CANARY not in said


def test_a_config_file_may_name_it_and_a_later_source_wins(tmp_path: Path, lists: Lists, secret: Path) -> None:
    """Meltano hands on a config file, with the settings that it has from its own environment."""
    config = {name: value for name, value in lists.config.items() if name != "api_key"}
    code, said = tried(tmp_path, {**config, "api_key_file": str(secret)})
    assert code == 0, said
    assert keys(lists) == {BASIC}
    lists.server.seen.clear()
    later = tmp_path / "later.json"
    later.write_text(json.dumps({"api_key": "another-key"}))
    code, said = tried(tmp_path, {**config, "api_key_file": str(secret)}, "--config", str(later))
    assert code == 0, said
    assert BASIC not in keys(lists)


def test_a_setting_with_secrets_inside_is_read_as_json(tmp_path: Path, lists: Lists, secret: Path) -> None:
    secret.write_text(json.dumps([{"name": "a", "key": CANARY}]) + "\r\n")
    code, said = tried(tmp_path, {**lists.config, "connections_file": str(secret)})
    assert code == 0, said
    secret.write_text(json.dumps([{"name": "a", "kee": CANARY}]))
    code, said = tried(tmp_path, {**lists.config, "connections_file": str(secret)})
    assert code == 2
    assert "connections" in said
    assert CANARY not in said
    secret.write_text(f"{CANARY}]")
    env = {"TAP_EXAMPLE_CONNECTIONS_FILE": str(secret)}
    code, said = tried(tmp_path, lists.config, "--config", "ENV", env=env)
    assert code == 2
    assert "environment variable TAP_EXAMPLE_CONNECTIONS_FILE must be of type array" in said
    assert CANARY not in said


@pytest.mark.parametrize("where", ["variable", "config"])
@pytest.mark.parametrize(
    ("content", "path", "complaint"),
    [
        pytest.param(None, None, "and it cannot be read: No such file or directory", id="missing"),
        pytest.param(None, ".", "and it cannot be read: Is a directory", id="folder"),
        pytest.param(b"", None, " names is empty", id="empty"),
        pytest.param(b" \n", None, " names is empty", id="blank"),
        pytest.param(CANARY.encode() + b"\xff", None, " names is not UTF-8 text", id="binary"),
        pytest.param(CANARY.encode() * 80_000, None, " names is larger than 1 MiB", id="huge"),
        pytest.param(None, CANARY, "and it cannot be read: No such file or directory", id="the-secret-itself"),
        pytest.param(None, CANARY * 400, "and it cannot be read: File name too long", id="a-long-secret-itself"),
    ],
)
def test_a_file_that_cannot_be_used_is_one_line_that_names_its_setting(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, where: str, content: bytes | None, path: str | None, complaint: str
) -> None:
    file = tmp_path / "unusable"
    if content is not None:
        file.write_bytes(content)
    named, schema = path or str(file), TapExample.config_jsonschema
    config = {"api_key_file": named}
    monkeypatch.setenv("TAP_EXAMPLE_API_KEY_FILE", named)
    with pytest.raises(ConfigError) as caught:
        _ = read_environment(schema, "TAP_EXAMPLE_") if where == "variable" else with_secrets(config, schema)
    (line,) = str(caught.value).splitlines()
    assert complaint in line
    assert (
        "environment variable TAP_EXAMPLE_API_KEY_FILE" if where == "variable" else "setting 'api_key_file'"
    ) in line
    assert CANARY not in line


def test_a_value_and_a_file_are_one_too_many(tmp_path: Path, lists: Lists, secret: Path) -> None:
    env = {"TAP_EXAMPLE_API_KEY_FILE": str(secret), "TAP_EXAMPLE_API_KEY": CANARY}
    code, said = tried(tmp_path, lists.config, "--config", "ENV", env=env)
    assert code == 2
    assert "TAP_EXAMPLE_API_KEY and TAP_EXAMPLE_API_KEY_FILE are both set; keep one of them" in said
    code, more = tried(tmp_path, {**lists.config, "api_key_file": str(secret)})
    assert code == 2
    assert "settings 'api_key' and 'api_key_file' are both set; keep one of them" in more
    assert CANARY not in said + more


def test_only_secrets_may_be_in_files(tmp_path: Path, lists: Lists, secret: Path) -> None:
    code, said = tried(tmp_path, {**lists.config, "start_date_file": str(secret)})
    assert code == 2
    assert "unknown setting 'start_date_file'" in said
