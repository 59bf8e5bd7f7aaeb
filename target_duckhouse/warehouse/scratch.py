"""Folders for files that live no longer than a run. What a run that was killed has left there, the next one removes.

Such a folder stands beside the data of users. So nothing in it is removed but what a run of the loader has put there,
and nothing is removed, or written, through a link.
"""

from __future__ import annotations

import contextlib
import re
import shutil
from typing import TYPE_CHECKING

from target_duckhouse.errors import LoadError

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["check_scratch", "clear_scratch", "of_runs", "remove_scratch"]

_OF_A_RUN = re.compile(r"[0-9a-f]{32}(-[0-9]+)?")
"""The names of the folders in it: the run, and a number."""


def clear_scratch(folder: Path) -> None:
    """Create a folder for the files of runs, or remove what runs that were killed have left in it.

    Args:
        folder: The folder. No other run may be using it.

    Raises:
        LoadError: Something else has its name, or it cannot be written.
    """
    check_scratch(folder)
    try:
        for entry in of_runs(folder):
            shutil.rmtree(entry)
    except OSError as error:
        raise LoadError(f"{error.filename or folder}: {error.strerror}") from None


def check_scratch(folder: Path) -> None:
    """Create a folder for the files of runs if it does not exist.

    Raises:
        LoadError: Something else has its name, or it cannot be created.
    """
    if folder.is_symlink() or (folder.exists() and not folder.is_dir()):
        raise LoadError(f"{folder} is not a folder of the loader's own, but it needs this name for one; move it away")
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise LoadError(f"{error.filename or folder}: {error.strerror}") from None


def of_runs(folder: Path) -> list[Path]:
    """The folders of runs in a folder."""
    return [
        entry
        for entry in folder.iterdir()
        if _OF_A_RUN.fullmatch(entry.name) and entry.is_dir() and not entry.is_symlink()
    ]


def remove_scratch(folder: Path) -> None:
    """Remove what a run has in such a folder, and the folder itself unless something else is in it.

    Args:
        folder: The run's own part.
    """
    shutil.rmtree(folder, ignore_errors=True)
    with contextlib.suppress(OSError):
        folder.parent.rmdir()
