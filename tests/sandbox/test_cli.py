"""The command line, as a process."""

from __future__ import annotations

import http.server
import json
import signal
import subprocess
import sys
import threading
import urllib.request
from typing import TYPE_CHECKING

import pytest

from merchant_sandbox.client import Sandbox, World

if TYPE_CHECKING:
    from pathlib import Path

COMMAND = [sys.executable, "-m", "merchant_sandbox"]


def sandbox(*arguments: str, **options: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(  # type: ignore[call-overload,no-any-return]
        [*COMMAND, *arguments], capture_output=True, text=True, check=False, timeout=60, **options
    )


def run_python(code: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return sandbox("run", *arguments, "--", sys.executable, "-c", code)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, -signal.SIGTERM), (signal.SIGINT, 130)])
def test_serve_prints_one_ready_line_and_stops_quietly(number: signal.Signals, code: int) -> None:
    with subprocess.Popen([*COMMAND, "serve"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout
        hello = json.loads(process.stdout.readline())
        assert hello["world"] == hello["url"] + "/w/default"
        assert hello["clock"].startswith("1772323200.")
        assert hello["pid"] == process.pid
        with pytest.raises(urllib.error.HTTPError, match="401"):
            urllib.request.urlopen(hello["world"] + "/peakium/api/v1/customers")
        process.send_signal(number)
        rest, errors = process.communicate(timeout=30)
    assert (rest, errors, process.returncode) == ("", "", code)


def test_tick_advances_a_running_world(sandbox: Sandbox) -> None:
    world = sandbox.world("ticked")
    before = len(world.truth("peakium", "invoices"))
    done = subprocess.run(
        [*COMMAND, "tick", "--url", sandbox.url, "-n", "2", "--world", "ticked"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert json.loads(done.stdout)["ticks"] == 2
    assert len(world.truth("peakium", "invoices")) > before
    world.drop()


def test_run_gives_the_command_addresses_clock_and_credentials() -> None:
    done = run_python("import os, json; print(json.dumps(dict(os.environ)))", "--ticks=2", "--clock-rate=60")
    environment = json.loads(done.stdout)
    assert done.returncode == 0
    assert environment["TAP_PEAKIUM_API_URL"] == environment["MERCHANT_SANDBOX_URL"] + "/w/default/peakium/api/v1"
    assert environment["TAP_PEAKIUM_API_KEY"]
    assert environment["MERCHANT_CLOCK"].endswith(",60")


def test_the_clock_starts_where_it_is_told_but_never_before_the_end_of_the_data() -> None:
    code = "import os; print(os.environ['MERCHANT_CLOCK'].split(',')[0])"
    starts = {
        start: float(run_python(code, "--ticks=2", f"--clock-start={start}").stdout)
        for start in ("2026-01-01", "2026-02-04T12:00:00")
    }
    assert starts == {"2026-01-01": 1_770_076_800, "2026-02-04T12:00:00": 1_770_206_400}


def test_switches_are_set_from_the_command_line() -> None:
    code = (
        "import os; from merchant_sandbox.client import Sandbox, World;"
        "world = World(Sandbox(os.environ['MERCHANT_SANDBOX_URL']));"
        "(status,) = world.truth('premiumpay', 'server_status');"
        "print(status['ratelimit']['rateLimit'], len(world.truth('premiumpay', 'channels')))"
    )
    done = run_python(
        code, "--switch=premiumpay.rate_limit=7", "--switch=premiumpay.channels=2", '--switch=premiumpay.empty="404"'
    )
    assert (done.stdout, done.stderr) == ("7 2\n", "")


def test_run_forwards_the_exit_code_and_stops_the_sandbox(tmp_path: Path) -> None:
    file = tmp_path / "url"
    done = run_python(
        f"import os, sys; open({str(file)!r}, 'w').write(os.environ['MERCHANT_SANDBOX_URL']); sys.exit(7)"
    )
    assert done.returncode == 7
    assert done.stderr == ""
    with pytest.raises(urllib.error.URLError):
        urllib.request.urlopen(file.read_text())


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_run_forwards_signals(number: signal.Signals) -> None:
    code = (
        "import signal, sys, time\n"
        f"signal.signal({int(number)}, lambda *_: sys.exit(33))\n"
        "print('up', flush=True)\nwhile True: signal.pause()"
    )
    command = [*COMMAND, "run", "--", sys.executable, "-c", code]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stdin=subprocess.DEVNULL, text=True) as process:
        assert process.stdout
        assert process.stdout.readline() == "up\n"
        process.send_signal(number)
        assert process.wait(30) == 33


def test_run_reports_death_by_signal_like_a_shell() -> None:
    assert run_python("import os; os.kill(os.getpid(), 9)").returncode == 137


def test_sandbox_ends_with_the_process_that_started_it(tmp_path: Path) -> None:
    file = tmp_path / "url"
    code = f"import os; open({str(file)!r}, 'w').write(os.environ['MERCHANT_SANDBOX_URL']); print(flush=1); input()"
    command = [*COMMAND, "run", "--", sys.executable, "-c", code]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stdin=subprocess.PIPE, text=True) as process:
        assert process.stdout
        process.stdout.readline()
        process.kill()
    for _ in range(1_000):
        try:
            urllib.request.urlopen(file.read_text(), timeout=5)
        except urllib.error.HTTPError:
            continue
        except OSError:
            return
    pytest.fail("the sandbox outlived the process that started it")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["run"], "there is no command to run: merchant-sandbox run -- COMMAND"),
        (["run", "--", "/nowhere/at-all"], "cannot run the command behind --: No such file or directory"),
        (["serve", "--", "x"], "serve does not take a command"),
        (["serve", "--tls-cert", "x"], "--tls-cert and --tls-key must be given together"),
        (["serve", "--ticks", "-1"], "ticks must be between 0 and 10,000"),
        (["serve", "--ticks", "99999999999"], "ticks must be between 0 and 10,000"),
        (["serve", "--clock-rate", "0"], "clock_rate must be a finite number above 0"),
        (["serve", "--clock-rate", "nan"], "clock_rate must be a finite number above 0"),
        (["serve", "--clock-rate", "inf"], "clock_rate must be a finite number above 0"),
        (["serve", "--clock-start", "soon"], "argument --clock-start: not a time such as 2026-02-01"),
        (["serve", "--switch", "premiumpay"], "argument --switch: not of the form VENDOR.NAME=VALUE"),
        (["serve", "--switch", "nobody.rate_limit=1"], "no vendor 'nobody'; the vendors are"),
        (["run", "--switch", "premiumpay.rate_limit=few", "--", "true"], "premiumpay switch rate_limit must be a int"),
        (["serve", "--size", "huge"], "argument --size: invalid choice (choose from"),
        (["serve", "--port", "99999"], "argument --port: not a port"),
        (["serve", "--port", "http"], "argument --port: not a port"),
        (
            ["serve", "--tls-cert", "/nowhere", "--tls-key", "/nowhere"],
            "do not name a certificate and its key",
        ),
        (["tick", "--url", "http://127.0.0.1:9"], "no sandbox at http://127.0.0.1:9"),
        (["tick", "--url", "nothing"], "the URL of a sandbox reads http://127.0.0.1:PORT"),
        (["tick"], "there is no sandbox to reach"),
        ([], "required: serve | run | tick"),
    ],
)
def test_mistakes_get_one_line_and_a_code(arguments: list[str], message: str) -> None:
    done = sandbox(*arguments, env={})
    assert done.returncode != 0
    lines = done.stderr.strip().splitlines()
    assert message in lines[-1]
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    "arguments",
    [
        ["serve", "--port", "KEY"],
        ["serve", "--seed", "KEY"],
        ["serve", "--clock-start", "KEY"],
        ["serve", "--size", "KEY"],
        ["serve", "KEY"],
        ["serve", "--t=KEY"],
        ["serve", "--tls-cert", "KEY", "--tls-key", "KEY"],
        ["run", "--", "KEY"],
        ["tick", "--url", "KEY"],
        ["tick", "--url", "http://me:KEY@127.0.0.1:9"],
        ["KEY"],
    ],
    ids=" ".join,
)
@pytest.mark.parametrize("given", ["canary-7f3a9c", '{"api_key": "canary-7f3a9c"}'], ids=["word", "JSON"])
def test_x6_what_is_given_by_mistake_is_not_repeated(arguments: list[str], given: str) -> None:
    done = sandbox(*(part.replace("KEY", given) for part in arguments), env={})
    assert done.returncode != 0
    assert done.stderr
    assert "canary" not in done.stderr
    assert "Traceback" not in done.stderr


