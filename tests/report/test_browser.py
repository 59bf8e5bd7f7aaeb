"""The page in Chromium, where that is installed: wide and narrow, light and dark, over DevTools' protocol."""

from __future__ import annotations

import json
import shutil
import subprocess
from dataclasses import dataclass
from itertools import count
from typing import TYPE_CHECKING, Any

import pytest
from websockets.sync.client import connect

if TYPE_CHECKING:
    from collections.abc import Iterator

    from websockets.sync.client import ClientConnection

    from tests.report.conftest import Warehouse

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed")

BEYOND = """
[...document.querySelectorAll('body *')].filter(
    each => !each.closest('.scroll table, svg, .hidden, .skip')
        && each.getBoundingClientRect().right > document.documentElement.clientWidth + 1
).map(each => each.outerHTML.slice(0, 80))
"""
PAPER = "getComputedStyle(document.body).backgroundColor"
BARS = "getComputedStyle(document.querySelector('figure svg path[fill=\"var(--accent)\"]')).fill"


@dataclass
class Browser:
    """A tab."""

    socket: ClientConnection
    session: str = ""
    numbers: Iterator[int] = count(1)  # noqa: RUF009 - there is one

    def __post_init__(self) -> None:
        self.events: list[dict[str, Any]] = []

    def ask(self, method: str, **params: Any) -> dict[str, Any]:
        """Send a command; returns its result and keeps what happens meanwhile in `events`."""
        number = next(self.numbers)
        asked = {"id": number, "method": method, "params": params}
        self.socket.send(json.dumps(asked | ({"sessionId": self.session} if self.session else {})))
        while (answer := json.loads(self.socket.recv(timeout=60))).get("id") != number:
            self.events.append(answer)
        assert "error" not in answer, answer
        result: dict[str, Any] = answer["result"]
        return result

    def open(self, address: str) -> None:
        """Go to a page, and wait until it is there."""
        self.events.clear()
        self.ask("Page.navigate", url=address)
        while not any(event["method"] == "Page.loadEventFired" for event in self.events):
            self.events.append(json.loads(self.socket.recv(timeout=60)))

    def value(self, expression: str) -> Any:
        """What an expression gives on the page."""
        return self.ask("Runtime.evaluate", expression=expression, returnByValue=True)["result"].get("value")


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """Chromium without a window."""
    assert CHROMIUM
    profile = tmp_path_factory.mktemp("chromium")
    options = [
        "--headless=new",
        "--no-sandbox",
        "--disable-gpu",
        "--remote-debugging-port=0",
        f"--user-data-dir={profile}",
    ]
    with subprocess.Popen([CHROMIUM, *options, "about:blank"], stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr
        address = next(line.split()[-1] for line in process.stderr if "DevTools listening on" in line)
        with connect(address, max_size=None, proxy=None) as socket:
            tab = Browser(socket)
            target = tab.ask("Target.createTarget", url="about:blank")["targetId"]
            tab.session = tab.ask("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
            for domain in ("Page", "Network", "Runtime", "Log"):
                tab.ask(f"{domain}.enable")
            yield tab
        process.terminate()
        process.stderr.close()


def look(browser: Browser, width: int, scheme: str) -> None:
    browser.ask("Emulation.setDeviceMetricsOverride", width=width, height=900, deviceScaleFactor=1, mobile=width < 500)
    browser.ask("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])


def test_the_page_fits_asks_for_nothing_and_follows_the_reader(
    browser: Browser, with_rows: Warehouse, whole: str
) -> None:
    assert whole
    page = with_rows.path.with_name("report.html").as_uri()
    seen = {}
    for width in (1280, 768, 390, 320):
        for scheme in ("light", "dark"):
            look(browser, width, scheme)
            browser.open(page)
            browser.value("document.querySelectorAll('details').forEach(each => each.open = true)")
            assert browser.value("document.documentElement.scrollWidth") <= width
            assert browser.value(BEYOND) == []
            seen[scheme] = browser.value(PAPER), browser.value(BARS)
            asked = {
                event["params"]["request"]["url"]
                for event in browser.events
                if event["method"] == "Network.requestWillBeSent"
            }
            assert asked <= {page, "data:,"}
            assert not [
                event for event in browser.events if event["method"] in {"Runtime.exceptionThrown", "Log.entryAdded"}
            ]
    light, dark = seen["light"], seen["dark"]
    assert light[0] != dark[0]
    assert light[1] != dark[1]


def test_letters_in_charts_can_be_read_on_a_phone(browser: Browser, with_rows: Warehouse, whole: str) -> None:
    assert whole
    look(browser, 390, "light")
    browser.open(with_rows.path.with_name("report.html").as_uri())
    smallest = """
        Math.min(...[...document.querySelectorAll('svg text')].filter(each => each.textContent.trim()).map(
            each => parseFloat(each.getAttribute('font-size')) * each.getScreenCTM().a))
    """
    assert browser.value(smallest) >= 9


def test_the_keyboard_reaches_everything(browser: Browser, with_rows: Warehouse, whole: str) -> None:
    assert whole
    look(browser, 1280, "light")
    browser.open(with_rows.path.with_name("report.html").as_uri())
    reached = []
    for _ in range(12):
        for kind in ("rawKeyDown", "keyUp"):
            browser.ask("Input.dispatchKeyEvent", type=kind, key="Tab", code="Tab", windowsVirtualKeyCode=9)
        reached.append(
            browser.value("document.activeElement.tagName + ' ' + document.activeElement.textContent.trim()")
        )
    assert reached[0] == "A Skip to the report"
    assert "A Revenue" in reached
    assert any(each.startswith("SUMMARY") for each in reached)
