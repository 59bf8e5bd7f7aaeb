"""Make the mistakes of ``tests/mutants.toml`` one by one, each in a copy of the code, and see which tests notice.

A mistake that no test notices survives: a test is missing. Nothing is changed in the working tree.
"""

from __future__ import annotations

import argparse
import os
import shlex
import subprocess
import sys
import tempfile
import tomllib
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from tests.tree import ROOT, copy_tree

__all__ = ["Mutant", "mutants"]

_LONGEST_S = 600
_ALL_PASSED, _SOME_FAILED = 0, 1
_NOTICED = "noticed"


@dataclass(frozen=True)
class Mutant:
    """A mistake, and the tests that must notice it.

    Args:
        breaks: What goes wrong.
        file: The file that is changed, from the project's folder.
        was: The text that is replaced; it occurs once.
        now: What replaces it.
        tests: What pytest is given.
    """

    breaks: str
    file: str
    was: str
    now: str
    tests: str

    def code(self) -> str:
        """The file with the mistake in it.

        Raises:
            ValueError: The text to be replaced does not occur exactly once.
        """
        text = (ROOT / self.file).read_text()
        if text.count(self.was) != 1:
            raise ValueError(f"{self.breaks}: {self.was!r} occurs {text.count(self.was)} times in {self.file}")
        return text.replace(self.was, self.now)


def mutants() -> list[Mutant]:
    """All mistakes."""
    return [Mutant(**entry) for entry in tomllib.loads((ROOT / "tests/mutants.toml").read_text())["mutant"]]


def _main() -> None:
    """Try all mistakes, or some, and report the survivors; the exit code is their number, at most 99."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--jobs", type=int, default=1, help="mistakes to try at a time")
    parser.add_argument("--only", default="", help="only mistakes whose file or description has this text")
    options = parser.parse_args()
    chosen = [mutant for mutant in mutants() if options.only in f"{mutant.file}: {mutant.breaks}"]
    survived = 0
    with ThreadPoolExecutor(options.jobs) as pool:
        for mutant, verdict in zip(chosen, pool.map(_verdict, chosen), strict=True):
            survived += verdict != _NOTICED
            sys.stdout.write(f"{verdict:8} {mutant.file}: {mutant.breaks}\n")
            sys.stdout.flush()
    sys.stdout.write(f"{survived} of {len(chosen)} survived\n")
    sys.exit(min(survived, 99))


def _verdict(mutant: Mutant) -> str:
    """Whether the tests notice a mistake, or what is wrong with them."""
    with tempfile.TemporaryDirectory() as folder:
        copy = copy_tree(Path(folder, "copy"))
        (copy / mutant.file).write_text(mutant.code())
        command = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", *shlex.split(mutant.tests)]
        env = {**os.environ, "PYTHONPATH": str(copy)}
        try:
            done = subprocess.run(command, cwd=copy, env=env, capture_output=True, check=False, timeout=_LONGEST_S)
        except subprocess.TimeoutExpired:
            return _NOTICED
    if done.returncode == _SOME_FAILED:
        return _NOTICED
    return "SURVIVED" if done.returncode == _ALL_PASSED else f"pytest ended with {done.returncode}:"


if __name__ == "__main__":
    _main()
