"""``meltano.yml``: what of it comes from the code, in the very style in which Meltano's own commands write the file.

So ``meltano add``, ``config set`` and ``schedule add`` change what they add, and no other line. A tap that is not named
yet is added wherever it has to be; what is there is left alone, apart from settings, selections and capabilities.
"""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from meltano.core.meltano_file import MeltanoFile
from meltano.core.project_files import ProjectFiles
from ruamel.yaml.comments import CommentedMap, CommentedSeq

from merchant_sandbox.discovery import vendors
from scripts.definitions import LOADER, capabilities, selection, setting_definitions
from scripts.describe import VENDORS, about

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

__all__ = ["project_file"]

_EVERYTHING = "nightly"
_MODELS = "dbt:build"


def project_file(text: str) -> str:
    """The text of ``meltano.yml`` with everything in it that comes from the code."""
    with TemporaryDirectory() as folder:
        file = Path(folder).resolve() / "meltano.yml"
        file.write_text(text, encoding="utf-8")
        files = ProjectFiles(file.parent, file)
        content = files.load()
        for vendor in VENDORS:
            _name_everywhere(content, vendor)
        _describe_plugins(content["plugins"])
        files.update(MeltanoFile.parse(content).canonical())
        return file.read_text(encoding="utf-8")


def _name_everywhere(content: CommentedMap, vendor: str) -> None:
    """Add a tap to the extractors, to the sandbox's addresses and to the jobs, unless it is an extractor already."""
    tap = f"tap-{vendor}"
    extractors = content["plugins"]["extractors"]
    if any(plugin["name"] == tap for plugin in extractors):
        return
    extractors.append(
        CommentedMap(
            name=tap,
            namespace=vendor,
            label=vendor.capitalize(),
            pip_url="-e .",
            executable=tap,
            description=about(f"tap_{vendor}")["description"].removesuffix("."),
            capabilities=[],
            settings=[],
            select=[],
        )
    )
    sandbox = _named(content["environments"], "sandbox")["config"]["plugins"]["extractors"]
    address = f"$MERCHANT_SANDBOX_URL/w/default/{vendor}{vendors()[vendor].base_path}"
    sandbox.append(CommentedMap(name=tap, config=CommentedMap(api_url=address)))
    load = f"{tap} {LOADER}"
    content["jobs"].append(CommentedMap(name=vendor, tasks=[load]))
    tasks = _named(content["jobs"], _EVERYTHING)["tasks"]
    tasks.insert(tasks.index(_MODELS), load)


def _describe_plugins(plugins: CommentedMap) -> None:
    for vendor in VENDORS:
        entry = _named(plugins["extractors"], f"tap-{vendor}")
        entry["settings"] = _maps(setting_definitions(entry["name"]))
        entry["select"] = selection(vendor)
        entry["capabilities"] = _on_one_line(capabilities(entry["name"]))
    loader = _named(plugins["loaders"], LOADER)
    loader["settings"] = _maps(setting_definitions(LOADER))
    loader["capabilities"] = _on_one_line(capabilities(LOADER))


def _named(entries: Iterable[CommentedMap], name: str) -> CommentedMap:
    return next(entry for entry in entries if entry["name"] == name)


def _maps(entries: Iterable[dict[str, Any]]) -> list[CommentedMap]:
    return [CommentedMap(entry) for entry in entries]


def _on_one_line(names: Sequence[str]) -> CommentedSeq:
    line = CommentedSeq(names)
    line.fa.set_flow_style()
    return line
