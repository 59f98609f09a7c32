"""A proxy before an S3 server that lets chosen requests meet chosen faults, and can lose the server for a while.

Requests are passed on as they came, the Host header with them, so that signatures stay valid: the client signs the
proxy's address, and that is what the server sees. Which requests meet a fault depends on the seed and the requests
alone, not on the order in which threads send them.
"""

import contextlib
import html
import http.client
import math
import random
import re
import socket
import struct
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import NoReturn
from urllib.parse import parse_qs, urlsplit

RESET_ON_CLOSE = struct.pack("ii", 1, 0)
_OF_ONE_HOP = {"connection", "keep-alive", "transfer-encoding", "expect"}


@dataclass(frozen=True)
class Answer:
    """What a server says. headers: without those that describe the connection."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes


Fault = Callable[["Exchange"], None]
"""Has a request and decides what its client and its server see of it."""


@dataclass(frozen=True)
class Rule:
    """Which requests meet a fault.

    request: pattern searched in "PUT /bucket/key?query", as sent. share: of those requests, drawn by the seed.
    skip: so many pass first. times: so many are struck at most. seconds: from the first such request on.
    """

    request: str
    fault: Fault
    share: float = 1.0
    skip: int = 0
    times: float = math.inf
    seconds: float = math.inf


@dataclass(frozen=True)
class Delay:
    """The request reaches the server late."""

    seconds: float

    def __call__(self, exchange: "Exchange") -> None:
        time.sleep(self.seconds)
        exchange.answer(exchange.ask())


@dataclass(frozen=True)
class Refuse:
    """The server says no with an S3 error code, and does nothing."""

    status: int
    code: str

    def __call__(self, exchange: "Exchange") -> None:
        text = f"<?xml version='1.0'?><Error><Code>{self.code}</Code><Message>for a trial</Message></Error>"
        exchange.answer(Answer(self.status, (("Content-Type", "application/xml"),), text.encode()))


@dataclass(frozen=True)
class Reset:
    """The connection breaks before the server sees the request."""

    def __call__(self, exchange: "Exchange") -> None:
        exchange.reset()


@dataclass(frozen=True)
class Unanswered:
    """The server does what is asked, and the connection breaks before it can say so."""

    def __call__(self, exchange: "Exchange") -> None:
        exchange.ask()
        exchange.reset()


@dataclass(frozen=True)
class Truncate:
    """The connection breaks within the answer's body, of which this share comes."""

    share: float = 0.5

    def __call__(self, exchange: "Exchange") -> None:
        answer = exchange.ask()
        exchange.answer(answer, len(answer.body) - math.floor(self.share * len(answer.body)))
        exchange.reset()


@dataclass(frozen=True)
class Garble:
    """One byte of the answer is another one, each time elsewhere. hidden: how the names of left out headers start."""

    hidden: str = "(none)"

    def __call__(self, exchange: "Exchange") -> None:
        answer = exchange.ask()
        body = bytearray(answer.body)
        if body:
            body[random.Random(f"{exchange.path} {exchange.proxy.struck}").randrange(len(body))] ^= 0xFF
        headers = tuple((name, value) for name, value in answer.headers if not name.lower().startswith(self.hidden))
        exchange.answer(replace(answer, headers=headers, body=bytes(body)))


@dataclass(frozen=True)
class Outage:
    """In the middle of this request the server is lost for so long."""

    seconds: float

    def __call__(self, exchange: "Exchange") -> None:
        exchange.ask_in_part()
        exchange.proxy.lose(self.seconds)
        exchange.reset()


@dataclass(frozen=True)
class Instead:
    """Something happens when the request comes, and the server never sees it."""

    act: Callable[[], object]

    def __call__(self, exchange: "Exchange") -> None:
        self.act()
        exchange.reset()


@dataclass(frozen=True)
class Then:
    """Something happens when the server is done and before its client hears of it."""

    act: Callable[[], object]

    def __call__(self, exchange: "Exchange") -> None:
        answer = exchange.ask()
        self.act()
        exchange.answer(answer)


class RepeatBorder:
    """A page of a listing begins with the last entry of the page before it. repeats: how often that was done."""

    def __init__(self) -> None:
        self.repeats = 0
        self._last: dict[str, bytes] = {}

    def __call__(self, exchange: "Exchange") -> None:
        answer = exchange.ask()
        entries = re.findall(rb"<Contents>.*?</Contents>", answer.body, re.DOTALL)
        following = re.search(rb"<NextContinuationToken>(.*?)</NextContinuationToken>", answer.body)
        if following and entries:
            self._last[html.unescape(following[1].decode())] = entries[-1]
        [token] = parse_qs(urlsplit(exchange.path).query).get("continuation-token", [""])
        if token in self._last and entries:
            self.repeats += 1
            doubled = answer.body.replace(b"<Contents>", self._last[token] + b"<Contents>", 1)
            answer = replace(answer, body=doubled)
        exchange.answer(answer)


