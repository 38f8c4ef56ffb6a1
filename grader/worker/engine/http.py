"""One call to an engine that may send anything at any pace, limited in total time and size."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

MOST_BYTES = 4 << 20


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    body: bytes

    @property
    def text(self) -> str:
        return self.body.decode("utf-8", "replace")

    def document(self) -> dict[str, Any]:
        """Parse the body as a JSON object. Raises ValueError for anything else."""
        document = json.loads(self.body)
        if not isinstance(document, dict):
            raise ValueError(f"HTTP {self.status}: not a JSON object")
        return document


def ask(uds: Path, path: str, body: dict[str, Any] | None = None, *, patience_s: float) -> Answer:
    """GET ``path``, or POST ``body`` to it, and return the complete answer within ``patience_s``.

    Raises:
        httpx.TransportError: nothing is listening, or the answer is incomplete in time (ReadTimeout).
        ValueError: the answer is larger than ``MOST_BYTES``.
    """

    async def call() -> Answer:
        transport = httpx.AsyncHTTPTransport(uds=str(uds))
        async with (
            # httpx restarts its timeout with every byte, so a slow trickle would never time out.
            asyncio.timeout(patience_s),
            httpx.AsyncClient(
                transport=transport, base_url="http://engine", timeout=patience_s
            ) as client,
            client.stream("GET" if body is None else "POST", path, json=body) as response,
        ):
            return Answer(response.status_code, await bounded(response, MOST_BYTES))

    try:
        return asyncio.run(call())
    except TimeoutError:
        raise httpx.ReadTimeout(f"no complete answer within {patience_s:g} s") from None


async def bounded(response: httpx.Response, most_bytes: int) -> bytes:
    """Read the raw body. Compression is not requested because a small answer may expand to a huge one.

    Raises:
        ValueError: more than ``most_bytes``.
    """
    received = bytearray()
    async for chunk in response.aiter_raw():
        received += chunk
        if len(received) > most_bytes:
            raise ValueError(f"answer longer than {most_bytes} bytes")
    return bytes(received)
