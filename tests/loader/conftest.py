"""Fixtures of the loader's tests."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.loader.harness import Loader

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(autouse=True)
def far_away(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is stored does not depend on the time zone of the machine: here, one that is hours away from UTC."""
    monkeypatch.setenv("TZ", "Asia/Kathmandu")


@pytest.fixture
def loader(tmp_path: Path) -> Loader:
    return Loader(tmp_path)
