"""The runs that load into a warehouse at the same time.

Each has a folder beside the DuckDB file, ``<file>.spool/<run>``, for what waits to be loaded, and a lock on it as long
as it lives. So the folders of runs that were killed are told from the others, and the next run removes them. A run's
folder also says which pipeline it loads: two runs of the same pipeline would remove each other's rows, so the second
waits for the first.
"""

from __future__ import annotations

import contextlib
import fcntl
import logging
import os
import shutil
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from target_duckhouse.errors import LoadError, LockedError
from target_duckhouse.warehouse.connection import wait_a_little
from target_duckhouse.warehouse.scratch import check_scratch, of_runs, remove_scratch

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["Run", "begin_run"]

logger = logging.getLogger("target-duckhouse")

_PIPELINE = "pipeline"
"""The file in a run's folder that says who loads what: a process, and a state id."""


class Run:
    """A run that is going on.

    Args:
        folder: Its own folder.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.id = folder.name

    def take(self, state_id: str, timeout_s: float) -> None:
        """Keep other runs of a pipeline out, after those that have begun before.

        Args:
            state_id: The pipeline.
            timeout_s: How long to wait for them, in seconds.

        Raises:
            LockedError: Another run of it went on the whole time.
        """
        deadline, is_waiting = time.monotonic() + timeout_s, False
        while True:
            with _alone(self.folder.parent):
                if (other := self._other(state_id)) is None:
                    (self.folder / _PIPELINE).write_text(f"{os.getpid()} {state_id}", encoding="utf-8")
                    return
            who = f"the state id {state_id} is being loaded by process {other}"
            if time.monotonic() >= deadline:
                raise LockedError(f"{who}; waited {timeout_s:g} s (setting `lock_timeout_s`)")
            if not is_waiting:
                logger.info("%s; waiting up to %g s (setting `lock_timeout_s`)", who, timeout_s)
                is_waiting = True
            wait_a_little()

    def _other(self, state_id: str) -> str | None:
        """The process of another run that loads a pipeline."""
        for folder in of_runs(self.folder.parent):
            with contextlib.suppress(OSError):
                process, name = (folder / _PIPELINE).read_text(encoding="utf-8").split(" ", 1)
                if name == state_id and folder != self.folder and _is_alive(folder):
                    return process
        return None


@contextmanager
def begin_run(path: str, name: str) -> Iterator[Run]:
    """A run into a warehouse, from its begin to its end.

    Args:
        path: The DuckDB file.
        name: The run.

    Raises:
        LoadError: The folder cannot be created.
    """
    folder = Path(os.path.realpath(path) + ".spool", name)
    try:
        folder.parent.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise LoadError(f"setting `path`: the folder of {path} cannot be created: {error.strerror}") from None
    try:
        held = _make(folder)
    except OSError as error:
        raise LoadError(f"{error.filename or folder}: {error.strerror}") from None
    try:
        yield Run(folder)
    finally:
        remove_scratch(folder)
        os.close(held)


def _make(folder: Path) -> int:
    """Create a run's folder and lock it, after removing those of runs that were killed."""
    while True:
        check_scratch(folder.parent)
        with contextlib.suppress(FileNotFoundError), _alone(folder.parent):  # another run may just have ended
            for other in of_runs(folder.parent):
                if _is_alive(other) is False:
                    shutil.rmtree(other)
            folder.mkdir()
            held = os.open(folder, os.O_RDONLY)
            with contextlib.suppress(OSError):  # a file system without locks
                fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return held


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """While it is open, no other run creates or removes the folders of runs."""
    held = os.open(folder, os.O_RDONLY)
    try:
        with contextlib.suppress(OSError):  # a file system without locks
            fcntl.flock(held, fcntl.LOCK_EX)
        yield
    finally:
        os.close(held)


def _is_alive(folder: Path) -> bool | None:
    """Whether the run that made a folder is going on; None if that is not known."""
    try:
        held = os.open(folder, os.O_RDONLY)
    except OSError:
        return False  # it has just ended
    try:
        fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return None  # a file system without locks
    finally:
        os.close(held)
    return False
