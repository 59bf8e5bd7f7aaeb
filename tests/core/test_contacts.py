"""Contact details that are the same hash alike, on both paths of a record; keys stay as different as they are."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import pytest
from typing_extensions import override

from tap_core.records.contacts import normal_form
from tap_core.records.policy import Policy
from tests.core.example import ExampleStream, TapExample, run, schema

if TYPE_CHECKING:
    from tests.core.conftest import Lists

TEXT = {"type": ["string", "null"]}
HASH = Policy(pii="hash", pii_key=b"k")


class People(ExampleStream):
    name = "people"
    path = "/people"
    primary_keys = ("mail",)

    @override
    def declared_schema(self) -> dict[str, Any]:
        inside = {"type": ["object", "null"], "properties": {"phone": {**TEXT, "x-pii": "phone:+1"}}}
        mail = {"type": "string", "x-pii": "email"}
        return schema(mail=mail, email={**TEXT, "x-pii": "email"}, contact=inside, name={**TEXT, "x-pii": True})


class TapPeople(TapExample):
    stream_types: ClassVar[tuple[type[ExampleStream], ...]] = (People,)


@pytest.mark.parametrize(
    ("kind", "written", "form"),
    [
        ("email", " Ana@Example.com\n", "ana@example.com"),
        ("phone", "+1 (614) 456-1447", "+16144561447"),
        ("phone", "001 614 456 1447", "+16144561447"),
        ("phone", "(614) 456-1447", "6144561447"),
        ("phone:+1", "(614) 456-1447", "+16144561447"),
        ("phone:+1", "+49 30 1234567", "+49301234567"),
        ("phone:+1", "456-1447", "4561447"),
        ("phone", "none", "none"),
        ("name", "Ana", "Ana"),
    ],
)
def test_a_contact_detail_has_one_form(kind: str, written: str, form: str) -> None:
    assert normal_form(written, kind) == form
    assert normal_form(form, kind) == form


@pytest.mark.parametrize("surprise", ["", ',"new":1'], ids=["fast path", "slow path"])
def test_x3_what_is_the_same_hashes_alike(lists: Lists, surprise: str) -> None:
    row = '{"mail":"Ana@X.com","email":" Ana@X.com","contact":{"phone":"614-456-1447"},"name":"Ana"' + surprise
    lists.rows["/people"] = lists.server.answer(body=f'{{"data":[{row}}}]}}'.encode())
    outcome = run(TapPeople, {**lists.config, "pii": "hash", "pii_key": "k", "pii_harmless": ["new"]})
    assert outcome.error is None
    (found,) = outcome.records("people")
    assert found["email"] == HASH.hash_leaf("ana@x.com")
    assert found["contact"]["phone"] == HASH.hash_leaf("+16144561447")
    assert found["name"] == HASH.hash_leaf("Ana")
    assert found["mail"] == HASH.hash_leaf("Ana@X.com"), "two keys must not become one"
