"""What an installation brings along: no package more than the page says, and none that is never used."""

from __future__ import annotations

import re
import subprocess
import sys
from importlib.metadata import requires
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parent.parent
PAGE = (ROOT / "docs/guides/your-project.md").read_text(encoding="utf-8")
SIZES = re.compile(r"^\| `merchant-taps(?:\[(\w+)\])?` \| (\d+) \|", re.MULTILINE)
IDLE = {"sqlalchemy", "greenlet"}
"""What comes with singer-sdk and is never imported: the page says that it can be removed."""
WITHOUT = """
import sys
sys.modules.update(dict.fromkeys({idle}))
sys.argv = ["tap-peakium", "--config=ENV"]
from tap_peakium.__main__ import main
sys.exit(main())
"""
"""Runs a tap where an import of these ends in an error."""

counted = pytest.mark.skipif(sys.version_info[:2] != (3, 11), reason="the page counts what Python 3.11 needs")


def needed(text: str) -> set[str]:
    """The names of all packages that an installation brings, that itself among them."""
    found: set[str] = set()
    waiting = [(Requirement(text).name, frozenset(Requirement(text).extras))]
    seen = set(waiting)
    while waiting:
        name, extras = waiting.pop()
        found.add(canonicalize_name(name))
        for line in requires(name) or ():
            one = Requirement(line)
            wanted = one.marker is None or any(one.marker.evaluate({"extra": extra}) for extra in ("", *extras))
            step = (one.name, frozenset(one.extras))
            if wanted and step not in seen:
                seen.add(step)
                waiting.append(step)
    return found


@counted
@pytest.mark.parametrize(("extra", "count"), SIZES.findall(PAGE))
def test_an_installation_brings_as_many_packages_as_the_page_says(extra: str, count: str) -> None:
    brought = needed(f"merchant-taps[{extra}]" if extra else "merchant-taps")
    assert len(brought) == int(count), sorted(brought)
    assert brought > IDLE


@counted
def test_the_page_says_how_many_come_with_the_sdk() -> None:
    (count,) = re.findall(r"(\d+) are singer-sdk and what it needs", PAGE)
    assert len(needed("singer-sdk[msgspec]")) == int(count)


def test_a_tap_works_without_what_the_page_says_can_be_removed() -> None:
    assert all(f"{name}" in PAGE for name in IDLE)
    code = WITHOUT.format(idle=sorted(IDLE))
    sandbox = Path(sys.executable).parent / "merchant-sandbox"
    done = subprocess.run(
        [sandbox, "run", "--", sys.executable, "-c", code], capture_output=True, check=False, text=True
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.count('"RECORD"') > 100
