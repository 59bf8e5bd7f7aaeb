"""The typed path gives what the SDK's per-record path gives, message by message."""

from __future__ import annotations

import json
import tempfile
from decimal import Decimal
from typing import TYPE_CHECKING, Any, ClassVar, cast

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from typing_extensions import override

from benchmarks.vendor import Schemas
from tap_core.config.settings import config_schema
from tap_core.errors import ApiError
from tap_core.http.auth import NoAuth
from tap_core.http.body import read_body
from tap_core.http.client import DEFAULT_ACCOUNT, ApiClient, Network
from tap_core.http.message import Response
from tap_core.output.messages import MessageWriter
from tap_core.reading.fetch import Slice
from tap_core.records.dialect import Dialect
from tap_core.records.fields import Alias, Latest, Nested, Reference
from tap_core.records.masks import Masked
from tap_core.streams.base import CoreStream
from tap_core.streams.embedded import EmbeddedStream
from tap_core.tap import CoreTap
from tap_core.timestamps import epoch_text
from tests.fuzz.texts import Writer, anything

if TYPE_CHECKING:
    from random import Random

    from tap_core.reading.pages import Page
    from tap_core.records.field import Field

TIME = {"type": ["string", "null"], "format": "date-time"}
MAP = {"type": ["object", "null"], "additionalProperties": True}
LINE: dict[str, Any] = {
    "type": ["object", "null"],
    "additionalProperties": True,
    "properties": {
        "quantity": {"type": ["integer", "null"]},
        "at": TIME,
        "reference_id": {"type": ["string", "null"]},
        "reference": MAP,
        "parts": {"type": ["array", "null"]},
    },
}
THING: dict[str, Any] = {
    "type": "object",
    "additionalProperties": False,
    "required": ["id"],
    "properties": {
        "id": {"type": "string"},
        "created": TIME,
        "flag": {"type": ["boolean", "null"]},
        "amount": {"type": ["integer", "null"]},
        "rate": {"type": ["number", "null"]},
        "exact": {"type": ["string", "null"], "format": "x-singer.decimal"},
        "name": {"type": ["string", "null"], "x-pii": True},
        "code": {"type": ["integer", "string", "null"]},
        "tags": {"type": ["array", "null"], "items": {"type": ["string", "null"]}},
        "anything": {"type": ["object", "array", "string", "null"]},
        "metadata": MAP,
        "secrets": MAP,
        "customer_id": {"type": ["string", "null"]},
        "customer": {**MAP, "x-pii": True},
        "charge": {
            "type": ["object", "null"],
            "additionalProperties": True,
            "properties": {"paid_at": TIME, "amount": {"type": ["integer", "null"]}},
        },
        "lines": {"type": ["array", "null"], "items": LINE},
        "matrix": {"type": ["array", "null"], "items": {"type": ["array", "null"], "items": {"type": "integer"}}},
        "grid": {"type": ["array", "null"], "items": {"type": ["array", "null"], "items": LINE}},
        "times": {"type": ["array", "null"], "items": TIME},
        "empty": {**MAP, "properties": {"rate": {"type": "number"}}},
        "_updated_at": TIME,
    },
}
LINES: dict[str, Any] = {
    "type": "object",
    "additionalProperties": False,
    "required": ["thing_id", "_position"],
    "properties": {
        "thing_id": {"type": "string"},
        "_position": {"type": "integer"},
        **LINE["properties"],
        "_updated_at": TIME,
    },
}
PARTS: dict[str, Any] = {
    "type": "object",
    "additionalProperties": False,
    "required": ["thing_id", "_position", "number"],
    "properties": {
        "thing_id": {"type": "string"},
        "_position": {"type": "integer"},
        "number": {"type": "integer"},
        "amount": {"type": ["integer", "null"]},
    },
}


SCHEMAS = Schemas({"things": THING, "lines": LINES, "parts": PARTS, "copies": THING})


def seconds(value: Any) -> str:
    if isinstance(value, bool | str):
        raise ValueError("no number")  # noqa: TRY004
    return epoch_text(value)


