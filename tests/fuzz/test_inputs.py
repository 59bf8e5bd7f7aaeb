"""What a user hands to a tap: settings, a catalog, a state. Used, or refused in one line with code 2."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from merchant_sandbox.cli import main as merchant_sandbox
from tap_core.errors import ConfigError, TapError
from target_duckhouse.errors import SettingsError
from target_duckhouse.settings import Settings, describe, read_settings
from tests.faults.shop import given as taken
from tests.faults.vendors import VENDORS
from tests.fuzz.emitting import emitted
from tests.fuzz.examples import corpus, examples
from tests.fuzz.oracle import one_line, refusal
from tests.fuzz.texts import ODDITIES, anything, damaged

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path
    from random import Random

    from tap_core.testing import Run
    from tests.fuzz.conftest import Served

TYPES: dict[str, Any] = {
    "string": str,
    "integer": int,
    "number": (int, float),
    "boolean": bool,
    "array": list,
    "object": dict,
}
ODD = (
    "",
    " ",
    "\n",
    "null",
    "{}",
    "[]",
    "[",
    "{",
    "1",
    "1e999",
    "nan",
    "true",
    "2026-01-01",
    "http://",
    "file:///x",
    "\0",
    "/{id}",
    "*",
    "\ud83d",
)


def plain(value: Any) -> Any:
    """A value as JSON has it."""
    return json.loads(json.dumps(value, default=float))


def as_in_a_file(value: Any) -> Any:
    """A value without halves of characters, which no file of JSON can hold."""
    return json.loads(re.sub(r"\\ud[89a-f]..", "", json.dumps(value)))


def mutated(value: Any, rng: Random, spare: Any) -> Any:
    """A value with one place in it changed."""
    places: list[tuple[Any, Any]] = []

    def walk(inside: Any) -> None:
        for place, item in list(inside.items() if isinstance(inside, dict) else enumerate(inside)):
            places.append((inside, place))
            if isinstance(item, dict | list):
                walk(item)

    walk(value)
    if places:
        container, place = rng.choice(places)
        match rng.randrange(5):
            case 0:
                del container[place]
            case 1:
                container[place] = rng.choice(ODD)
            case 2 if isinstance(container, dict):
                container[f"{place}x"] = container.pop(place)
            case 3:
                container[place] = [container[place]]
            case _:
                container[place] = plain(spare)
    return value


def of_type(value: Any, schema: dict[str, Any]) -> bool:
    """Whether a value is of a type that a setting has; text may stand for any."""
    kinds = schema.get("type", [*TYPES])
    kinds = [kinds] if isinstance(kinds, str) else kinds
    if value is None or isinstance(value, str):
        return True
    return any(
        isinstance(value, TYPES[kind]) and (kind == "boolean" or not isinstance(value, bool))
        for kind in kinds
        if kind != "null"
    ) or (isinstance(value, float) and value.is_integer() and "integer" in kinds)


@pytest.mark.parametrize("name", VENDORS)
@examples(60, share=4)
@given(rng=st.randoms(use_true_random=False), value=anything | st.sampled_from(ODD), deep=st.booleans())
def test_a_setting_is_used_or_refused(
    served: Callable[[str], Served], name: str, rng: Random, value: Any, *, deep: bool
) -> None:
    from_vendor = served(name)
    kind = from_vendor.shop.vendor.tap
    properties = kind.config_jsonschema["properties"]
    config = plain(from_vendor.shop.config)
    setting = rng.choice(sorted(properties))
    if deep:
        config |= {
            each: rng.choice(member.get("examples") or [member.get("default")])
            for each, member in properties.items()
            if each not in config and member.get("default")
        }
        config = mutated(plain(config), rng, value)
    else:
        config[setting] = plain(value)
    try:
        tap = kind(config=config)
        assert tap.catalog_dict["streams"]
    except ConfigError as error:
        refusal(error, 2)
        return
    for each, found in config.items():
        assert of_type(found, properties[each]), each
        if not isinstance(found, str) and found is not None:
            assert tap.config[each] == found


def judge_catalog(from_vendor: Served, catalog: Any) -> None:
    """The records that are written are valid under the schema that goes out before them."""
    try:
        tap = from_vendor.again(catalog=as_in_a_file(catalog))
    except ConfigError as error:
        refusal(error, 2)
        return
    for name, rows in from_vendor.rows.items():
        stream: Any = tap.streams[name]
        if not stream.selected:
            continue
        for step in stream.stream_maps:
            valid = jsonschema.Draft202012Validator(json.loads(json.dumps(step.transformed_schema)))
            lines, refused = emitted(stream, [row for row, _ in rows[:3]], rows[0][1], fast=True)
            assert refused == []
            for each in lines:
                valid.validate(json.loads(each)["record"])


@pytest.mark.parametrize("name", VENDORS)
@examples(25, share=8)
@given(
    rng=st.randoms(use_true_random=False),
    spare=st.lists(anything | st.sampled_from(["object", "string", "integer", True, False, ["string"]]), max_size=4),
)
def test_a_catalog_is_used_or_refused(
    served: Callable[[str], Served], name: str, rng: Random, spare: list[Any]
) -> None:
    from_vendor = served(name)
    catalog = plain(from_vendor.tap.catalog_dict)
    for value in spare:
        catalog = mutated(catalog, rng, value)
    judge_catalog(from_vendor, catalog)


def strangers(run: Run, whole: Run) -> set[tuple[str, Any]]:
    """The stream and key of each row of a run that is not the same in another one."""
    return {
        (stream, key)
        for stream, rows in taken(run).rows.items()
        for key, row in rows.items()
        if taken(whole).rows[stream].get(key) != row
    }


def judge_state(from_vendor: Served, state: Any) -> None:
    """Rows as the vendor has them and a state to go on from, or a refusal before anything was read."""
    shop = from_vendor.shop
    if shop.calm is None:
        shop.calm = shop.read()
        assert shop.calm.code == 0, shop.calm.log
    run = shop.read(state=as_in_a_file(state))
    assert run.code in {0, 2}, run.log
    assert "Traceback" not in run.log
    if run.code == 2:
        assert one_line(run.log.strip().splitlines()[-1])
        return
    strange = strangers(run, shop.calm)
    if strange:  # the clock runs fast, so the days that are read may be others by now
        shop.calm = shop.read()
        strange &= strangers(run, shop.calm)
    assert strange == set()
    assert taken(run).state
    for bookmark in taken(run).state["bookmarks"].values():
        value = bookmark.get("replication_key_value")
        assert value is None or not isinstance(value, str) or value < "2027" or not re.match(r"\d{4}-", value)


@pytest.mark.parametrize("name", VENDORS)
@examples(6, share=40)
@given(
    rng=st.randoms(use_true_random=False),
    spare=st.lists(
        anything | st.sampled_from(["2999-01-01", "2026-01-15", "0001-01-01T00:00:00+14:00", 1e300, 2**63, {}, []]),
        max_size=3,
    ),
)
def test_a_state_is_used_or_refused(served: Callable[[str], Served], name: str, rng: Random, spare: list[Any]) -> None:
    from_vendor = served(name)
    if from_vendor.shop.calm is None:
        from_vendor.shop.calm = from_vendor.shop.read()
    state = plain(taken(from_vendor.shop.calm).state)
    for value in spare:
        state = mutated(state, rng, value)
    judge_state(from_vendor, state)


@corpus("states")
def test_a_kept_state_is_used_or_refused(served: Callable[[str], Served], file: Path) -> None:
    """Each file is for the vendor in its name."""
    for state in json.loads(file.read_text()):
        judge_state(served(file.stem), state)


@examples(150)
@given(
    rng=st.randoms(use_true_random=False),
    value=anything | st.sampled_from([*ODD, *ODDITIES]),
    environment=st.booleans(),
)
def test_a_setting_of_the_loader_is_used_or_refused(
    tmp_path_factory: pytest.TempPathFactory, rng: Random, value: Any, *, environment: bool
) -> None:
    settings = {entry["name"]: entry for entry in describe()}
    name = rng.choice(sorted(settings))
    file = tmp_path_factory.getbasetemp() / "settings.json"
    try:
        if environment:
            text = value if isinstance(value, str) else json.dumps(value, default=float)
            found = read_settings([], {settings[name]["env"]: text})
        else:
            file.write_bytes(damaged(json.dumps({name: value}, default=float).encode(), rng))
            found = read_settings([str(file)])
    except SettingsError as error:
        refusal(error, 2)
        return
    assert isinstance(found, Settings)


@examples(60)
@given(
    arguments=st.lists(
        st.sampled_from(
            [
                "serve",
                "tick",
                "run",
                "--port",
                "--size",
                "--seed",
                "--ticks",
                "-n",
                "--world",
                "--url",
                "--clock-start",
                "--tls-cert",
                "large",
                "--nonsense",
            ]
        )
        | st.sampled_from(ODDITIES)
        | st.text(max_size=5),
        max_size=5,
    )
)
def test_the_sandbox_refuses_odd_arguments(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """Without a sandbox to reach and a command to run, there is nothing else to do."""
    wrong = ["tick", "--url", "http://127.0.0.1:9", *arguments]
    try:
        code: Any = merchant_sandbox(wrong)
    except SystemExit as stop:
        code = stop.code
    said = capsys.readouterr()
    assert code in {0, 1, 2}
    assert code or "usage" in said.out
    assert "Traceback" not in said.err


@corpus("catalogs")
def test_a_kept_catalog_is_used_or_refused(served: Callable[[str], Served], file: Path) -> None:
    """Each file has changes of a vendor's catalog: the path to a place, and what stands there instead."""
    for path, value in json.loads(file.read_text()):
        from_vendor = served(file.stem)
        catalog = inside = plain(from_vendor.tap.catalog_dict)
        for step in path[:-1]:
            inside = inside[step]
        inside[path[-1]] = value
        judge_catalog(from_vendor, catalog)


def test_an_error_that_is_no_refusal_would_be_seen() -> None:
    assert not issubclass(TypeError, TapError)
