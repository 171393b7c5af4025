"""A local HTTP server that misbehaves on demand, so that fetching is tested without a network."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest


@dataclass
class Plan:
    """What the server does with one path; ``faults`` are used up, one per request, before it behaves."""

    body: bytes
    faults: list[str] = field(default_factory=list)
    etag: str | None = '"v1"'
    does_ranges: bool = True
    has_length: bool = True
    retry_after: str | None = None


@dataclass
class Server:
    """Address of the server, its plans by path, and the requests it saw as (path, Range header, status)."""

    url: str
    plans: dict[str, Plan]
    requests: list[tuple[str, str | None, int]]

    def serve(self, path: str, body: bytes, **settings: object) -> Plan:
        """Serve ``body`` at ``path``; settings are the other fields of :class:`Plan`."""
        self.plans[path] = Plan(body, **settings)  # type: ignore[arg-type]
        return self.plans[path]


class _Handler(BaseHTTPRequestHandler):
    server_version = "Misbehaving/1.0"

    def log_message(self, *_: object) -> None:
        """Stay quiet."""

    def do_GET(self) -> None:
        plan: Plan | None = self.server.plans.get(self.path)  # type: ignore[attr-defined]
        if plan is None:
            self._answer(404, b"")
            return
        fault = plan.faults.pop(0) if plan.faults else ""
        if fault.isdigit():
            self._answer(int(fault), b"", {"Retry-After": plan.retry_after} if plan.retry_after else {})
            return
        self._send_body(plan, fault)

    def _send_body(self, plan: Plan, fault: str) -> None:
        start, asked = 0, self.headers.get("Range")
        matches = self.headers.get("If-Range") in (None, plan.etag)
        headers = {"ETag": plan.etag} if plan.etag else {}
        if asked and plan.does_ranges and matches:
            start = int(asked.removeprefix("bytes=").rstrip("-"))
            if start >= len(plan.body):
                self._answer(416, b"", {"Content-Range": f"bytes */{len(plan.body)}"})
                return
            headers["Content-Range"] = f"bytes {start}-{len(plan.body) - 1}/{len(plan.body)}"
        if fault == "lying-range":
            headers["Content-Range"] = f"bytes 0-{len(plan.body) - 1}/{len(plan.body)}"
        rest = plan.body[start:]
        if plan.has_length:
            headers["Content-Length"] = str(len(rest))
        sent = rest[: len(rest) // 2] if fault == "break" else b"" if fault == "empty" else rest
        self._answer(206 if "Content-Range" in headers else 200, sent, headers)

    def _answer(self, status: int, body: bytes, headers: dict[str, str | None] | None = None) -> None:
        self.server.seen.append((self.path, self.headers.get("Range"), status))  # type: ignore[attr-defined]
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, str(value))
        self.end_headers()
        self.wfile.write(body)
        self.wfile.flush()
        self.close_connection = True


@pytest.fixture
def server() -> Iterator[Server]:
    httpd = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    httpd.plans, httpd.seen = {}, []  # type: ignore[attr-defined]
    thread = threading.Thread(target=httpd.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    yield Server(f"http://127.0.0.1:{httpd.server_address[1]}", httpd.plans, httpd.seen)  # type: ignore[attr-defined]
    httpd.shutdown()
    httpd.server_close()
    thread.join()
