"""The parts of ``meltano.yml`` and of the pages that are generated from the code: ``python -m scripts.reference``.

On a page, a part is between two comments, ``begin PART SUBJECT`` and ``end PART SUBJECT``. The sandbox's page has
tables of its own. A tap that is not named anywhere yet is first added wherever it has to be (`scripts.wiring`).
"""

from __future__ import annotations

import json
import re
from functools import partial
from typing import TYPE_CHECKING

from merchant_sandbox.reference import regenerate as sandbox_tables
from scripts.dbt_sources import SOURCES, sources
from scripts.definitions import definitions, selection
from scripts.describe import ROOT, VENDORS, emitted, help_text, loader_settings, streams, tap_settings
from scripts.kubernetes import MANIFESTS, VERSION, manifest
from scripts.new_tap import SUFFIX, TEMPLATES
from scripts.pictures import pictures, references
from scripts.promises import promises, tests_page
from scripts.samples import samples
from scripts.wiring import wired

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

__all__ = ["PAGES", "SCHEMAS", "main", "regenerate"]

SCHEMAS = ROOT / "tests/schemas"
"""What each tap emits, for a test to compare and for people to look at when it changes."""

_IMAGE = re.compile(r'(dockerImageTag"?: "?)[\w.]+')
"""The version of a source in Airbyte's descriptions."""

_MARKED = re.compile(
    r"(?P<begin>^<!-- begin (?P<part>settings|streams|joins|samples|help|pages|code|tests|selections) "
    r"(?P<subject>[^\n]+) -->\n)"
    r".*?(?P<end>^<!-- end (?P=part) (?P=subject) -->$)",
    re.DOTALL | re.MULTILINE,
)
_SENTENCE = re.compile(r".+?\.(?= |$)")
_LINK = re.compile(r"\[([^\]]+)\]\([^)]+\)")


def regenerate(page: Path) -> str:
    """The text of a file with its generated parts up to date."""
    parts: dict[str, Callable[[str], str]] = {**_PARTS, "pages": partial(_pages_table, page.parent)}
    fresh = _MARKED.sub(
        lambda found: found["begin"] + parts[found["part"]](found["subject"]) + found["end"],
        wired(page.name, page.read_text(encoding="utf-8")),
    )
    if page.name == "reliability.md":
        fresh = promises(fresh)
    return sandbox_tables(fresh) if "<!-- begin switches -->" in fresh else fresh


def _text(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)


def _settings_table(module: str) -> str:
    vendor = module.removeprefix("tap-")
    settings = loader_settings() if vendor == module else tap_settings(vendor)
    secrets = [] if vendor == module else [setting.name for setting in settings if setting.secret]
    variables = ", ".join(f"`TAP_{vendor}_{name}_FILE`".upper() for name in secrets)
    note = f"\nA secret may be [in a file](guides/secrets.md), which one of these variables names: {variables}.\n"
    return (note if secrets else "") + _table(
        ("setting", "type", "default", "meaning"),
        (
            (
                f"`{setting.name}`" + (" (required)" if setting.required else ""),
                "secret" if setting.secret else setting.kind,
                "" if setting.default is None else f"`{_text(setting.default)}`",
                setting.description + (f" One of {', '.join(setting.choices)}." if setting.choices else ""),
            )
            for setting in settings
        ),
    )


def _streams_table(tap: str) -> str:
    return _table(
        ("stream", "key", "replication", "by default", "what it holds"),
        (
            (
                f"`{stream.name}`",
                ", ".join(f"`{key}`" for key in stream.keys) or "none",
                f"{stream.method} on `{stream.replication_key}`" if stream.replication_key else stream.method,
                "on" if stream.selected else "off",
                stream.description,
            )
            for stream in streams(tap.removeprefix("tap-"))
        ),
    )


def _joins(tap: str) -> str:
    """The picture of a tap's tables, and what it shows as a table."""
    vendor = tap.removeprefix("tap-")
    rows = [(f"`{stream}.{name}`", f"`{target}.{its}`") for stream, name, target, its in references(vendor)]
    picture = f"[![Which tables of {tap} refer to which others](pictures/{vendor}.svg)](pictures/{vendor}.svg)"
    return f"\n{picture}\n{_table(('column', 'is the same as'), rows) if rows else chr(10)}"


