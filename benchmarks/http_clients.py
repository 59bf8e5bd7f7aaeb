"""HTTP clients side by side: CPU per page of 100 records, and what each makes of broken answers.

Run ``python -m benchmarks http_clients`` (under a minute; needs the dependency group ``bench``). Figures are CPU time
of the client's process alone; compare them within one run only.
"""

from __future__ import annotations

import gzip
import http.client
import io
import json
import multiprocessing
import os
import socket
import ssl
import struct
import sys
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import certifi
import httpx
import pycurl
import requests
import trustme
import urllib3

from tap_core.http.message import Request
from tap_core.http.transport import Transport

if TYPE_CHECKING:
    from collections.abc import Callable

PAGES = 100
ROUNDS = 5
THREADS = 8
READ_TIMEOUT_S = 0.5
PATIENCE_S = 3.0


def page() -> bytes:
    """A page of 100 invoices, about 60 KB."""
    items = [
        {"reference": f"si_{n}", "amount": 1999 + n, "description": "Monthly plan, 1 March to 31 March"}
        for n in range(6)
    ]
    record = {
        "object": "invoice",
        "customer": "cus_8b1f",
        "created": 1375217068,
        "items": items,
        "metadata": {"a": "ü"},
    }
    return json.dumps({"object": "list", "data": [{"id": f"in_{n:05}", **record} for n in range(100)]}).encode()


