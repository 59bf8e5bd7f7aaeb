"""The vendor's own two answers, byte for byte, pass through the tap."""

from __future__ import annotations

from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import pytest
from typing_extensions import override

from tap_core.testing import Account, run_tap, selected
from tap_pegke.tap import TapPegke

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any

FIXTURES = Path(__file__).parents[2] / "contracts/pegke/fixtures"
TOKEN = (FIXTURES / "oauth_token_response.json").read_bytes()
STATUS = (FIXTURES / "pegke_status_2016-01-11.json").read_bytes()
ENTRY = b'{"page":0,"data":[{"id":1,"created":"1460558324","type":"earn","points":1.50}]}'


class Vendor(BaseHTTPRequestHandler):
    """Answers with the fixtures; its only history has one entry, for those who send the fixture's token."""

    def _answer(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self._answer(200, TOKEN)

    def do_GET(self) -> None:
        bearer = f"Bearer {msgspec.json.decode(TOKEN)['access_token']}"
        if self.path == "/?q=api%2Fpegke_status":
            self._answer(200, STATUS)
        elif self.headers["Authorization"] == bearer:
            self._answer(200, ENTRY if self.path.endswith("page=0") else b'{"page":1,"data":[]}')
        else:
            self._answer(401, TOKEN)

    @override
    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


@pytest.fixture
def vendor(serve: Callable[[type[BaseHTTPRequestHandler]], str]) -> str:
    return serve(Vendor)


def test_both_fixtures_pass_through(vendor: str, catalog: Mapping[str, Any]) -> None:
    config = {"api_url": vendor, "client_id": "id", "client_secret": "secret"}
    run = run_tap(TapPegke, Account(config), catalog=selected(catalog, ["system_status", "store_history"]))
    assert run.code == 0, run.log
    components = msgspec.json.decode(STATUS)["sstatus"]
    assert run.records("system_status") == [
        {"_component": component, "_status": status, "last_mod": "2016-01-11T11:59:12.000000Z"}
        for component, status in components.items()
    ]
    assert run.records("store_history") == [
        {"_entry_id": "1", "id": "1", "created": "2016-04-13T14:38:44.000000Z", "type": "earn", "points": "1.50"}
    ]
