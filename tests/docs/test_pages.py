"""The pages, and meltano.yml, say what the code does."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from merchant_sandbox.discovery import vendors
from scripts import describe
from scripts.dbt_sources import SOURCES, sources
from scripts.promises import NOT_YET, PROMISE, proofs
from scripts.reference import PAGES, SCHEMAS, regenerate
from tap_core.config.redact import holds_secret

ROOT = Path(__file__).parents[2]
MELTANO: dict[str, Any] = yaml.safe_load((ROOT / "meltano.yml").read_text(encoding="utf-8"))
PLUGINS = [(kind, plugin) for kind, plugins in MELTANO["plugins"].items() for plugin in plugins]
TAPS = [f"tap_{vendor}" for vendor in describe.VENDORS]
LINK = re.compile(r"\]\((?!https?:)([^)#\s]+)(?:#[\w-]+)?\)")
FOLDERS = [path.name for path in ROOT.iterdir() if path.is_dir() and not path.name.startswith(".")]
PATH = re.compile(rf"`((?:{'|'.join(FOLDERS)})/[\w./-]*)`")
"""A file or folder of ours."""
TEXTS = [ROOT / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md", "SECURITY.md")] + sorted(
    (ROOT / "docs").rglob("*.md")
)

pytestmark = pytest.mark.xdist_group("pages")  # the tests are asked once what they promise


def plugin(name: str) -> dict[str, Any]:
    return next(plugin for _, plugin in PLUGINS if plugin["name"] == name)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_m4_what_is_made_from_the_code_is_up_to_date(page: Path) -> None:
    assert regenerate(page) == page.read_text(encoding="utf-8"), "run: make docs"


def test_dbt_knows_what_the_taps_emit() -> None:
    assert sources() == SOURCES.read_text(encoding="utf-8"), "run: make docs"


@pytest.mark.parametrize("package", TAPS)
def test_m4_meltano_knows_the_settings_of_a_tap(package: str) -> None:
    schema = describe.about(package)["settings"]
    ours = {setting["name"]: setting for setting in plugin(package.replace("_", "-"))["settings"]}
    files = [f"{name}_file" for name, member in schema["properties"].items() if holds_secret(member)]
    assert list(ours) == [*schema["properties"], *files]
    assert len(files) > 1
    for name, member in schema["properties"].items():
        assert ours[name].get("value") == member.get("default"), name
        text = "string" in member["type"] and "enum" not in member
        assert ours[name].get("kind") in ({"string", "date_iso8601"} if text else {None}), name
        if member.get("secret"):
            assert ours[name]["sensitive"], name


def test_m4_no_setting_of_ours_has_a_kind_that_ends_meltano_or_guesses() -> None:
    """It cannot write decimals, ends at wrong lists and numbers, and takes every wrong boolean for false."""
    ours = [entry for _, entry in PLUGINS if entry.get("pip_url", "").startswith("-e .") or entry["name"] == "dbt"]
    kinds = {(entry["name"], each["name"]): each.get("kind") for entry in ours for each in entry["settings"]}
    assert len(ours) == len(TAPS) + 2
    assert {*kinds.values()} == {None, "string", "date_iso8601"}


def test_m4_meltano_knows_the_settings_of_the_loader() -> None:
    ours = {setting["name"]: setting.get("value") for setting in plugin("target-duckhouse")["settings"]}
    assert ours == {setting["name"]: setting["default"] for setting in describe.about("target_duckhouse")["settings"]}


@pytest.mark.parametrize("package", [*TAPS, "target_duckhouse"])
def test_m4_meltano_claims_no_capability_that_is_not_there(package: str) -> None:
    assert set(plugin(package.replace("_", "-"))["capabilities"]) == set(describe.about(package)["capabilities"])


def test_m2_every_plugin_has_a_namespace_or_a_lock() -> None:
    assert MELTANO["ff"]["plugin_locks_required"] is True
    for kind, entry in PLUGINS:
        locks = list((ROOT / "plugins" / kind).glob(f"{entry['name']}--*.lock"))
        assert entry.get("namespace") or locks, entry["name"]


def test_a_setting_is_read_from_the_variable_that_it_is_handed_on_in() -> None:
    """Meltano takes `env` for the second alone, and would overrule the user's own variable with the default."""
    for _, entry in PLUGINS:
        for setting in entry.get("settings", []):
            if env := setting.get("env"):
                own = f"{entry['name']}_{setting['name']}".replace("-", "_").upper()
                assert env == own or env in setting.get("env_aliases", []), (entry["name"], env)