def _help(command: str) -> str:
    name, *arguments = command.split()
    text = help_text(name.replace("-", "_"), *arguments)
    return f"\n```console\n$ {command} --help\n{text}\n```\n\n"


def _pages_table(folder: Path, pattern: str) -> str:
    """Links to pages, each with its first sentence, which says what it is about."""
    rows = []
    for page in sorted(folder.glob(pattern)):
        title, text = page.read_text(encoding="utf-8").split("\n\n", 2)[:2]
        sentence = _SENTENCE.match(" ".join(_LINK.sub(r"\1", text).split()))
        assert sentence, f"{page.name} does not begin with a title and a sentence"
        rows.append((f"[{title.removeprefix('# ')}]({page.relative_to(folder).as_posix()})", sentence[0]))
    return _table(("page", "what it is about"), rows)


def _code(file: str) -> str:
    """A file as it is, or a template as the file that ``make new-tap NAME=acme`` makes of it."""
    template, kind = TEMPLATES / f"{file}{SUFFIX}", "python" if file.endswith(".py") else "text"
    text = (template if template.exists() else ROOT / file).read_text(encoding="utf-8")
    return f"\n```{kind}\n{text}```\n\n"


def _selections() -> str:
    """The commands that select what a tap reads by default, where that is not everything."""
    rules = {vendor: selection(vendor) for vendor in VENDORS}
    lines = (f"meltano config set tap-{vendor} _select '{_text(rule)}'\n" for vendor, rule in rules.items() if rule[1:])
    test = "tests/pipeline/test_your_project.py::test_an_empty_folder_becomes_a_project_that_loads"
    return f"\n<!-- tested in: {test} -->\n```sh\n{''.join(lines)}```\n\n"


def _table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    lines = [head, ("---",) * len(head), *rows]
    body = "\n".join(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in line)} |" for line in lines)
    return f"\n{body}\n\n"


_PARTS: dict[str, Callable[[str], str]] = {
    "settings": _settings_table,
    "streams": _streams_table,
    "joins": _joins,
    "samples": lambda tap: samples(tap.removeprefix("tap-")),
    "help": _help,
    "code": _code,
    "tests": lambda _: tests_page() + "\n",
    "selections": lambda _: _selections(),
}


def _pages() -> Iterable[Path]:
    yield ROOT / "pyproject.toml"
    yield ROOT / "meltano.yml"
    yield ROOT / ".env.example"
    yield ROOT / "README.md"
    yield from sorted((ROOT / "docs").rglob("*.md"))


PAGES = tuple(_pages())


def main() -> None:
    """Bring every file with generated parts, the definitions of plugins, and the record of the schemas, up to date."""
    SCHEMAS.mkdir(exist_ok=True)
    for vendor in VENDORS:
        record = SCHEMAS / f"{vendor}.txt"
        record.write_text(emitted(vendor), encoding="utf-8")
    SOURCES.write_text(sources(), encoding="utf-8")
    for vendor, file in MANIFESTS.items():
        file.write_text(manifest(vendor), encoding="utf-8")
    for file in sorted((ROOT / "examples/airbyte").glob("**/*.[yj]*")):
        _write(file, _IMAGE.sub(rf"\g<1>{VERSION}", file.read_text(encoding="utf-8")))
    for picture, text in pictures().items():
        picture.parent.mkdir(exist_ok=True)
        picture.write_text(text, encoding="utf-8")
    for page in PAGES:
        _write(page, regenerate(page))
    for file, text in definitions().items():
        _write(file, text)


def _write(file: Path, text: str) -> None:
    """Write a file that is not up to date, and tell it."""
    if not file.exists() or file.read_text(encoding="utf-8") != text:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
        print(file.relative_to(ROOT))  # noqa: T201 - a command speaks


if __name__ == "__main__":
    main()