class Exchange(BaseHTTPRequestHandler):
    """One client's connection; the faults see its present request."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: "_Server"
    body: bytes

    @property
    def proxy(self) -> "FaultyS3":
        """Whose exchange this is."""
        return self.server.proxy

    def ask(self) -> Answer:
        """What the server says to the request. OSError where it does not answer."""
        with contextlib.closing(self._sent(self.body)) as connection:
            response = connection.getresponse()
            headers = tuple((name, value) for name, value in response.getheaders() if name.lower() not in _OF_ONE_HOP)
            return Answer(response.status, headers, response.read())

    def ask_in_part(self) -> None:
        """Send the server half of the request's body, and break off."""
        self._sent(self.body[: len(self.body) // 2]).close()

    def answer(self, answer: Answer, missing: int = 0) -> None:
        """Tell the client, without the last `missing` bytes of the body."""
        self.send_response_only(answer.status)
        for name, value in answer.headers:
            if name.lower() != "content-length" or self.command == "HEAD":  # which has no body to count
                self.send_header(name, value)
        if self.command != "HEAD" and answer.status not in (204, 304):
            self.send_header("Content-Length", str(len(answer.body)))
        self.end_headers()
        self.wfile.write(answer.body[: len(answer.body) - missing])

    def reset(self) -> NoReturn:
        """Break the client's connection; ends the exchange."""
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_ON_CLOSE)
        for each in (self.rfile, self.wfile, self.connection):
            each.close()
        raise ConnectionResetError

    def setup(self) -> None:
        super().setup()
        self.server.open.add(self.connection)

    def finish(self) -> None:
        self.server.open.discard(self.connection)
        with contextlib.suppress(OSError):
            super().finish()

    def handle(self) -> None:
        with contextlib.suppress(OSError, http.client.HTTPException):  # a side went away, as sides do
            super().handle()

    def do_GET(self) -> None:
        body = self._read_body()
        if body is None:
            self.reset()
        self.body = body
        fault = self.proxy.fault_of(f"{self.command} {self.path}")
        if fault:
            fault(self)
        else:
            self.answer(self.ask())

    do_PUT = do_POST = do_HEAD = do_DELETE = do_GET

    def log_message(self, format: str, *arguments: object) -> None:
        """Quiet."""

    def _sent(self, body: bytes) -> http.client.HTTPConnection:
        connection = http.client.HTTPConnection(self.proxy.target, timeout=120)
        connection.putrequest(self.command, self.path, skip_host=True, skip_accept_encoding=True)
        for name, value in self.headers.items():
            if name.lower() not in _OF_ONE_HOP - {"transfer-encoding"}:
                connection.putheader(name, value)
        connection.putheader("Connection", "close")
        connection.endheaders(body)
        return connection

    def _read_body(self) -> bytes | None:
        """As it was sent, chunks in their frames; none where the client went away."""
        if self.headers.get("Transfer-Encoding", "").lower() == "chunked":
            return self._read_chunks()
        length = int(self.headers.get("Content-Length") or 0)
        body = self.rfile.read(length)
        return body if len(body) == length else None

    def _read_chunks(self) -> bytes | None:
        raw = bytearray()
        while line := self.rfile.readline():
            raw += line
            if line == b"\r\n":  # ends the trailers
                return bytes(raw)
            with contextlib.suppress(ValueError):  # a trailer
                if size := int(line.split(b";")[0], 16):
                    raw += self.rfile.read(size + 2)
        return None


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def __init__(self, proxy: "FaultyS3") -> None:
        self.proxy, self.open = proxy, set[socket.socket]()
        super().__init__(("127.0.0.1", 0), Exchange)

    def verify_request(self, request: object, client_address: object) -> bool:
        return time.monotonic() >= self.proxy.lost_until

    def handle_error(self, request: object, client_address: object) -> None:
        raise  # a fault's own error must be seen


@dataclass
class _Course:
    """How far a rule has come."""

    matched: int = 0
    struck: int = 0
    since: float = math.inf

    def strikes(self, rule: Rule, draw: Callable[[], float]) -> bool:
        now = time.monotonic()
        self.matched, self.since = self.matched + 1, min(self.since, now)
        is_due = self.matched > rule.skip and self.struck < rule.times and now - self.since <= rule.seconds
        is_struck = is_due and (rule.share >= 1 or draw() < rule.share)
        self.struck += is_struck
        return is_struck


class FaultyS3:
    """Passes requests on to `target`, http://host:port, unless a rule has it otherwise; the first that fits decides."""

    def __init__(self, target: str, rules: Sequence[Rule] = (), seed: int = 0) -> None:
        self.target = urlsplit(target).netloc
        self.lost_until = 0.0
        self._seed, self._lock, self._seen = seed, threading.Lock(), Counter[str]()
        self._struck = 0
        self.follow(rules)
        self._server = _Server(self)
        self.uri = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()

    def follow(self, rules: Sequence[Rule]) -> None:
        """Other rules from now on, none of them having struck yet."""
        with self._lock:
            self._rules = [(rule, re.compile(rule.request), _Course()) for rule in rules]

    def lose(self, seconds: float) -> None:
        """Break all connections, and every new one for so many seconds."""
        self.lost_until = time.monotonic() + seconds
        for each in list(self._server.open):
            with contextlib.suppress(OSError):
                each.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_ON_CLOSE)
                each.shutdown(socket.SHUT_RDWR)

    @property
    def struck(self) -> int:
        """Requests that met a fault so far."""
        return self._struck

    def fault_of(self, request: str) -> Fault | None:
        """What this request meets."""
        with self._lock:
            self._seen[request] += 1
            for number, (rule, pattern, course) in enumerate(self._rules):
                drawn = random.Random(f"{self._seed} {number} {request} {self._seen[request]}")
                if pattern.search(request) and course.strikes(rule, drawn.random):
                    self._struck += 1
                    return rule.fault
        return None

    def close(self) -> None:
        """No more connections; the open ones break."""
        self._server.shutdown()
        self._server.server_close()
        self.lose(0)