def test_every_tap_is_wired() -> None:
    names = {package.replace("_", "-") for package in TAPS}
    assert {entry["name"] for kind, entry in PLUGINS if kind == "extractors"} == names
    steps = {*(f"{name} target-duckhouse" for name in names), "dbt:build", "report:build"}
    assert {task for job in MELTANO["jobs"] for task in job["tasks"]} == steps
    assert {*next(job["tasks"] for job in MELTANO["jobs"] if job["name"] == "nightly")} == steps
    assert [environment["name"] for environment in MELTANO["environments"]] == ["sandbox", "dev", "prod"]
    sandbox = MELTANO["environments"][0]["config"]["plugins"]["extractors"]
    assert {entry["name"]: entry["config"]["api_url"] for entry in sandbox} == {
        f"tap-{vendor}": f"$MERCHANT_SANDBOX_URL/w/default/{vendor}{vendors()[vendor].base_path}"
        for vendor in describe.VENDORS
    }
    assert list(vendors()) == list(describe.VENDORS)


def test_dbt_and_the_report_read_the_file_that_the_loader_fills_in_the_same_environment() -> None:
    files = {}
    for environment in MELTANO["environments"][1:]:
        plugins = environment["config"]["plugins"]
        (loader,) = plugins["loaders"]
        read = {plugin["name"]: plugin["config"]["warehouse"] for plugin in plugins["utilities"]}
        assert read == dict.fromkeys(("dbt", "report"), f"$MELTANO_PROJECT_ROOT/{loader['config']['path']}")
        files[environment["name"]] = loader["config"]["path"]
    assert files == {"dev": "dev.duckdb", "prod": "prod.duckdb"}, "rows of several environments cannot share a table"


def test_the_list_of_pages_names_them_all() -> None:
    named = set(LINK.findall((ROOT / "docs/README.md").read_text(encoding="utf-8")))
    pages = {page.relative_to(ROOT / "docs").as_posix() for page in (ROOT / "docs").rglob("*.md")}
    assert pages - {"README.md"} <= named


def test_the_telling_files_are_quiet() -> None:
    assert MELTANO["send_anonymous_usage_stats"] is False
    assert MELTANO["venv"]["backend"] == "uv"
    assert MELTANO["requires_meltano"]
    assert MELTANO["project_id"], "without one, Meltano writes its own into the file"


def test_links_lead_somewhere() -> None:
    links = [(page, target) for page in TEXTS for target in LINK.findall(page.read_text(encoding="utf-8"))]
    assert len(links) > len(TEXTS)
    assert [(page.name, target) for page, target in links if not (page.parent / target).exists()] == []


@pytest.mark.parametrize("page", TEXTS, ids=lambda page: page.name)
def test_files_that_a_page_names_exist(page: Path) -> None:
    named = PATH.findall(page.read_text(encoding="utf-8"))
    assert not [path for path in named if "acme" not in path and not (ROOT / path).exists()]
    assert named or page.name != "architecture.md"


@pytest.mark.parametrize("package", TAPS)
def test_c9_a_change_of_what_a_tap_emits_is_on_record(package: str) -> None:
    vendor = package.removeprefix("tap_")
    recorded = (SCHEMAS / f"{vendor}.txt").read_text(encoding="utf-8")
    assert describe.emitted(vendor) == recorded, "run: make docs, and look at what has changed for users"


def test_every_promise_is_tested_with_every_tap_or_does_not_concern_it() -> None:
    text = (ROOT / "docs/reliability.md").read_text(encoding="utf-8")
    named = [row["id"] for row in PROMISE.finditer(text)]
    assert named == sorted(set(named), key=lambda name: ("HPSAXCLM".index(name[0]), int(name[1:])))
    for family, count in {"H": 18, "P": 8, "S": 18, "A": 5, "X": 4, "C": 10, "L": 9, "M": 6}.items():
        assert {f"{family}{number}" for number in range(1, count + 1)} <= set(named)
    assert len(named) == text.count("](reliability-tests.md#"), "a row that is no row"
    assert NOT_YET not in text
    assert set(proofs()) == set(named), "a test's name has an id that the page lacks, or the other way round"


def test_what_does_not_concern_a_vendor_is_not_tested_with_it() -> None:
    assert any(proof.reasons for proof in proofs().values())
    for promise, proof in proofs().items():
        assert not proof.reasons.keys() & {*proof.vendors}, f"{promise}: a reason too many"


def test_the_example_of_a_dotenv_names_settings_that_exist() -> None:
    text = (ROOT / ".env.example").read_text(encoding="utf-8")
    variables = re.findall(r"^(?:# )?(TAP_[A-Z_]+)=", text, re.MULTILINE)
    assert len(variables) > len(TAPS)
    for variable in variables:
        vendor, _, setting = variable.removeprefix("TAP_").lower().partition("_")
        assert setting in {entry["name"] for entry in plugin(f"tap-{vendor}")["settings"]}, variable


def test_every_tap_and_the_loader_have_a_page() -> None:
    for name in [*(package.replace("_", "-") for package in TAPS), "target-duckhouse"]:
        page = ROOT / "docs" / f"{name}.md"
        assert page.exists(), name
        text = page.read_text(encoding="utf-8")
        assert f"<!-- begin settings {name} -->" in text or name == "target-duckhouse", name
        assert f"<!-- begin streams {name} -->" in text or name == "target-duckhouse", name