def test_a_server_that_is_no_sandbox_is_one_line(tmp_path: Path) -> None:
    with http.server.HTTPServer(("127.0.0.1", 0), http.server.BaseHTTPRequestHandler) as server:
        threading.Thread(target=server.handle_request, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_port}"
        done = sandbox("tick", "--url", url, cwd=tmp_path)
    assert done.returncode == 1
    assert done.stderr.startswith(f"merchant-sandbox: no sandbox at {url}")
    assert len(done.stderr.splitlines()) == 1


def test_it_tells_its_version() -> None:
    assert sandbox("--version", env={}).stdout.startswith("merchant-sandbox v")


def test_a_missing_extra_and_a_sandbox_that_does_not_start_get_one_line(tmp_path: Path) -> None:
    (tmp_path / "uvicorn.py").write_text("raise ModuleNotFoundError(name='uvicorn')")
    environment = {"PYTHONPATH": str(tmp_path)}
    for arguments in (["serve"], ["run", "--", "true"]):
        done = sandbox(*arguments, env=environment)
        assert done.returncode == 1
        assert done.stderr.endswith("uvicorn is missing; in a clone of the project: pip install '.[sandbox]'\n")
        assert len(done.stderr.splitlines()) == 1


def test_a_port_in_use_gets_one_line(sandbox: Sandbox) -> None:
    port = sandbox.url.rpartition(":")[2]
    done = subprocess.run([*COMMAND, "serve", "--port", port], capture_output=True, text=True, check=False)
    assert done.stderr == f"merchant-sandbox: cannot use port {port} of 127.0.0.1: Address already in use\n"


@pytest.mark.parametrize("arguments", [[], ["serve"], ["run"], ["tick"]])
def test_help_names_every_option(arguments: list[str]) -> None:
    done = sandbox(*arguments, "--help")
    assert done.returncode == 0
    assert "usage: merchant-sandbox" in done.stdout


def test_help_loads_no_server() -> None:
    code = (
        "import sys, merchant_sandbox.cli; sys.exit(any(m in sys.modules for m in ('uvicorn', 'asyncio', 'msgspec')))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_a_world_can_be_reached_by_url_alone(sandbox: Sandbox) -> None:
    assert World(Sandbox(sandbox.url)).describe()["name"] == "default"
