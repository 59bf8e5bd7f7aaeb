"""PeerAssist's emulation against its contract and samples, and its truth against what it serves."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import jsonschema
import pytest
import yaml

if TYPE_CHECKING:
    from collections.abc import Callable

    import urllib3

    from merchant_sandbox.client import World

CONTRACTS = Path(__file__).parents[2] / "contracts/peerassist"
CONTRACT = yaml.safe_load((CONTRACTS / "openapi.yaml").read_text())
LISTS = {"fwos": "/fwo", "customers": "/customer", "projects": "/project", "employees": "/employee"}
PAGES = {"fwos": "FwoPage", "customers": "CustomerPage", "projects": "ProjectPage", "employees": "EmployeePage"}
ASCENDING = {"sort": "id,asc"}


@dataclass
class Client:
    """Reads the PeerAssist API of one world."""

    world: World
    pool: urllib3.PoolManager
    headers: dict[str, str] = field(default_factory=dict)

    def login(self, **other: str) -> urllib3.BaseHTTPResponse:
        config = self.world.config("peerassist", **other)
        answer = self.pool.request(
            "POST",
            f"{config['api_url']}/auth?clientKey={config['client_key']}",
            json={"userName": config["username"], "password": config["password"]},
            retries=False,
            timeout=5,
        )
        if answer.status == 200:
            self.headers = {"Authorization": f"Bearer {answer.json()['token']}"}
        return answer

    def get(self, path: str, /, **fields: Any) -> urllib3.BaseHTTPResponse:
        if not self.headers:
            self.login()
        url = self.world.url("peerassist") + path
        return self.pool.request("GET", url, fields=fields, headers=self.headers, retries=False, timeout=5)


@pytest.fixture
def peerassist(world: World, pool: urllib3.PoolManager) -> Client:
    return Client(world, pool)


def fixture(name: str) -> Any:
    return json.loads((CONTRACTS / "fixtures" / f"{name}.json").read_text())


def validate(value: Any, schema: str) -> None:
    jsonschema.Draft202012Validator({"$ref": f"#/components/schemas/{schema}", **CONTRACT}).validate(value)


@pytest.mark.parametrize("dates", ["iso", "iso_offset", "iso_naive", "epoch_ms", "absent"])
@pytest.mark.parametrize("nulls", ["absent", "null"])
def test_every_page_of_a_list_fits_the_contract(peerassist: Client, dates: str, nulls: str) -> None:
    peerassist.world.switch("peerassist", dates=dates, nulls=nulls)
    for stream, path in LISTS.items():
        page, last = 0, False
        while not last:
            answer = peerassist.get(path, page=page, size=100).json()
            validate(answer, PAGES[stream])
            page, last = page + 1, answer["last"]
        assert page == answer["totalPages"]


def test_a_bare_array_holds_records_of_the_contract(peerassist: Client) -> None:
    peerassist.world.switch("peerassist", envelope="array")
    rows = peerassist.get("/fwo", size=1000).json()
    assert isinstance(rows, list)
    for row in rows:
        validate(row, "Fwo")


@pytest.mark.parametrize(("number", "name"), [(3, "customer_get_response"), (4, "customer_create_response")])
def test_the_documented_customers_are_served_word_for_word(peerassist: Client, number: int, name: str) -> None:
    assert peerassist.get(f"/customer/{number}").json() == fixture(name)


def test_the_login_answers_as_documented(peerassist: Client) -> None:
    answer = peerassist.login().json()
    documented = fixture("auth_response")
    assert answer.keys() == documented.keys()
    assert (answer["tokenType"], answer["expiresIn"]) == ("Bearer", documented["expiresIn"])
    validate(answer, "AuthToken")
    assert len(answer["token"]) == 43


@pytest.mark.parametrize("wrong", ["client_key", "username", "password"])
def test_a_wrong_credential_is_refused(peerassist: Client, wrong: str) -> None:
    assert peerassist.login(**{wrong: "wrong"}).status == 401


def test_the_switch_refuses_the_key(peerassist: Client) -> None:
    peerassist.world.switch("peerassist", accept_key=False)
    assert peerassist.login().status == 401


@pytest.mark.parametrize(
    ("expires_in", "said"), [("minutes", {"expiresIn": 2}), ("seconds", {"expiresIn": 120}), ("absent", {})]
)
def test_a_token_dies_after_its_minutes(peerassist: Client, expires_in: str, said: dict[str, int]) -> None:
    peerassist.world.switch("peerassist", token_minutes=2, expires_in=expires_in)
    answer = peerassist.login().json()
    assert {name: answer[name] for name in answer.keys() - {"token", "tokenType"}} == said
    assert peerassist.get("/customer/3").status == 200
    peerassist.world.advance(121)
    assert peerassist.get("/customer/3").status == 401


def test_a_token_is_revoked_after_so_many_calls(peerassist: Client) -> None:
    peerassist.world.switch("peerassist", revoke_after=2)
    assert [peerassist.get("/customer/3").status for _ in range(3)] == [200, 200, 401]


@pytest.mark.parametrize(("role", "fwos", "employees"), [("office", 200, 200), ("field", 200, 403), ("none", 403, 403)])
def test_a_poor_role_may_less(peerassist: Client, role: str, fwos: int, employees: int) -> None:
    peerassist.world.switch("peerassist", role=role)
    assert peerassist.get("/fwo").status == fwos
    assert peerassist.get("/employee").status == employees


def ids(answer: urllib3.BaseHTTPResponse) -> list[int]:
    found = answer.json()
    return [row["id"] for row in (found if isinstance(found, list) else found["content"])]


def test_pages_count_from_zero_or_one(peerassist: Client) -> None:
    first, second = (ids(peerassist.get("/fwo", page=page, size=7)) for page in (0, 1))
    assert not set(first) & set(second)
    peerassist.world.switch("peerassist", first_page=1)
    assert [ids(peerassist.get("/fwo", page=page, size=7)) for page in (0, 1, 2)] == [first, first, second]
    assert ids(peerassist.get("/fwo", size=7)) == first
    peerassist.world.switch("peerassist", page_zero="error")
    assert peerassist.get("/fwo", page=0, size=7).status == 400


def test_sizes_are_capped_or_ignored(peerassist: Client) -> None:
    peerassist.world.switch("peerassist", size_cap=30)
    answer = peerassist.get("/fwo", page=1, size=100, **ASCENDING).json()
    expected = [row["id"] for row in peerassist.world.truth("peerassist", "fwos")[30:60]]
    assert (answer["size"], [row["id"] for row in answer["content"]]) == (30, expected)
    peerassist.world.switch("peerassist", ignore_size=True)
    assert len(ids(peerassist.get("/fwo", size=100))) == 20


def test_the_page_number_can_be_ignored(peerassist: Client) -> None:
    peerassist.world.switch("peerassist", ignore_page=True)
    assert ids(peerassist.get("/fwo", page=3)) == ids(peerassist.get("/fwo", page=0))


def test_order_is_newest_first_unless_sorted(peerassist: Client) -> None:
    assert ids(peerassist.get("/fwo")) == sorted(ids(peerassist.get("/fwo")), reverse=True)
    assert ids(peerassist.get("/fwo", **ASCENDING)) == sorted(ids(peerassist.get("/fwo", **ASCENDING)))
    peerassist.world.switch("peerassist", sortable=False)
    assert ids(peerassist.get("/fwo", **ASCENDING)) == ids(peerassist.get("/fwo"))


@pytest.mark.parametrize("status", ["404", "405"])
def test_guessed_calls_can_be_missing(peerassist: Client, status: str) -> None:
    peerassist.world.switch("peerassist", customer_list=status, missing=["/project"])
    assert peerassist.get("/customer").status == int(status)
    assert peerassist.get("/customer/3").status == 200
    assert peerassist.get("/project").status == 404
    validate(peerassist.get("/project").json(), "Error")


def test_rows_appear_between_pages_and_move_others(peerassist: Client) -> None:
    peerassist.world.fault("peerassist", "/fwo", "insert", position=0, rows=1, after=1)
    first, second = (ids(peerassist.get("/fwo", page=page, size=5)) for page in (0, 1))
    assert first[-1] == second[0]


@pytest.mark.parametrize("stream", LISTS)
def test_truth_holds_every_record_served(peerassist: Client, stream: str) -> None:
    served = peerassist.get(LISTS[stream], size=2000, **ASCENDING).json()["content"]
    truth = peerassist.world.truth("peerassist", stream)
    assert len(served) > 30
    assert [row["id"] for row in served] == [row["id"] for row in truth]
    for column in ("number", "status", "name", "summary", "customerId"):
        assert [row.get(column) for row in served] == [row.get(column) for row in truth]


@pytest.mark.parametrize(("role", "missing"), [("office", []), ("office", ["/project"]), ("field", [])])
def test_without_a_list_truth_holds_the_customers_that_are_named(
    peerassist: Client, role: str, missing: list[str]
) -> None:
    full = peerassist.world.truth("peerassist", "customers")
    peerassist.world.switch("peerassist", customer_list="404", role=role, missing=missing)
    rows = peerassist.get("/fwo", size=2000).json()["content"]
    rows += peerassist.get("/project", size=2000).json().get("content", [])
    named = {row["customerId"] for row in rows if "customerId" in row}
    known = [row["id"] for row in peerassist.world.truth("peerassist", "customers")]
    assert known == [row["id"] for row in full if row["id"] in named]
    assert len(known) < len(full)
    deleted = named - {row["id"] for row in full}
    assert deleted
    assert all(peerassist.get(f"/customer/{number}").status == 404 for number in deleted)


def test_naive_dates_mean_local_time(peerassist: Client) -> None:
    peerassist.world.switch("peerassist", dates="iso_naive", zone="Europe/Madrid")
    served = peerassist.get("/fwo", size=2000, **ASCENDING).json()["content"]
    assert served
    for row, true in zip(served, peerassist.world.truth("peerassist", "fwos"), strict=True):
        local = datetime.fromisoformat(row["created"]).replace(tzinfo=ZoneInfo("Europe/Madrid"))
        assert local == datetime.fromisoformat(true["created"])


def test_ticks_add_change_and_delete(make_world: Callable[..., World]) -> None:
    world = make_world()
    before = {row["id"]: row for row in world.truth("peerassist", "fwos")}
    world.tick(30)
    after = {row["id"]: row for row in world.truth("peerassist", "fwos")}
    assert after.keys() - before.keys()
    assert before.keys() - after.keys()
    changed = [number for number in before.keys() & after.keys() if before[number] != after[number]]
    assert changed
    for number in changed:
        if after[number]["lastUpdated"] is not None:
            assert after[number]["lastUpdated"] > before[number]["lastUpdated"]


def test_writes_are_flagged_and_change_nothing(peerassist: Client) -> None:
    peerassist.login()
    url = peerassist.world.url("peerassist") + "/customer"
    answer = peerassist.pool.request(
        "POST", url, json=fixture("customer_create_request"), headers=peerassist.headers, retries=False
    )
    assert answer.json() == fixture("customer_create_response")
    assert [entry["path"] for entry in peerassist.world.stats("peerassist")["writes"]] == ["/customer"]
