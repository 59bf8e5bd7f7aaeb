"""BATCH messages, their manifests and files: all rows are loaded, or none is and no file is gone."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.fuzz.examples import corpus, examples
from tests.fuzz.loading import line, place
from tests.fuzz.oracle import NotJson, Number, Pairs, parsed
from tests.fuzz.texts import anything, damaged

if TYPE_CHECKING:
    from random import Random

    from tests.fuzz.loading import Loaded

SCHEMA = line(
    type="SCHEMA",
    stream="t",
    key_properties=["id"],
    schema={"properties": {"id": {"type": "integer"}, "name": {"type": ["string", "null"]}}},
)
WANTED: dict[int, str | None] = {number: f"row {number}" for number in range(5)}
ROWS: list[dict[str, Any]] = [{"id": number, "name": name} for number, name in WANTED.items()]
NAMES = (
    *(
        "a.jsonl",
        "a b",
        "a%20b",
        "100%",
        "a#b",
        "a?b=c",
        "*.jsonl",
        "[a]",
        "a'b",
        'a"b',
        "a\\b",
        "ü",
        "🎫",
        "-",
        ".hidden",
    ),
    *("a;b", "$HOME", "~", "x" * 200),
)


def content_of(form: str, compression: str | None, path: Path) -> bytes:
    text = b"".join(json.dumps(row).encode() + b"\n" for row in ROWS)
    if form == "parquet":
        pq.write_table(pa.table({name: [row[name] for row in ROWS] for name in ROWS[0]}), path)
        return path.read_bytes()
    return gzip.compress(text, mtime=0) if compression == "gzip" else text


def wanted_of(content: bytes) -> dict[int, str | None] | None:
    """The rows of lines of JSON by the standard library; None where a line is not such a row."""
    found: dict[int, str | None] = {}
    for text in content.split(b"\n"):
        if not text.strip():
            continue
        try:
            record = parsed(text)
            number, name = record.last("id"), dict(record).get("name")
        except (NotJson, AttributeError):
            return None
        if not isinstance(number, Number) or not number.lstrip("-").isdigit() or len(number) > 18:
            return None
        if (
            isinstance(name, Number)
            or not isinstance(name, str | None)
            or len(dict(record)) < len(record)
            or dict(record).keys() - {"id", "name"}
        ):
            return None
        found[int(number)] = name
    return found


def judge(
    warehouse: Loaded, message: dict[str, Any], files: dict[Path, bytes], wanted: dict[int, str | None] | None
) -> None:
    """All rows and no file left; or every file left as it was, and of its rows at most those before a new column."""
    code = warehouse.load([SCHEMA, line(**message)])
    if code:
        assert {path: path.read_bytes() for path in files} == files
        content = b"\n".join(files.values())
        known = WANTED | {n: name for text in content.split(b"\n") for n, name in (wanted_of(text) or {}).items()}
        assert all(known.get(number, name) == name for number, name in warehouse.rows("t", "id, name"))
        return
    assert not [path for path in files if path.exists()]
    if wanted is not None:
        assert dict(warehouse.rows("t", "id, name")) == wanted


@examples(40, share=10)
@given(
    name=st.sampled_from(NAMES),
    form=st.sampled_from(["jsonl", "jsonl", "parquet"]),
    compression=st.sampled_from([None, "none", "gzip"]),
    address=st.sampled_from(["{}", "file://{}", "FILE://localhost{}"]),
    rng=st.randoms(use_true_random=False),
    hurt=st.booleans(),
)
def test_a_damaged_file_is_loaded_whole_or_left_alone(
    name: str, form: str, compression: str | None, address: str, rng: Random, *, hurt: bool
) -> None:
    with place() as warehouse:
        path = warehouse.folder / name
        content = content_of(form, compression, path)
        if hurt:
            content = damaged(content, rng)
        path.write_bytes(content)
        bystander = warehouse.folder / "bystander.jsonl"
        bystander.write_text('{"id": 99}\n')
        plain = form == "jsonl" and compression != "gzip"
        wanted = wanted_of(content) if plain else None if hurt else WANTED
        encoding = {"format": form, "compression": compression}
        judge(
            warehouse,
            {"type": "BATCH", "stream": "t", "encoding": encoding, "manifest": [address.format(path)]},
            {path: content},
            wanted,
        )
        assert hurt or warehouse.code == 0, warehouse.said
        assert wanted is None or warehouse.code == 0, warehouse.said
        assert bystander.exists()


@pytest.mark.parametrize(("form", "compression"), [("jsonl", None), ("jsonl", "gzip"), ("parquet", None)])
def test_a_file_that_is_cut_anywhere_is_loaded_whole_or_left_alone(form: str, compression: str | None) -> None:
    for share in (0.0, 0.1, 0.5, 0.9, 0.99):
        with place() as warehouse:
            path = warehouse.folder / "cut"
            content = content_of(form, compression, path)
            content = content[: int(len(content) * share)]
            path.write_bytes(content)
            encoding = {"format": form, "compression": compression}
            message = {"type": "BATCH", "stream": "t", "encoding": encoding, "manifest": [str(path)]}
            judge(
                warehouse, message, {path: content}, wanted_of(content) if form == "jsonl" and not compression else None
            )
            assert warehouse.rows("t") == [] or form == "jsonl"
            assert warehouse.code == 5 or form == "jsonl"


@examples(40, share=10)
@given(
    message=st.fixed_dictionaries(
        {"type": st.just("BATCH")},
        optional={
            "stream": st.just("t") | anything,
            "encoding": st.fixed_dictionaries(
                {},
                optional={"format": st.sampled_from(["jsonl", "parquet", "csv"]) | anything, "compression": anything},
            )
            | anything,
            "manifest": st.lists(
                st.sampled_from(["file://", "s3://b/k", ".", "/", "", "/dev/null", "x" * 5_000, "file:///%00"])
                | anything,
                max_size=3,
            )
            | anything,
        },
    )
)
def test_an_odd_batch_is_refused_or_empty(message: dict[str, Any]) -> None:
    judge_message(message)


@corpus("batches")
def test_a_kept_batch_is_refused_or_empty(file: Path) -> None:
    for message in json.loads(file.read_text()):
        judge_message(message)


def judge_message(message: dict[str, Any]) -> None:
    with place() as warehouse:
        before = sorted(Path("/").iterdir())
        warehouse.load([SCHEMA, line(**message)])
        assert warehouse.rows("t") == []
        assert sorted(Path("/").iterdir()) == before


def test_the_oracle_reads_rows() -> None:
    assert wanted_of(b'{"id":1,"name":"a"}\n\n{"id":2}\n') == {1: "a", 2: None}
    assert wanted_of(b'{"id":1.5}\n') is None
    assert isinstance(parsed('{"id":1}'), Pairs)
