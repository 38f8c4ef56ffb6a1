"""A connection that a test can cut, hold and heal: a TCP relay before the site, the database or the broker."""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
import time
from pathlib import Path

PIECE_BYTES = 64 << 10


class Proxy:
    """Listens on 127.0.0.1 and relays to ``target``: a port, or the path of a Unix socket.

    ``cut`` drops packets: whatever is on its way arrives after ``heal``, as over a network that was
    interrupted. ``refuse`` ends all connections and accepts none. A *trap* is a piece of a request that, when
    it comes by, is held with everything behind it: a process can then be killed exactly there.
    """

    def __init__(self, target: int | Path, host: str = "127.0.0.1") -> None:
        self._target = target
        self._flowing = threading.Event()
        self._flowing.set()
        self._sockets: set[socket.socket] = set()
        self._lock = threading.Lock()
        self._trap, self._deaf = b"", False
        self.trapped = threading.Event()
        self._released = threading.Event()
        self.bytes_per_s = 0.0
        self.taken = b""  # the request that was trapped
        self._listener = socket.create_server((host, 0), backlog=128)
        self.host, self.port = host, int(self._listener.getsockname()[1])
        self._is_open = True
        threading.Thread(target=self._accept, args=(self._listener,), daemon=True).start()

    def cut(self) -> None:
        """From now on nothing passes, in either direction, and nobody is told."""
        self._flowing.clear()

    def refuse(self) -> None:
        """End every connection and accept no new one."""
        self._is_open = False
        self.hang_up()

    def hang_up(self) -> None:
        """End every connection, with a reset; new ones are welcome."""
        with self._lock:
            found, self._sockets = self._sockets, set()
        for one in found:
            with contextlib.suppress(OSError):
                one.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                one.shutdown(socket.SHUT_RDWR)
            one.close()

    def set_trap(self, piece: bytes, *, deaf: bool = False) -> None:
        """Hold the next request that contains ``piece``.

        ``deaf``: let it through, and hold the answer instead.
        """
        self.trapped.clear()
        self._released.clear()
        self._trap, self._deaf = piece, deaf

    def release(self, *, drop: bool = False) -> None:
        """Let what was trapped go on, or lose it together with every connection."""
        self._trap = b""
        if drop:
            self.hang_up()
        self._released.set()

    def heal(self) -> None:
        self.bytes_per_s, self._is_open = 0.0, True
        self.release()
        self._flowing.set()

    def close(self) -> None:
        self.refuse()
        self._listener.close()
        self.heal()

    def _accept(self, listener: socket.socket) -> None:
        while True:
            try:
                client, _ = listener.accept()
            except OSError:  # closed
                return
            if not self._is_open:
                client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                client.close()
                continue
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        self._flowing.wait()
        try:
            server = self._connect()
        except OSError:
            client.close()
            return
        with self._lock:
            self._sockets |= {client, server}
        answer = threading.Event()
        answer.set()
        ways = ((client, server, True), (server, client, False))
        threads = [
            threading.Thread(target=self._relay, args=(*way, answer), daemon=True) for way in ways
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        with self._lock:
            self._sockets -= {client, server}
        client.close()
        server.close()

    def _connect(self) -> socket.socket:
        if isinstance(self._target, int):
            return socket.create_connection(("127.0.0.1", self._target), timeout=10)
        server = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        server.connect(str(self._target))
        return server

    def _relay(
        self, source: socket.socket, sink: socket.socket, asks: bool, answer: threading.Event
    ) -> None:
        source.settimeout(None)
        try:
            while piece := source.recv(PIECE_BYTES):
                if asks and self._trap and self._trap in piece:
                    if self._deaf:
                        answer.clear()
                        self._trap = b""
                        self.trapped.set()
                    else:
                        piece = self.taken = piece + _rest(source)
                        self.trapped.set()
                        self._released.wait()
                if not asks and not answer.is_set():
                    self._released.wait()
                self._flowing.wait()
                sink.sendall(piece)
                if self.bytes_per_s:
                    time.sleep(len(piece) / self.bytes_per_s)
        except OSError:
            pass
        for one in (source, sink):
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)


def _rest(source: socket.socket) -> bytes:
    """What follows of a request without a pause."""
    source.settimeout(1.0)
    found = b""
    try:
        while piece := source.recv(PIECE_BYTES):
            found += piece
    except TimeoutError:
        pass
    source.settimeout(None)
    return found
