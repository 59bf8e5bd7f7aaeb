"""Whom the tap asks about."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from tap_core.errors import ConfigError
from tap_pegke.customers import read_customers

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.pegke.conftest import Reader


def identities(setting: Any) -> list[str]:
    return [customer.identity for customer in read_customers(setting, "91")]


@pytest.mark.parametrize(
    "text",
    [
        "9826471001",
        "+919826471001",
        "+91 98264-71001",
        "09826471001",
        "919826471001",
        "0091 (98264) 71001",
        "phone: 9826471001",
        "9826471001.0",
        {"phone": "919826471001.0"},
        "\u202a+91 98264\u00a071001\u202c",
        "\u200b9826471001",
        9_826_471_001,
        9_826_471_001.0,
        {"mob": "9826471001"},
    ],
)
def test_one_phone_in_all_its_forms_is_one_key(text: Any) -> None:
    assert identities([text, "9826471001"]) == ["mob:+919826471001"]


@pytest.mark.parametrize(
    ("given", "identity"),
    [
        ("Asha@Example.com", "email:asha@example.com"),
        ("1787", "cid:1787"),
        ("cid:9826471001", "cid:9826471001"),
        ({"cid": 1787}, "cid:1787"),
        ("+4512345678", "mob:+4512345678"),
        ("0012", "cid:0012"),
        ("1787.0", "cid:1787"),
        ("cid:a.0", "cid:a.0"),
    ],
)
def test_ids_and_addresses_are_told_apart(given: Any, identity: str) -> None:
    assert identities([given]) == [identity]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("plain.csv", "9826471001\nasha@example.com\n\n1787\n"),
        ("header.csv", '\ufeffname,Phone,email,cid\r\nAsha,9826471001,,\r\n"a\nb",,asha@example.com,\r\n,,,1787\r\n'),
        ("header.txt", "customer,since\n9826471001,2015\nasha@example.com,\n1787,2016\n"),
        ("list.json", '[\n "9826471001",\n {"email": "asha@example.com"},\n 1787\n]\n'),
        ("lines.jsonl", '"9826471001"\n{"email": "asha@example.com", "phone": ""}\n\n{"cid": 1787}\n'),
    ],
)
def test_a_file_in_any_form(tmp_path: Path, name: str, text: str) -> None:
    (tmp_path / name).write_text(text, newline="")
    assert identities(str(tmp_path / name)) == ["mob:+919826471001", "email:asha@example.com", "cid:1787"]


def test_a_list_as_an_environment_variable_holds_it() -> None:
    assert identities('["9826471001", "1787"]') == ["mob:+919826471001", "cid:1787"]


def test_tens_of_thousands_in_a_file(tmp_path: Path) -> None:
    path = tmp_path / "customers.csv"
    path.write_text("phone\n" + "\n".join(str(9_800_000_000 + number) for number in range(50_000)))
    assert len(identities(str(path))) == 50_000


def test_an_empty_setting_names_nobody() -> None:
    assert identities("") == identities([]) == identities(None) == []


def test_a_text_in_jsonl_may_hold_any_letter(tmp_path: Path) -> None:
    (tmp_path / "lines.jsonl").write_text('{"name": "a\u2028b", "cid": "7"}\r\n', newline="")
    assert identities(str(tmp_path / "lines.jsonl")) == ["cid:7"]


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("name,Phone No.\nAsha,9826471001\n", "line 1 names columns, but none of phone, mob, mobile"),
        ("phone;name\n9826471001;Asha\n", "separate columns with commas"),
        ("phone,email\n9826471001,\n  ,secret-1\n", "line 3 is not an e-mail address"),
        ("phone,name\n9826471001,\n,secret-1\n", "line 3 names no customer: it has none of phone, mob"),
        ('phone\n9826471001\n"' + "secret-1" * 20_000 + '"\n', "line 3 is not valid CSV"),
        ("\n1787\n", ""),
    ],
)
def test_c1_a_mistake_in_a_file_is_named_by_its_line(tmp_path: Path, text: str, complaint: str) -> None:
    (tmp_path / "customers.csv").write_text(text)
    if not complaint:
        assert identities(str(tmp_path / "customers.csv")) == ["cid:1787"]
        return
    with pytest.raises(ConfigError, match="setting 'customers'") as error:
        identities(str(tmp_path / "customers.csv"))
    assert complaint in str(error.value)
    assert "secret-1" not in str(error.value)


ROUNDED = "is a number that a spreadsheet has rounded"


@pytest.mark.parametrize(
    ("name", "text", "line"),
    [
        ("c.csv", "9.82647E+09\n", 1),
        ("c.csv", "1787\n9.82647E+09\n", 2),
        ("c.csv", "9.82647e9\n", 1),
        ("c.csv", "9E+09\n", 1),
        ("c.csv", '"9,82647E+09"\n', 1),
        ("c.csv", "9,82647E+09\n", 1),
        ("c.csv", " 9.82647E+09 ,x\n", 1),
        ("c.csv", "cid\n9.82647E+09\n", 2),
        ("c.csv", "phone\n9.82647E+09\n", 2),
        ("c.csv", "customer,points\n9.82647E+09,5\n", 2),
        ("c.jsonl", "9.82647E+09\n", 1),
        ("c.jsonl", '"9826471001"\n"9.82647E+09"\n', 2),
        ("c.jsonl", '{"mob": 9.82647e+09}\n', 1),
    ],
)
def test_a_number_that_a_spreadsheet_has_rounded_is_refused(tmp_path: Path, name: str, text: str, line: int) -> None:
    path = tmp_path / name
    path.write_text(text)
    with pytest.raises(ConfigError, match=f"^setting 'customers': line {line} {ROUNDED}") as failure:
        read_customers(str(path), "91")
    assert "82647" not in str(failure.value)


def test_what_only_looks_rounded_can_be_said_to_be_an_id(tmp_path: Path) -> None:
    path = tmp_path / "c.csv"
    path.write_text("cid:1E+05\n1e+5@example.com\nA1E5\n5e12\n9e1f33\n1787\n")
    assert identities(str(path)) == [
        "cid:1E+05",
        "email:1e+5@example.com",
        "cid:A1E5",
        "cid:5e12",
        "cid:9e1f33",
        "cid:1787",
    ]
    with pytest.raises(ConfigError, match=ROUNDED):
        identities('["9826471001", 9.82647E+09]')


@pytest.mark.parametrize(
    ("setting", "complaint"),
    [
        ("/nowhere/customers.csv", "the file cannot be read (No such file or directory); give a list, or the path"),
        (["phone:secret-1"], "item 1 is not a phone number"),
        (["+91 secret-1"], "item 1 is not a phone number"),
        ([float("inf")], "item 1 is neither text nor a whole number"),
        (["email:secret-1"], "item 1 is not an e-mail address"),
        (["1787", " "], "item 2 is empty"),
        ([{"name": "secret-1"}], "item 1 names no customer"),
        ("[1,", "is not valid JSON"),
        ([[1]], "item 1 is neither text nor a whole number"),
        ([1.5], "item 1 is neither text nor a whole number"),
    ],
)
def test_c1_a_mistake_is_named_without_its_value(setting: Any, complaint: str) -> None:
    with pytest.raises(ConfigError, match="setting 'customers'") as error:
        read_customers(setting, "91")
    assert complaint in str(error.value)
    assert "secret-1" not in str(error.value)


def test_the_raw_form_is_kept_and_doubles_are_asked_once(pegke: Reader) -> None:
    phone = pegke.world.truth("pegke", "customer_points")[0]["phone"]
    run = pegke.read("customer_points", customers=[f"+91 {phone}", phone])
    [row] = run.records("customer_points")
    assert (row["_phone"], row["_identifier"], row["phone"]) == (f"+91{phone}", f"+91 {phone}", phone)
    assert pegke.count("/apiv1/check_points") == 1


def test_version_1_takes_every_kind_of_identifier(pegke: Reader) -> None:
    truth = pegke.world.truth("pegke", "customers")
    first, second, third = truth[0], truth[1], truth[2]
    given = [first["_phone"], second["email"].upper(), third["cid"]]
    run = pegke.read("users", "user_history", "customer_points", customers=given)
    assert run.code == 0, run.log
    assert {row["cid"] for row in run.records("users")} == {first["cid"], second["cid"], third["cid"]}
    assert {row["cid"] for row in run.records("user_history")} <= {first["cid"], second["cid"], third["cid"]}
    assert [row["_phone"] for row in run.records("customer_points")] == [first["_phone"]]
    assert "2 customers are named by e-mail or id; the merchant API takes phones only" in run.log


@pytest.mark.parametrize("answer", ["404", "empty"])
def test_an_unknown_customer_is_counted_not_fatal(make_pegke: Callable[..., Reader], answer: str) -> None:
    pegke = make_pegke(unknown_customer=answer)
    customers = [*pegke.account().config["customers"], "9000000001", "9000000002"]
    run = pegke.read("customer_points", "points_history", "customers", customers=customers)
    pegke.exact(run, "customer_points", "points_history", "customers")
    assert run.log.count("2 unknown customers") == 4, "two streams say so, and the table"


@pytest.mark.parametrize("body", ["[]", "null", "{ }", {"phone": "9000000001", "points": None}])
def test_whoever_gets_an_empty_answer_is_unknown(pegke: Reader, body: Any) -> None:
    customers = pegke.account().config["customers"][:5]
    for route in ("/apiv1/check_points", "/apiv1/check_history", "/v1/entity/user"):
        empty = {"history": []} if route.endswith("history") and isinstance(body, dict) else body
        empty = {"customer": None} if route.endswith("user") and isinstance(body, dict) else empty
        pegke.world.fault("pegke", route, "status", status=200, body=empty)
    run = pegke.read("customer_points", "customers", "users", customers=customers)
    assert run.code == 0, run.log
    for stream in ("customer_points", "customers", "users"):
        assert len(run.records(stream)) == 4
    for reader in ("customer_points", "points_history", "users"):
        assert f"{reader}: the API does not know 1 of 5 customers" in run.log


def test_a_balance_under_another_name_is_no_unknown_customer(pegke: Reader) -> None:
    pegke.world.fault("pegke", "/apiv1/check_points", "status", status=200, body={"balance": 5})
    run = pegke.read("customer_points", customers=pegke.account().config["customers"][:2], concurrency=1)
    assert "does not know" not in run.log
    assert [row.get("_extra") for row in run.records("customer_points")] == [{"balance": 5}, None]


def test_an_empty_page_zero_without_details_says_nothing_about_the_customer(make_pegke: Callable[..., Reader]) -> None:
    pegke = make_pegke(first_page="one")
    pegke.world.fault("pegke", "/apiv1/check_history", "patch", remove=["customer"], times=None)
    customers = [row["phone"] for row in pegke.world.truth("pegke", "customer_points")[:5]]
    run = pegke.read("points_history", customers=customers)
    assert run.code == 0, run.log
    phones = {f"+91{phone}" for phone in customers}
    truth = pegke.truth("points_history", run)
    phones = {f"+91{phone}" for phone in customers}
    assert run.rows("points_history") == {key: row for key, row in truth.items() if row["_phone"] in phones}


def test_customers_alone_are_read_with_the_first_page_that_is_configured(make_pegke: Callable[..., Reader]) -> None:
    pegke = make_pegke(first_page="one")
    pegke.exact(pegke.read("customers", first_page=1), "customers")
    bodies = pegke.bodies("/apiv1/check_history")
    assert len(bodies) == 60
    assert all(body.endswith("page=1") for body in bodies)


def test_one_added_while_an_early_end_date_holds_gets_its_whole_history(pegke: Reader) -> None:
    everybody = pegke.account().config["customers"]
    first = pegke.read("points_history", customers=everybody[:20])
    second = pegke.read("points_history", customers=everybody, state=first.state, end_date="2025-06-01")
    third = pegke.read("points_history", customers=everybody, state=second.state)
    assert len(second.records("points_history")) > 0
    both = {**first.rows("points_history"), **second.rows("points_history"), **third.rows("points_history")}
    assert both == pegke.truth("points_history", third)


def test_nobody_known_fails_the_stream_and_removes_nothing(pegke: Reader) -> None:
    run = pegke.read("customer_points", "offers", customers=["9000000001"])
    assert run.code == 4
    assert "customer_points: the API knows none of the 1 customers; check the settings 'customers'" in run.log
    assert [m["stream"] for m in run.of("ACTIVATE_VERSION")] == ["offers"]
    pegke_offers = pegke.world.truth("pegke", "offers")
    assert len(run.records("offers")) == len(pegke_offers)


def test_a_wrong_path_is_no_unknown_customer(pegke: Reader) -> None:
    run = pegke.read("customer_points", "offers", endpoints={"check_points": "/apiv1/elsewhere"})
    assert run.code == 4
    assert "customer_points: GET /apiv1/elsewhere: 404 Not Found: the API has no such call" in run.log
    assert pegke.count("unknown") < 10
    assert run.records("offers")


def test_without_customers_their_streams_are_skipped_with_one_line(pegke: Reader) -> None:
    run = pegke.read("customer_points", "offers", customers=None)
    assert (run.code, run.streams) == (0, ["offers"])
    assert run.log.count("customer_points: skipped, because the setting 'customers' names no customer") == 1


def test_one_added_later_gets_its_whole_history(pegke: Reader) -> None:
    everybody = pegke.account().config["customers"]
    first = pegke.read("points_history", "user_history", customers=everybody[:20])
    pegke.world.tick()
    second = pegke.read("points_history", "user_history", customers=everybody, state=first.state)
    for stream in ("points_history", "user_history"):
        both = {**first.rows(stream), **second.rows(stream)}
        missing = pegke.truth(stream, second).keys() - both.keys()
        assert not missing - of_newcomers(pegke, stream, len(everybody), second)


def of_newcomers(pegke: Reader, stream: str, known: int, run: Any) -> set[tuple[Any, ...]]:
    """Keys of entries of customers that the tick has brought and nobody has configured."""
    ids = {row["cid"] for row in pegke.world.truth("pegke", "customers")[known:]}
    keys = run.keys(stream)
    return {tuple(row[key] for key in keys) for row in pegke.world.truth("pegke", stream) if row["cid"] in ids}


def test_one_that_becomes_known_later_gets_its_whole_history(pegke: Reader) -> None:
    phone, other = (pegke.account().config["customers"][number] for number in (0, 1))
    pegke.world.fault("pegke", "/apiv1/check_history", "status", status=404, body={"code": 34}, times=1)
    first = pegke.read("points_history", customers=[phone, other], concurrency=1)
    assert "points_history: the API answers some pages of a known customer with 404" in first.log
    second = pegke.read("points_history", customers=[phone, other], state=first.state)
    both = {**first.rows("points_history"), **second.rows("points_history")}
    wanted = {key: row for key, row in pegke.truth("points_history", second).items() if key in both}
    phones = {row["_phone"] for row in pegke.world.truth("pegke", "customers")[:2]}
    assert len(both) == len([row for row in pegke.world.truth("pegke", "points_history") if row["_phone"] in phones])
    assert both == wanted


def test_x2_the_state_and_the_log_name_no_customer(pegke: Reader) -> None:
    run = pegke.read("points_history", "user_history", "customer_points")
    shown = run.log + json.dumps(run.state)
    assert not [row for row in pegke.world.truth("pegke", "customer_points") if row["phone"] in shown]
