"""An HTTP client for the sandbox's own tests."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest
import urllib3

if TYPE_CHECKING:
    from collections.abc import Iterator

    from merchant_sandbox.client import World


@dataclass
class Peakium:
    """Reads the Peakium API of one world."""

    world: World
    pool: urllib3.PoolManager

    def get(self, path: str, /, **fields: Any) -> urllib3.BaseHTTPResponse:
        config = self.world.config("peakium")
        headers = urllib3.make_headers(basic_auth=f"{config['api_key']}:")
        return self.pool.request(
            "GET", config["api_url"] + path, fields=fields, headers=headers, redirect=False, retries=False, timeout=5
        )

    def rows(self, path: str, **fields: Any) -> list[dict[str, Any]]:
        rows: list[dict[str, Any]] = []
        while page := self.get(path, count=100, offset=len(rows), **fields).json()["data"]:
            rows += page
        return rows


@pytest.fixture
def pool() -> Iterator[urllib3.PoolManager]:
    with urllib3.PoolManager() as manager:
        yield manager


@pytest.fixture
def peakium(world: World, pool: urllib3.PoolManager) -> Peakium:
    return Peakium(world, pool)
