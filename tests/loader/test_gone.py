"""Every way in which a row goes, and what ``hard_delete`` makes of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.loader.harness import DATE_TIME, INTEGER, STRING, Loader, record, schema, state

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

COLUMNS = {"id": INTEGER, "v": STRING}
WINDOWED = COLUMNS | {"_window_start": DATE_TIME}
MARKED = COLUMNS | {"_window_start": DATE_TIME | {"x-partition": []}}
DAY, NEXT_DAY = "2026-01-01T00:00:00.000000Z", "2026-01-02T00:00:00.000000Z"

SCOPED = schema("scope", COLUMNS)
SCOPED["schema"]["x-scopes"] = []
WITH_KEY = {
    "version": schema("version", COLUMNS),
    "window_told": schema("window_told", MARKED),
    "window_emptied": schema("window_emptied", MARKED),
    "window_came": schema("window_came", WINDOWED),
    "scope": SCOPED,
}
WITHOUT_KEY = {
    name: schema(name, columns, keys=())
    for name, columns in (("all_versions", COLUMNS), ("all_told", MARKED), ("all_came", WINDOWED))
}
WAYS = WITH_KEY | WITHOUT_KEY
BOTH_DAYS = {"_windows_read": {"first": DAY, "last": NEXT_DAY}}
READ: dict[str, Any] = {"scope": {"_scopes_read": [{}]}}
READ |= dict.fromkeys(("window_told", "window_emptied", "all_told"), BOTH_DAYS)
"""What the last STATE of a load tells of each stream: everything was read."""

Row = tuple[int, str]
BEFORE, GONE, BACK = [(1, "a"), (2, "a"), (3, "a")], [(1, "a"), (3, "b")], [(1, "a"), (2, "a"), (3, "b")]


def whole(ways: Mapping[str, dict[str, Any]], number: int, rows: Iterable[Row]) -> list[dict[str, Any]]:
    """Messages of a run in which every stream has these rows and no others.

    Args:
        ways: The SCHEMA of each stream.
        number: The run, and the version where the stream has some.
        rows: Numbers and values. In `window_emptied`, the second row has a window to itself.
    """
    messages: list[dict[str, Any]] = []
    for name, head in ways.items():
        versions = [number] if "version" in name else []
        messages.append(head)
        for n, value in rows:
            day = NEXT_DAY if (name, n) == ("window_emptied", 2) else DAY
            window = {"_window_start": day} if "_window_start" in head["schema"]["properties"] else {}
            messages.append(record(name, *versions, id=n, v=value, **window))
        messages += [{"type": "ACTIVATE_VERSION", "stream": name, "version": version} for version in versions]
    return [*messages, state({"bookmarks": READ})]


def assert_rows(loader: Loader, streams: Iterable[str], rows: Sequence[Row], gone: Sequence[Row] = ()) -> None:
    """Each stream has these rows, and these that are marked."""
    wanted = sorted([(*row, True) for row in rows] + [(*row, False) for row in gone])
    for stream in streams:
        found = loader.sql(f"SELECT id, v, _sdc_deleted_at IS NULL FROM {stream} ORDER BY ALL")
        assert found == wanted, stream


def assert_counts(loader: Loader, streams: Iterable[str], **counts: int) -> None:
    none = dict.fromkeys(("inserted", "updated", "unchanged", "deleted", "rejected"), 0)
    assert {stream: loader.counts(stream) for stream in streams} == dict.fromkeys(streams, none | counts)


def assert_touched(loader: Loader, streams: Iterable[str], rows: Sequence[tuple[int, bool]]) -> None:
    """The last load has touched these rows alone; some of them it has marked."""
    for stream in streams:
        touched = "_sdc_batched_at = (SELECT max(committed_at) FROM _singer_loads)"
        marked = "_sdc_deleted_at IS NOT DISTINCT FROM _sdc_batched_at"
        assert loader.sql(f"SELECT id, {marked} FROM {stream} WHERE {touched} ORDER BY 1") == rows, stream


def assert_history(loader: Loader) -> None:
    for stream in WITH_KEY:
        found = loader.sql(f"SELECT id, _sdc_operation FROM {stream}__history ORDER BY id, _sdc_valid_from")
        operations = {1: ["insert"], 2: ["insert", "delete", "return"], 3: ["insert", "update"]}
        assert found == [(number, operation) for number, each in operations.items() for operation in each], stream


def test_what_is_gone_is_marked_and_comes_back(loader: Loader) -> None:
    settings: dict[str, Any] = {"hard_delete": False, "replace_windows": True, "history": True}
    loader.load(whole(WITH_KEY, 1, BEFORE), **settings)
    loader.load(whole(WITH_KEY, 2, GONE), **settings)
    assert_rows(loader, WITH_KEY, GONE, gone=[(2, "a")])
    assert_counts(loader, WITH_KEY, updated=1, unchanged=1, deleted=1)
    assert_touched(loader, WITH_KEY, [(2, True), (3, False)])
    listed = [row.split() for row in loader.ask("inspect").splitlines()]
    assert [row[2] for row in listed if {*row[1:2]} & WITH_KEY.keys()] == ["2"] * len(WITH_KEY)
    loader.load(whole(WITH_KEY, 3, GONE), **settings)
    assert_counts(loader, WITH_KEY, unchanged=2)
    loader.load(whole(WITH_KEY, 4, BACK), **settings)
    assert_rows(loader, WITH_KEY, BACK)
    assert_counts(loader, WITH_KEY, updated=1, unchanged=2)
    assert_touched(loader, WITH_KEY, [(2, False)])
    assert_history(loader)


def test_what_is_gone_is_marked_without_other_times(loader: Loader) -> None:
    settings: dict[str, Any] = {"hard_delete": False, "replace_windows": True, "add_record_metadata": False}
    loader.load(whole(WITH_KEY, 1, BEFORE), **settings)
    loader.load(whole(WITH_KEY, 2, GONE), **settings)
    assert_rows(loader, WITH_KEY, GONE, gone=[(2, "a")])
    loader.load(whole(WITH_KEY, 3, BACK), **settings)
    assert_rows(loader, WITH_KEY, BACK)


@pytest.mark.parametrize("lake", [False, True], ids=["tables", "lake"])
def test_what_is_gone_is_removed(loader: Loader, *, lake: bool) -> None:
    settings: dict[str, Any] = {"replace_windows": True, "history": not lake}
    settings |= {"lake_path": str(loader.folder / "lake"), "hard_delete": False} if lake else {}
    loader.load(whole(WITH_KEY, 1, BEFORE), **settings)
    loader.load(whole(WITH_KEY, 2, GONE), **settings)
    assert_rows(loader, WITH_KEY, GONE)
    assert_counts(loader, WITH_KEY, updated=1, unchanged=1, deleted=1)
    loader.load(whole(WITH_KEY, 3, BACK), **settings)
    assert_rows(loader, WITH_KEY, BACK)
    assert_counts(loader, WITH_KEY, inserted=1, unchanged=2)
    if not lake:
        assert_history(loader)


def test_without_a_key_all_rows_go_and_others_come(loader: Loader) -> None:
    settings: dict[str, Any] = {"hard_delete": False, "replace_windows": True}
    loader.load(whole(WITHOUT_KEY, 1, BEFORE), **settings)
    loader.load(whole(WITHOUT_KEY, 2, GONE), **settings)
    assert_rows(loader, WITHOUT_KEY, GONE, gone=BEFORE)
    assert_counts(loader, WITHOUT_KEY, inserted=2, deleted=3)
    loader.load(whole(WITHOUT_KEY, 3, BACK), replace_windows=True)
    assert_rows(loader, WITHOUT_KEY, BACK)


def test_rows_that_are_marked_go_once_they_are_to_be_removed(loader: Loader) -> None:
    loader.load(whole(WITH_KEY, 1, BEFORE), hard_delete=False, replace_windows=True)
    loader.load(whole(WITH_KEY, 2, GONE), hard_delete=False, replace_windows=True)
    loader.load(whole(WITH_KEY, 3, GONE), replace_windows=True)
    assert_rows(loader, WITH_KEY, GONE)


@pytest.mark.parametrize("kind", [DATE_TIME, STRING, INTEGER], ids=["time", "text", "number"])
def test_a_property_of_the_mark_s_name_takes_the_mark_if_it_can(loader: Loader, kind: dict[str, Any]) -> None:
    ways = {"version": schema("version", COLUMNS | {"_sdc_deleted_at": kind})}
    for number in (1, 2):
        loader.load(whole(ways, number, BEFORE), hard_delete=False)
    if kind is INTEGER:
        said = loader.fail(whole(ways, 3, GONE), hard_delete=False)
        assert "stream version: rows that are gone cannot be marked, because `_sdc_deleted_at` is a property" in said
        assert_rows(loader, ways, BEFORE)
        return
    loader.load(whole(ways, 3, GONE), hard_delete=False)
    assert_rows(loader, ways, GONE, gone=[(2, "a")])
    marked = "CAST(_sdc_deleted_at AS TIMESTAMPTZ) = (SELECT max(committed_at) FROM _singer_loads)"
    assert loader.sql(f"SELECT id FROM version WHERE {marked}") == [(2,)]
    loader.load(whole(ways, 4, BACK), hard_delete=False)
    assert_rows(loader, ways, BACK)