class Things(CoreStream):
    name = "things"
    schemas = SCHEMAS
    primary_keys = ("id",)
    replication_key = "_updated_at"
    dialect = Dialect(time=seconds, empty_array_is_map=True, list_member="data")
    fields: ClassVar[tuple[Field, ...]] = (
        Alias("amount", old="sum"),
        Reference("customer"),
        Masked("secrets"),
        Masked("customer.secrets"),
        Nested("lines", (Reference("reference", keys=("id", "token")),)),
        Latest("_updated_at", of=("created", "charge.paid_at")),
    )
    pages: ClassVar[list[list[bytes]]] = []

    @override
    def slices(self) -> Any:
        for number in range(len(self.pages)):
            yield Slice({"page": number}, last=number == len(self.pages) - 1)

    @override
    async def load(self, part: Slice, token: Any) -> Page:
        body = b"[" + b",".join(self.pages[part.partition["page"]]) + b"]"
        return read_body(Response(200, {}, body, 0.0), self.page, self.quick_page)


class Lines(EmbeddedStream):
    name = "lines"
    schemas = SCHEMAS
    embedded_in = Things
    rows_at = "lines"
    from_parent: ClassVar[dict[str, str]] = {"thing_id": "id", "_updated_at": "_updated_at"}
    numbered = "_position"
    primary_keys = ("thing_id", "_position")
    replication_key = "_updated_at"


class Parts(EmbeddedStream):
    """Rows inside embedded rows, in an array of which the schema says nothing more."""

    name = "parts"
    schemas = SCHEMAS
    embedded_in = Lines
    rows_at = "parts"
    from_parent: ClassVar[dict[str, str]] = {"thing_id": "thing_id", "_position": "_position"}
    numbered = "number"
    primary_keys = ("thing_id", "_position", "number")


class Copies(EmbeddedStream):
    """The records themselves, as another stream."""

    name = "copies"
    schemas = SCHEMAS
    embedded_in = Things
    primary_keys = ("id",)
    fields: ClassVar[tuple[Field, ...]] = (Masked("secrets"), Masked("customer.secrets"))


class ThingsTap(CoreTap):
    name = "tap-things"
    stream_types = (Things, Lines, Parts, Copies)
    config_jsonschema = config_schema(api_url="https://things.example.com", bounded="")

    @override
    def make_clients(self, network: Network) -> dict[str, ApiClient]:
        return {DEFAULT_ACCOUNT: ApiClient(network, NoAuth())}


numbers = st.one_of(st.integers(), st.decimals(allow_nan=False, allow_infinity=False))
epochs = st.one_of(st.none(), st.integers(0, 4_000_000_000), st.integers(0, 10**10).map(lambda n: Decimal(n) / 1000))
stub = st.fixed_dictionaries({"id": st.text(max_size=4), "object": st.just("customer")})
full = st.fixed_dictionaries({"id": st.text(max_size=4), "secrets": anything, "more": anything})
references = st.one_of(st.none(), st.text(max_size=5), stub, full)
maps = st.one_of(st.none(), st.just([]), st.dictionaries(st.text(max_size=6), anything, max_size=3))
part = st.one_of(st.none(), st.fixed_dictionaries({}, optional={"amount": anything, "number": anything}))


def line(*, wild: bool) -> st.SearchStrategy[Any]:
    """A row inside a record; wild ones hold anything, and may be no objects."""
    tame: dict[str, st.SearchStrategy[Any]] = {
        "quantity": st.integers(),
        "at": epochs,
        "reference": references,
        "parts": st.one_of(st.none(), st.lists(part, max_size=2)),
    }
    if not wild:
        return st.one_of(st.none(), st.fixed_dictionaries({}, optional=tame))
    mixed = {name: kind if name == "parts" else st.one_of(kind, anything) for name, kind in tame.items()}
    return st.one_of(anything, st.fixed_dictionaries({}, optional={**mixed, "unknown": anything}))


