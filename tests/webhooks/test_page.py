"""The page shows what works: settings that are accepted, and proxies' configurations that their programs take."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from typing import TYPE_CHECKING
from urllib.parse import unquote

import pytest

from merchant_webhooks.settings import Settings, read_settings
from tests.tree import ROOT

if TYPE_CHECKING:
    from pathlib import Path

    from merchant_sandbox.client import World

PAGE = (ROOT / "docs/webhooks.md").read_text(encoding="utf-8")


def block(mark: str) -> str:
    """The code block behind a mark."""
    found = re.search(rf"<!-- {re.escape(mark)} -->\n```\w+\n(.*?)```", PAGE, re.DOTALL)
    assert found, mark
    return found[1]


def test_the_settings_on_the_page_are_accepted(tmp_path: Path) -> None:
    (found,) = re.findall(r"```json\n(\{\n.*?)```", PAGE, re.DOTALL)
    config = tmp_path / "webhooks.json"
    config.touch(mode=0o600)
    config.write_text(re.sub(r"<the \w+ key>", lambda match: match[0][5:-1].replace(" ", "-").ljust(40, "k"), found))
    warnings: list[str] = []
    settings = read_settings(str(config), warnings.append)
    assert [endpoint.name for endpoint in settings.endpoints] == ["peek/default", "peakium/default"]
    assert not warnings


def test_every_setting_is_in_the_table() -> None:
    for name in Settings.__struct_fields__:
        assert f"| `{name}`" in PAGE or f"`{name}`, `" in PAGE or f", `{name}` |" in PAGE, name


def test_a_file_that_others_can_read_is_told(tmp_path: Path) -> None:
    config = tmp_path / "webhooks.json"
    config.write_text(json.dumps({"endpoints": [{"vendor": "peek", "key": "k" * 32}], "spool": "s"}))
    config.chmod(0o644)
    warnings: list[str] = []
    read_settings(str(config), warnings.append)
    assert warnings == ["other users can read the settings, which hold secrets: chmod 600 on the file of --config"]


REGISTERED = re.findall(r"^```sh\n# (\w+)\n(curl .*?)^```", PAGE, re.DOTALL | re.MULTILINE)


@pytest.mark.skipif(not shutil.which("curl"), reason="curl is not on this machine")
@pytest.mark.parametrize(("vendor", "command"), REGISTERED, ids=[vendor for vendor, _ in REGISTERED])
def test_a_callback_is_registered_without_a_key_on_the_command_line(
    world: World, tmp_path: Path, vendor: str, command: str
) -> None:
    """The sandbox takes the place of the vendor; what curl is called with is written down."""
    vendor = vendor.lower()
    real, said = shutil.which("curl"), tmp_path / "said"
    (tmp_path / "curl").write_text(f'#!/bin/sh\nprintf "%s\\n" "$@" > {said}\nexec {real} "$@"\n')
    (tmp_path / "curl").chmod(0o755)
    address = re.sub(r'https://(?!hooks)[^"\s]+(?=/webhooks\b)', world.url(vendor), command)
    assert address != command
    ours = re.sub(r"<the (\w+) key>", "a-key-of-this-machine", address)
    env = {**os.environ, **world.env(vendor), "PATH": f"{tmp_path}:{os.environ['PATH']}"}
    done = subprocess.run(["bash", "-c", ours], env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    (sent,) = world.requests(vendor)
    assert (sent["method"], sent["status"] // 100) == ("POST", 2)
    assert sent["path"].endswith("/webhooks")
    assert f"https://hooks.example.com/{vendor}/default/a-key-of-this-machine" in unquote(str(sent["body"]))
    key = world.config(vendor)["api_key"]
    assert said.read_text() == "--fail\n--config\n-\n"
    assert key not in ours


proxies = pytest.mark.skipif("INTEGRATIONS" not in os.environ, reason="make integrations asks the proxies' programs")


@proxies
def test_nginx_takes_its_configuration(tmp_path: Path) -> None:
    program = shutil.which("nginx", path=f"{os.environ['PATH']}:/usr/sbin")
    if program is None:
        pytest.skip("nginx is not installed: apt-get install nginx")
    certificate = _certificate(tmp_path)
    text = block("proxy: nginx").replace("/etc/ssl/hooks.example.com.pem", str(certificate))
    text = text.replace("/etc/ssl/hooks.example.com.key", str(certificate)).replace("/var/log/nginx", str(tmp_path))
    whole = tmp_path / "nginx.conf"
    kinds = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    folders = "".join(f"{kind}_temp_path {tmp_path}/{kind};\n" for kind in kinds)
    whole.write_text(f"pid {tmp_path}/pid;\nevents {{}}\nhttp {{\n{folders}{text}}}\n")
    done = subprocess.run(
        [program, "-t", "-p", str(tmp_path), "-e", str(tmp_path / "error.log"), "-c", str(whole)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "warn" not in done.stderr


@proxies
def test_caddy_takes_its_configuration(tmp_path: Path) -> None:
    program = shutil.which("caddy")
    if program is None:
        pytest.skip("caddy is not installed: apt-get install caddy")
    file = tmp_path / "Caddyfile"
    file.write_text(block("proxy: caddy"))
    done = subprocess.run(
        [program, "validate", "--config", str(file), "--adapter", "caddyfile"],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "HOME": str(tmp_path), "XDG_DATA_HOME": str(tmp_path), "XDG_CONFIG_HOME": str(tmp_path)},
    )
    assert done.returncode == 0, done.stderr


@proxies
def test_systemd_takes_the_unit(tmp_path: Path) -> None:
    program = shutil.which("systemd-analyze")
    if program is None:
        pytest.skip("systemd-analyze is not installed")
    unit = tmp_path / "merchant-webhooks.service"
    unit.write_text(
        block("unit: merchant-webhooks.service").replace("/opt/merchant-taps/bin/merchant-webhooks", "/bin/true")
    )
    done = subprocess.run([program, "verify", str(unit)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def _certificate(folder: Path) -> Path:
    import trustme  # noqa: PLC0415  only the proxies' programs need it

    issued = trustme.CA().issue_cert("hooks.example.com")
    file = folder / "both.pem"
    issued.private_key_and_cert_chain_pem.write_to_path(str(file))
    return file
