"""Fixtures of the loader's tests."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.loader.harness import Loader

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def loader(tmp_path: Path) -> Loader:
    return Loader(tmp_path)