def answers() -> dict[str, tuple[bytes, str]]:
    """By path: the raw answer, and what the server does with the connection after it."""

    def whole(body: bytes, *headers: str, status: str = "200 OK", length: int | None = None) -> bytes:
        lines = [f"HTTP/1.1 {status}", "Content-Type: application/json", *headers]
        lines.append(f"Content-Length: {len(body) if length is None else length}")
        return "\r\n".join([*lines, "", ""]).encode() + body

    body = page()
    packed = gzip.compress(body)
    chunked = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n[1, 2\r\n"
    return {
        "/plain": (whole(body), "keep"),
        "/gzip": (whole(packed, "Content-Encoding: gzip"), "keep"),
        "/H5-stall": (whole(b"[1, 2", length=99), "stall"),
        "/H5-drip": (whole(b"", length=99), "drip"),
        "/H6-reset-first": (b"", "reset"),
        "/H6-reset-in-body": (whole(b"[1, 2", length=99), "reset"),
        "/H7-short-body": (whole(b"[1, 2", length=99), "close"),
        "/H8-cut-chunked": (chunked, "close"),
        "/H9-broken-gzip": (whole(b"\x1f\x8bno", "Content-Encoding: gzip"), "keep"),
        "/H9-cut-gzip": (whole(packed[:-20], "Content-Encoding: gzip"), "keep"),
        "/H13-no-content": (b"HTTP/1.1 204 No Content\r\n\r\n", "keep"),
        "/H15-elsewhere": (whole(b"", "Location: http://127.0.0.1:1/", status="302 Found"), "keep"),
        "/H17-closed": (whole(b"[]"), "close"),
    }


def serve(port: multiprocessing.Queue[int], certificate: tuple[str, str], tls: bool) -> None:  # noqa: FBT001 - a process's arguments
    """Answer with prepared bytes, one thread per connection."""
    listener = socket.create_server(("127.0.0.1", 0), backlog=128)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(*certificate)
    port.put(listener.getsockname()[1])

    while True:
        connection, _ = listener.accept()
        threading.Thread(target=converse, args=(connection, context, tls), daemon=True).start()


def converse(connection: socket.socket, context: ssl.SSLContext, tls: bool) -> None:  # noqa: FBT001 - as above
    """Serve one connection until the client, or a fault, ends it; asked as a proxy, be every host oneself."""
    prepared = answers()
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    try:
        if tls:
            connection = context.wrap_socket(connection, server_side=True)
        received = b""
        then = "keep"
        while then == "keep":
            while b"\r\n\r\n" not in received:
                if not (piece := connection.recv(65536)):
                    return
                received += piece
            method, path, _ = received.split(b" ", 2)
            received = received.partition(b"\r\n\r\n")[2]
            if method == b"CONNECT":
                connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
                connection = context.wrap_socket(connection, server_side=True)
                continue
            data, then = prepared[path.decode()]
            connection.sendall(data)
        if then == "stall":
            time.sleep(60)
        while then == "drip":
            connection.sendall(b" ")
            time.sleep(READ_TIMEOUT_S / 4)
        if then == "reset":
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    except OSError:
        return
    finally:
        connection.close()


class Client(Protocol):
    def get(self, url: str) -> tuple[int, bytes]: ...


class Requests:
    """One session per thread: a session is not for sharing."""

    def __init__(self, ca: str) -> None:
        self._ca = ca
        self._local = threading.local()

    def get(self, url: str) -> tuple[int, bytes]:
        session = getattr(self._local, "session", None) or requests.Session()
        self._local.session = session
        answer = session.get(url, timeout=READ_TIMEOUT_S, allow_redirects=False, verify=self._ca)
        return answer.status_code, answer.content


class Urllib3:
    def __init__(self, ca: str) -> None:
        self._pool = urllib3.PoolManager(maxsize=THREADS, ca_certs=ca, headers={"Accept-Encoding": "gzip"})

    def get(self, url: str) -> tuple[int, bytes]:
        answer = self._pool.request("GET", url, retries=False, redirect=False, timeout=READ_TIMEOUT_S)
        return answer.status, answer.data


class HttpClient:
    """The standard library: no pool, no decompression, no proxies."""

    def __init__(self, ca: str) -> None:
        self._context = ssl.create_default_context(cafile=ca)
        self._local = threading.local()

    def get(self, url: str) -> tuple[int, bytes]:
        scheme, _, rest = url.partition("://")
        host, _, path = rest.partition("/")
        connection = getattr(self._local, "connection", None)
        if connection is None:
            connection = (
                http.client.HTTPSConnection(host, timeout=READ_TIMEOUT_S, context=self._context)
                if scheme == "https"
                else http.client.HTTPConnection(host, timeout=READ_TIMEOUT_S)
            )
            self._local.connection = connection
        try:
            connection.request("GET", f"/{path}", headers={"Accept-Encoding": "gzip"})
            answer = connection.getresponse()
            body = answer.read()
        except Exception:
            connection.close()
            raise
        return answer.status, gzip.decompress(body) if answer.getheader("Content-Encoding") else body


class Httpx:
    def __init__(self, ca: str) -> None:
        self._client = httpx.Client(verify=ssl.create_default_context(cafile=ca), timeout=READ_TIMEOUT_S)

    def get(self, url: str) -> tuple[int, bytes]:
        answer = self._client.get(url)
        return answer.status_code, answer.content


class Pycurl:
    """One handle per thread, which keeps its connections."""

    def __init__(self, ca: str) -> None:
        self._ca = ca
        self._local = threading.local()

    def get(self, url: str) -> tuple[int, bytes]:
        handle = getattr(self._local, "handle", None)
        if handle is None:
            handle = self._local.handle = pycurl.Curl()
            handle.setopt(pycurl.CAINFO, self._ca)
            handle.setopt(pycurl.ACCEPT_ENCODING, "gzip")
            handle.setopt(pycurl.NOSIGNAL, 1)
            handle.setopt(pycurl.HTTP_VERSION, pycurl.CURL_HTTP_VERSION_1_1)
            handle.setopt(pycurl.LOW_SPEED_LIMIT, 1)
            handle.setopt(pycurl.LOW_SPEED_TIME, 1)
            handle.setopt(pycurl.TIMEOUT_MS, int(PATIENCE_S * 800))
            handle.setopt(pycurl.HEADERFUNCTION, len)
        body = io.BytesIO()
        handle.setopt(pycurl.URL, url)
        handle.setopt(pycurl.WRITEDATA, body)
        handle.perform()
        return handle.getinfo(pycurl.RESPONSE_CODE), body.getvalue()


class Ours:
    """`tap_core.http.transport`, with its checks."""

    def __init__(self, ca: str) -> None:
        os.environ["REQUESTS_CA_BUNDLE"] = ca
        self._transport = Transport(
            connect_timeout_s=READ_TIMEOUT_S,
            read_timeout_s=READ_TIMEOUT_S,
            user_agent="bench",
            pool_size=THREADS,
            deadline_s=PATIENCE_S / 2,
        )

    def get(self, url: str) -> tuple[int, bytes]:
        answer = self._transport.send(Request("GET", url))
        return answer.status, answer.body


CLIENTS: dict[str, Callable[[str], Client]] = {
    "requests": Requests,
    "urllib3": Urllib3,
    "http.client": HttpClient,
    "httpx": Httpx,
    "pycurl": Pycurl,
    "transport.py": Ours,
}


def cpu_ms(work: Callable[[], object], times: int) -> float:
    work()
    before = time.process_time()
    for _ in range(times):
        work()
    return (time.process_time() - before) * 1000 / times


def one_round(name: str, client: Client, ca: str, urls: dict[str, str], pool: ThreadPoolExecutor) -> dict[str, float]:
    """CPU milliseconds per page in each setting."""
    cells = {label: cpu_ms(partial(client.get, url), PAGES) for label, url in urls.items()}
    many = [urls["plain"]] * PAGES
    cells[f"{THREADS} threads"] = cpu_ms(lambda: list(pool.map(client.get, many)), 1) / PAGES
    cells["new connection"] = cpu_ms(lambda: CLIENTS[name](ca).get(urls["plain"]), 5)
    return cells


def measure(ca: str, urls: dict[str, str]) -> dict[str, dict[str, float]]:
    """The best of some rounds, in which all clients take turns."""
    body = page()
    clients = {name: new(ca) for name, new in CLIENTS.items()}
    for client in clients.values():
        assert all(client.get(url) == (200, body) for url in urls.values())
    result: dict[str, dict[str, float]] = {}
    with ThreadPoolExecutor(THREADS) as pool:
        for _ in range(ROUNDS):
            for name, client in clients.items():
                for label, value in one_round(name, client, ca, urls, pool).items():
                    row = result.setdefault(label, {})
                    row[name] = min(value, row.get(name, value))
    return result


def outcome(client: Client, url: str) -> str:
    """What a client makes of one broken answer; a daemon thread guards against one that never returns."""
    said: list[str] = []

    def ask() -> None:
        try:
            status, body = client.get(url)
            said.append(f"{status}, {len(body)} bytes")
        except Exception as error:  # noqa: BLE001 - what it raises is the result
            said.append(type(error).__name__)

    thread = threading.Thread(target=ask, daemon=True)
    thread.start()
    thread.join(PATIENCE_S)
    return said[0] if said else "hangs"


def start(certificate: tuple[str, str], *, tls: bool) -> int:
    port: multiprocessing.Queue[int] = multiprocessing.Queue()
    multiprocessing.Process(target=serve, args=(port, certificate, tls), daemon=True).start()
    return port.get()


def table(rows: dict[str, dict[str, str]]) -> None:
    names = list(next(iter(rows.values())))
    print("| |", " | ".join(names), "|")
    print("|---|" + "---|" * len(names))
    for label, row in rows.items():
        print(f"| {label} |", " | ".join(row[name] for name in names), "|")


def main() -> int:
    authority = trustme.CA()
    chain = authority.issue_cert("localhost", "127.0.0.1", "api.test")
    with tempfile.TemporaryDirectory() as folder:
        ca, cert, key = (Path(folder) / name for name in ("ca.pem", "cert.pem", "key.pem"))
        authority.cert_pem.write_to_path(str(ca))
        chain.cert_chain_pems[0].write_to_path(str(cert))
        chain.private_key_pem.write_to_path(str(key))
        plain, secure = (start((str(cert), str(key)), tls=tls) for tls in (False, True))
        urls = {
            "plain": f"http://127.0.0.1:{plain}/plain",
            "gzip": f"http://127.0.0.1:{plain}/gzip",
            "TLS": f"https://localhost:{secure}/plain",
            "TLS + gzip": f"https://localhost:{secure}/gzip",
        }
        table(
            {
                label: {name: f"{value:.2f} ms" for name, value in row.items()}
                for label, row in measure(str(ca), urls).items()
            }
        )
        print()
        faults = [path for path in answers() if path.startswith("/H")]
        outcomes = {name: {} for name in CLIENTS}  # type: dict[str, dict[str, str]]
        for name, new in CLIENTS.items():
            for path in faults:
                client = new(str(ca))
                if path == "/H17-closed":
                    client.get(f"http://127.0.0.1:{plain}{path}")
                outcomes[name][path] = outcome(client, f"http://127.0.0.1:{plain}{path}")
            os.environ["HTTPS_PROXY"] = f"http://127.0.0.1:{plain}"
            outcomes[name]["/proxy from the environment"] = outcome(new(str(ca)), "https://api.test/plain")
            del os.environ["HTTPS_PROXY"]
            strict = new(certifi.where())
            outcomes[name]["/H16-bad-certificate"] = outcome(strict, urls["TLS"])
            outcomes[name]["/H18-no-such-name"] = outcome(strict, "https://no-such-host.invalid/")
        table({path[1:]: {name: outcomes[name][path] for name in CLIENTS} for path in outcomes["requests"]})
    return 0


if __name__ == "__main__":
    sys.exit(main())
