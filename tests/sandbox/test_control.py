"""Control calls come from programs of this machine, and from nowhere else."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from merchant_sandbox.errors import SandboxError

if TYPE_CHECKING:
    import urllib3

    from merchant_sandbox.client import Sandbox, World

JSON = {"Content-Type": "application/json"}


def drop(
    sandbox: Sandbox, pool: urllib3.PoolManager, world: World, *, method: str = "POST", **headers: str
) -> urllib3.BaseHTTPResponse:
    sent = {name.replace("_", "-"): value for name, value in headers.items()}
    body = json.dumps({"world": world.name}) if method != "GET" else None
    url = f"{sandbox.url}/_control/drop_world"
    return pool.request(method, url, body=body, headers=sent, retries=False, timeout=5)


@pytest.mark.parametrize(
    ("status", "sent"),
    [
        pytest.param(405, {"method": "GET"}, id="link"),
        pytest.param(405, {"method": "PUT", **JSON}, id="put"),
        pytest.param(405, {"method": "OPTIONS"}, id="preflight"),
        pytest.param(415, {"Content-Type": "text/plain"}, id="form"),
        pytest.param(415, {"Content-Type": "application/x-www-form-urlencoded"}, id="plain-form"),
        pytest.param(415, {}, id="no-type"),
        pytest.param(403, {**JSON, "Origin": "https://example.com"}, id="page"),
        pytest.param(403, {**JSON, "Origin": "null"}, id="sandboxed-page"),
        pytest.param(403, {**JSON, "Origin": "http://127.0.0.1:8765"}, id="page-of-another-local-server"),
        pytest.param(403, {**JSON, "Host": "rebound.example.com"}, id="name-that-points-here"),
        pytest.param(403, {**JSON, "Host": "127.0.0.1.example.com:80"}, id="name-that-looks-like-here"),
        pytest.param(403, {**JSON, "Host": "[::1"}, id="no-name"),
    ],
)
def test_a_web_page_cannot_drop_a_world(
    sandbox: Sandbox, pool: urllib3.PoolManager, world: World, status: int, sent: dict[str, str]
) -> None:
    answer = drop(sandbox, pool, world, **sent)
    assert answer.status == status
    assert "error" in answer.json()
    assert world.describe()["name"] == world.name


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost:1234", "[::1]:80"])
def test_a_program_of_this_machine_can(sandbox: Sandbox, pool: urllib3.PoolManager, host: str) -> None:
    world = sandbox.world()
    assert drop(sandbox, pool, world, Host=host, **{"Content-Type": "application/json; charset=utf-8"}).status == 200
    with pytest.raises(SandboxError):
        world.describe()