def fields(*, wild: bool) -> dict[str, st.SearchStrategy[Any]]:
    """The fields of a record as an API sends them; wild ones hold anything."""
    lines = st.lists(line(wild=wild), max_size=3)
    tame: dict[str, st.SearchStrategy[Any]] = {
        "created": epochs,
        "flag": st.one_of(st.none(), st.booleans()),
        "amount": st.one_of(st.none(), st.integers(-(10**30), 10**30)),
        "sum": st.integers(),
        "rate": st.one_of(st.none(), st.integers(), st.decimals(allow_nan=False, allow_infinity=False)),
        "exact": st.one_of(st.none(), st.decimals(allow_nan=False, allow_infinity=False), st.integers()),
        "name": st.one_of(st.none(), st.text()),
        "code": st.one_of(st.none(), st.integers(), st.text(max_size=4)),
        "tags": st.one_of(st.none(), st.lists(st.one_of(st.none(), st.text(max_size=4)), max_size=3)),
        "anything": st.one_of(st.none(), st.text(), st.lists(anything, max_size=2)),
        "metadata": maps,
        "secrets": st.one_of(maps, st.lists(st.dictionaries(st.text(max_size=3), anything, max_size=2), max_size=2)),
        "customer": references,
        "charge": st.one_of(
            st.none(), st.fixed_dictionaries({}, optional={"paid_at": epochs, "amount": st.integers()})
        ),
        "lines": st.one_of(st.none(), lines, lines.map(lambda rows: {"object": "list", "count": 1, "data": rows})),
        "matrix": st.lists(st.one_of(st.none(), st.lists(st.integers(), max_size=2)), max_size=2),
        "grid": st.lists(st.one_of(st.none(), lines, st.just({"data": []})), max_size=2),
        "times": st.lists(epochs, max_size=3),
        "empty": st.one_of(st.none(), st.fixed_dictionaries({}, optional={"rate": numbers})),
    }
    return {name: st.one_of(kind, anything) if wild else kind for name, kind in tame.items()}


identifiers = st.text(min_size=1, max_size=8)
tame_records = st.fixed_dictionaries({"id": identifiers}, optional=fields(wild=False))
wild_records = st.fixed_dictionaries(
    {"id": st.one_of(*[identifiers] * 30, st.none())}, optional={**fields(wild=True), "new field": anything}
)
tame_rows = st.tuples(st.just(False), tame_records)
wild_rows = st.tuples(st.just(True), wild_records)
page = st.one_of(st.lists(tame_rows, max_size=4), st.lists(st.one_of(tame_rows, wild_rows), max_size=4))
pages = st.lists(page, min_size=1, max_size=3)


Rows = list[list[tuple[bool, dict[str, Any]]]]


def written(data: Rows, rng: Random) -> list[list[bytes]]:
    """Pages of records, each wild or tame, as the API sends them."""
    return [[Writer(rng, wild=wild).text(record).encode() for wild, record in page] for page in data]


def messages(config: dict[str, Any], catalog: dict[str, Any] | None, *, per_record: bool) -> list[Any]:
    """What a run writes: by the engine, or record by record through the SDK's own methods.

    Raises:
        ApiError: A record has no key.
    """
    with tempfile.TemporaryFile() as output:
        tap = ThingsTap(config=config, catalog=catalog, message_writer=MessageWriter(output.fileno()))
        if per_record:
            for stream in tap.streams.values():
                stream._write_schema_message()
                for record in stream.get_records(None):
                    stream._write_record_message(cast("dict[str, Any]", record))
            tap.session.writer.flush()
        else:
            try:
                tap.run()
            except ApiError as error:
                if "everything was read except a record" not in str(error):
                    raise  # a record without its key is left out on both ways; only a run ends with an error for it
        output.seek(0)
        found = [
            json.loads(text, parse_float=Decimal, object_pairs_hook=without_marks)
            for text in output.read().splitlines()
        ]
    for message in found:
        message.pop("time_extracted", None)
        message.pop("version", None)
        message.pop("bookmark_properties", None)
        if config.get("flattening_enabled") and message["type"] == "RECORD":
            message["record"] = {name: unfolded(value) for name, value in message["record"].items()}
    return [message for message in found if message["type"] in {"SCHEMA", "RECORD"}]


def without_marks(members: list[tuple[str, Any]]) -> dict[str, Any]:
    """A JSON object without marks such as x-pii, which the SDK's own loop does not hand on."""
    return {name: value for name, value in members if name not in {"x-pii", "x-secret", "x-partition", "x-scopes"}}


def unfolded(value: Any) -> Any:
    """A value of a flattened record; arrays are JSON texts in it, whose members have no order."""
    try:
        return json.loads(value, parse_float=Decimal) if isinstance(value, str) and value[:1] in {"[", "{"} else value
    except ValueError:
        return value


def outcome(config: dict[str, Any], catalog: dict[str, Any] | None, *, per_record: bool) -> dict[str, list[Any]] | str:
    """The messages of a run by stream, or what went wrong."""
    try:
        return by_stream(messages(config, catalog, per_record=per_record))
    except ApiError as error:
        return str(error)


