"""How many examples a target plays, and where the inputs are kept that it plays each time.

``FUZZ=1000`` plays a thousand examples of each target, or a share of them where one is costly, other ones each time.
Without it there are a few, the same each time.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, Phase, settings

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["corpus", "examples"]

_MANY = int(os.environ.get("FUZZ") or 0)
_CORPUS = Path(__file__).with_name("corpus")
_PHASES = (Phase.explicit, Phase.reuse, Phase.generate, Phase.shrink)


def examples(few: int, *, share: int = 1) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Settings of a target.

    Args:
        few: How many examples each test run plays.
        share: One in so many of those that ``FUZZ`` asks for, because each is costly.
    """
    return settings(
        max_examples=max(few, _MANY // share),
        derandomize=not _MANY,
        deadline=None,
        phases=_PHASES,
        suppress_health_check=list(HealthCheck),
    )


def corpus(target: str) -> pytest.MarkDecorator:
    """Runs a test with each kept input of a target, as its parameter ``file``."""
    files = sorted(path for path in (_CORPUS / target).iterdir() if path.is_file())
    assert files, f"there is no input in {_CORPUS / target}"
    assert all(path.stat().st_size for path in files), "an empty file tries nothing"
    return pytest.mark.parametrize("file", files, ids=[path.name for path in files])
