"""``make new-tap NAME=acme``: a complete vendor, to be turned into the real one.

It writes the tap, its API in the sandbox, the contract, the tests and the page, all about one stream of items, and adds
the tap wherever else it must be named (`scripts.wiring`). The result passes ``make lint`` and its own tests at once.
``docs/guides/new-vendor.md`` says how to go on from there.

The templates are the files of a vendor called Acme; its name is all that is replaced.
"""

from __future__ import annotations

import keyword
import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

__all__ = ["SUFFIX", "TEMPLATES", "main", "write"]

SUFFIX = ".template"
TEMPLATES = Path(__file__).with_name("templates")
_ROOT = Path(__file__).parents[1]
_NAME = re.compile(r"[a-z]{2,20}")
_NEXT = """
Next:
  Try it:            make test TESTS=tests/{name}
  Make it your own:  docs/guides/new-vendor.md
"""


def main(arguments: Sequence[str]) -> int:
    """Write the files of a new tap; returns the exit code."""
    name = arguments[0] if arguments else ""
    if reason := _refusal(name):
        _say(f"NAME: {reason}.")
        return 2
    for file in write(name):
        _say(file.relative_to(_ROOT).as_posix())
    _run("scripts.reference")
    _say(_NEXT.format(name=name).rstrip())
    return 0


def write(name: str) -> list[Path]:
    """Write the files of a new tap, and name it nowhere else; returns the files."""
    files = {target: _named(template.read_text(encoding="utf-8"), name) for template, target in _files(name)}
    for file, text in files.items():
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
    modules = [str(file) for file in files if file.suffix == ".py"]
    # The order of imports and of __all__, and the breaks of lines, depend on the name.
    _run("ruff", "check", "--quiet", "--select=I,RUF022", "--fix", *modules)
    _run("ruff", "format", "--quiet", *modules)
    return list(files)


def _refusal(name: str) -> str | None:
    """Why a tap cannot have this name; None if it can."""
    if not _NAME.fullmatch(name):
        return f"{name!r} is not a name for a tap; take 2 to 20 lower-case letters, such as acme"
    if keyword.iskeyword(name):
        return f"{name!r} is a keyword of Python and cannot name a module"
    for place in _places(name):
        if (_ROOT / place).exists():
            return f"{name!r} is taken: there is {place}"
    word = re.compile(rf"\b{name}", re.IGNORECASE)
    for file in sorted((_ROOT / "tap_core").rglob("*.py")):
        if word.search(file.read_text(encoding="utf-8")):
            return f"{name!r} is a word in {file.relative_to(_ROOT).as_posix()}, and the engine names no vendor"
    return None


def _files(name: str) -> Iterator[tuple[Path, Path]]:
    """Each template, and the file that is made from it."""
    for template in sorted(path for path in TEMPLATES.rglob(f"*{SUFFIX}") if path.is_file()):
        path = template.relative_to(TEMPLATES).as_posix().removesuffix(SUFFIX)
        yield template, _ROOT / _named(path, name)


def _places(name: str) -> list[str]:
    """The folders and files that will have the name."""
    paths = [template.relative_to(TEMPLATES).as_posix().removesuffix(SUFFIX) for template, _ in _files(name)]
    return sorted({_named(re.sub(r"(acme[^/]*).*", r"\1", path), name) for path in paths})


def _named(text: str, name: str) -> str:
    return text.replace("acme", name).replace("Acme", name.capitalize()).replace("ACME", name.upper())


def _run(module: str, *arguments: str) -> None:
    subprocess.run([sys.executable, "-m", module, *arguments], cwd=_ROOT, check=True)


def _say(text: str) -> None:
    print(text)  # noqa: T201 - a command speaks


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