def by_stream(found: list[Any]) -> dict[str, list[Any]]:
    streams: dict[str, list[Any]] = {}
    for message in found:
        streams.setdefault(message["stream"], []).append(message)
    return streams


CONFIGS: dict[str, dict[str, Any]] = {
    "keep": {},
    "warn": {"unknown_fields": "warn"},
    "drop": {"pii": "drop"},
    "hash": {"pii": "hash", "pii_key": "not-very-secret"},
    "unmasked": {"mask_secrets": False},
    "dropped": {"drop_fields": ["charge", "quantity"]},
    "mapped": {"stream_maps": {"things": {"name": "__NULL__", "told": "'x'", "twice": "id + id"}}},
    "flat": {"flattening_enabled": True, "flattening_max_depth": 2},
    "filtered": {"client_filter": True, "start_date": "2001-01-01", "end_date": "2050-01-01"},
}


@pytest.mark.parametrize("config", CONFIGS.values(), ids=CONFIGS.keys())
@settings(max_examples=20, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=pages, rng=st.randoms(use_true_random=False))
def test_both_paths_write_the_same_messages(config: dict[str, Any], data: Rows, rng: Random) -> None:
    Things.pages = written(data, rng)
    assert outcome(config, None, per_record=False) == outcome(config, None, per_record=True)


@settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    data=pages,
    rng=st.randoms(use_true_random=False),
    gone=st.sets(st.sampled_from(["name", "charge", "lines", "grid", "created", "customer", "_extra"])),
)
def test_both_paths_leave_out_what_is_deselected(data: Rows, rng: Random, gone: set[str]) -> None:
    Things.pages = written(data, rng)
    catalog = json.loads(json.dumps(ThingsTap(config={}).catalog_dict))
    for entry in catalog["streams"]:
        for metadata in entry["metadata"]:
            breadcrumb = metadata["breadcrumb"]
            metadata["metadata"]["selected"] = not breadcrumb or breadcrumb[-1] not in {*gone, "paid_at"}
    assert outcome({}, catalog, per_record=False) == outcome({}, catalog, per_record=True)


@pytest.mark.parametrize("pii", ["drop", "hash"])
def test_x3_personal_data_goes_nowhere_else(pii: str) -> None:
    tame = b'{"id":"a","name":"Zaphod","customer":{"id":"b","object":"customer","who":"Zaphod"}}'
    wild = b'{"id":"b","name":"Zaphod","new field":1,"email":"Zaphod","customer":{"name":"Zaphod"}}'
    Things.pages = [[tame, wild]]
    for config in ({}, {"stream_maps": {"things": {"copy": "str(record)"}}}, {"drop_fields": ["id2"]}):
        found = messages({"pii": pii, "pii_key": "k" * 8, **config}, None, per_record=False)
        assert "Zaphod" not in json.dumps(found, default=str)
        assert len(by_stream(found)["things"]) == len(by_stream(found)["copies"]) == 3


def test_numbers_and_texts_pass_unchanged() -> None:
    text = (
        b'{"id":"a","rate":1.10,"amount":123456789012345678901234567890,"exact":0.1000,"name":"\\u00e9\\n\\"\xf0\x9f\x8e\xab",'
        b'"metadata":{"n":9007199254740993,"e":1e5,"d":0.30000000000000004}}'
    )
    Things.pages = [[text]]
    _, *records = by_stream(messages({}, None, per_record=False))["things"]
    (record,) = (message["record"] for message in records)
    assert record["rate"] == Decimal("1.10")
    assert record["amount"] == 123456789012345678901234567890
    assert record["exact"] == "0.1000"
    assert record["name"] == 'é\n"🎫'
    assert record["metadata"] == {"n": 9007199254740993, "e": Decimal("1e5"), "d": Decimal("0.30000000000000004")}


@pytest.mark.parametrize("per_record", [False, True])
def test_c5_what_does_not_fit_inside_a_row_is_kept_by_the_stream_of_the_rows(*, per_record: bool) -> None:
    Things.pages = [[b'{"id":"a","lines":[null,{"quantity":"12","parts":{"n":1},"new":2}]}']]
    _, message = by_stream(messages({}, None, per_record=per_record))["lines"]
    assert message["record"]["_extra"] == {"quantity": "12", "parts": {"n": 1}, "new": 2}
    assert message["record"]["_position"] == 2
