"""A TCP proxy that can lose the server behind it: connections break, and new ones are refused, for a while."""

import contextlib
import re
import socket
import struct
import threading
import time
from urllib.parse import urlsplit

RESET_ON_CLOSE = struct.pack("ii", 1, 0)


class LossyProxy:
    """Passes bytes on to `target`, http://host:port, until the server is to be lost."""

    def __init__(self, target: str) -> None:
        where = urlsplit(target)
        self._target = (where.hostname, where.port)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._open: set[socket.socket] = set()
        self._lost_until, self.losses = 0.0, 0
        self._trigger: tuple[re.Pattern[bytes], int, float] | None = None
        """Request, how many of it pass before, seconds."""
        self.uri = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def lose(self, seconds: float) -> None:
        """Break all connections, and every new one for so many seconds."""
        self._lost_until, self.losses = time.monotonic() + seconds, self.losses + 1
        for each in list(self._open):
            _reset(each)

    def lose_at(self, request: bytes, before: int, seconds: float) -> None:
        """Lose the server in the middle of a request that the pattern matches, after so many that did."""
        self._trigger = (re.compile(request), before, seconds)

    def close(self) -> None:
        self._listener.close()
        self.lose(0)

    def _accept(self) -> None:
        with contextlib.suppress(OSError):  # the listener is closed
            while True:
                client, _ = self._listener.accept()
                if time.monotonic() < self._lost_until:
                    _reset(client)
                    continue
                threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        with contextlib.suppress(OSError), client, socket.create_connection(self._target) as server:
            self._open |= {client, server}
            back = threading.Thread(target=self._pump, args=(server, client, False), daemon=True)
            back.start()
            self._pump(client, server, True)
            back.join()
            self._open -= {client, server}

    def _pump(self, source: socket.socket, sink: socket.socket, is_request: bool) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                if is_request and (seconds := self._due(data)):
                    sink.sendall(data[: len(data) // 2])
                    self.lose(seconds)
                    return
                sink.sendall(data)
            sink.shutdown(socket.SHUT_WR)

    def _due(self, data: bytes) -> float:
        """How long the server is to be lost from this request on."""
        if self._trigger is None or not self._trigger[0].search(data):
            return 0.0
        request, before, seconds = self._trigger
        self._trigger = (request, before - 1, seconds) if before else None
        return 0.0 if before else seconds


def _reset(connection: socket.socket) -> None:
    with contextlib.suppress(OSError):
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_ON_CLOSE)
        connection.shutdown(socket.SHUT_RDWR)
    connection.close()
