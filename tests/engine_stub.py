"""An engine for tests: vLLM's command line and HTTP API over ``--uds``, without a model. It starts in 0.1
seconds.

``GRADER_ENGINE="python tests/engine_stub.py --knobs FILE"``. FILE is JSON, keys ``base`` and ``candidate``;
the folder of the socket decides which part applies. Knobs:

    token_s         time per generated token (0.0005)
    text            text of every completion ("#### 42")
    start_s         time until it listens
    print           lines printed at start
    flood_bytes     printed at start as one endless line
    exit_at_start   exit code, right after ``print``
    crash_after     completions until it exits with code 3
    linger_s        how long after its last connection it does (0)
    hang_after      completions until it stops answering
    nan             log-probabilities are NaN (as vLLM: HTTP 400)
    nan_after       completions until they are NaN
    logprob         log-probability of every token (-1)
    null            log-probabilities are null
    prefill_s       time per prompt token (0)
    cache           a repeated prompt needs no prefill
    speed_text      text of completions when the end of text is ignored
    eos_after       ends after so many tokens unless it must ignore the end of text
    lie             added to the number of tokens it reports
    lies            how many completions lie; all of them if not given
    huge            bytes of garbage in every answer
    spawn           starts a grandchild in its own session that sleeps forever
    allocate_bytes  resident memory taken at start
    drip            its answer to /health never ends
    root            the model folder that /v1/models reports
    first_token     the first token of completions that have one
    second_token    the second one where the end of text is not ignored
    reach           a port of the machine: completions say whether it could be reached
"""

from __future__ import annotations

import argparse
import json
import os
import socket
import socketserver
import subprocess
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler
from pathlib import Path

END = b"\n\n"


class Stub:
    def __init__(self, arguments: argparse.Namespace) -> None:
        role = Path(arguments.uds).parent.name
        self.knobs = (
            json.loads(Path(arguments.knobs).read_text()).get(role, {}) if arguments.knobs else {}
        )
        self.model = arguments.model
        self.name = arguments.served_model_name
        self.lock = threading.Lock()
        self.served = 0
        self.seen: set[tuple[int, ...]] = set()
        self.memory = b""

    def knob(self, name, default=None):
        return self.knobs.get(name, default)

    def start(self) -> None:
        print("Model loading took 0.0041 GiB memory and 0.01 seconds", flush=True)
        for line in self.knob("print", []):
            print(line, flush=True)
        for _ in range(self.knob("flood_bytes", 0) // 65536):
            sys.stdout.write("x" * 65536)
        sys.stdout.flush()
        if self.knob("spawn"):
            script = "import os, time; os.setsid(); time.sleep(1000)"
            subprocess.Popen([sys.executable, "-c", script], start_new_session=True)
        self.memory = bytes(1) * self.knob("allocate_bytes", 0)
        if self.knob("reach"):
            self.knobs["text"] = f"the machine is {self.reach(self.knob('reach'))}"
        if self.knob("exit_at_start") is not None:
            sys.exit(self.knob("exit_at_start"))
        time.sleep(self.knob("start_s", 0))

    @staticmethod
    def reach(port: int) -> str:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=5).close()
        except OSError:
            return "out of reach"
        return "within reach"

    def count(self) -> int:
        with self.lock:
            self.served += 1
            served = self.served
        if served > self.knob("crash_after", 10**9):
            print("RuntimeError: stub crashed as told", flush=True)
            if self.knob("linger_s"):
                threading.Timer(self.knob("linger_s"), os._exit, [3]).start()
                sys.exit()  # ends this thread, and with it the connection
            os._exit(3)
        if served > self.knob("hang_after", 10**9):
            time.sleep(10**6)
        return served


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    stub: Stub

    def log_message(self, *_: object) -> None:
        pass

    def address_string(self) -> str:
        return "unix"

    def do_GET(self) -> None:
        if self.path == "/health":
            return self.drip() if self.stub.knob("drip") else self.answer(200, None)
        root = self.stub.knob("root", self.stub.model)
        return self.answer(200, {"data": [{"id": self.stub.name, "root": root}]})

    def drip(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", "1000000")
        self.end_headers()
        while True:
            self.wfile.write(b"x")
            time.sleep(0.5)

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        served = self.stub.count()
        prompts = body["prompt"]
        prompt = prompts[0] if isinstance(prompts[0], list) else prompts
        assert all(isinstance(token, int) for token in prompt), "token ids only"
        if not self.stub.knob("cache") or tuple(prompt) not in self.stub.seen:
            self.sleep_until(time.monotonic() + self.stub.knob("prefill_s", 0) * len(prompt))
        self.stub.seen.add(tuple(prompt))
        ends = self.stub.knob("eos_after")
        if ends and not body.get("ignore_eos"):
            body["max_tokens"] = min(body["max_tokens"], ends)
        lies = served <= self.stub.knob("lies", 10**9)
        tokens = body["max_tokens"] + (self.stub.knob("lie", 0) if lies else 0)
        usage = {"prompt_tokens": len(prompt), "completion_tokens": tokens}
        if body.get("stream"):
            return self.stream(body, usage)
        self.sleep_until(time.monotonic() + self.stub.knob("token_s", 0.0005) * body["max_tokens"])
        nan = self.stub.knob("nan") or served > self.stub.knob("nan_after", 10**9)
        if nan and body.get("logprobs"):
            return self.answer(
                400, {"error": {"message": "Out of range float values are not JSON compliant"}}
            )
        text = self.stub.knob("text", "#### 42")
        if body.get("ignore_eos"):
            text = self.stub.knob("speed_text", text)
        choice = {"index": 0, "text": text, "finish_reason": "length"}
        if body.get("logprobs"):
            n = len(prompt) + body["max_tokens"] if body.get("echo") else body["max_tokens"]
            value = None if self.stub.knob("null") else self.stub.knob("logprob", -1.0)
            values = [None] + [value] * (n - 1)
            tops = [None] + [{"x": value}] * (n - 1)
            choice["logprobs"] = {
                "token_logprobs": values,
                "top_logprobs": tops,
                "tokens": ["x"] * n,
            }
        if body.get("return_token_ids"):
            choice["token_ids"] = self.token_ids(body)
        choice["garbage"] = "x" * self.stub.knob("huge", 0)
        return self.answer(200, {"choices": [choice], "usage": usage})

    def token_ids(self, body: dict) -> list[int]:
        first = 7 if body["max_tokens"] > 1 else self.stub.knob("first_token", 7)
        rest = [8] * (body["max_tokens"] - 1)
        if rest and not body.get("ignore_eos"):
            rest[0] = self.stub.knob("second_token", 8)
        return [first, *rest]

    def stream(self, body: dict, usage: dict) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        started = time.monotonic()
        event = b'data: {"choices": [{"index": 0, "text": "x"}]}' + END
        for number in range(1, body["max_tokens"] + 1):
            # by absolute time, so that late wake-ups do not add up
            self.sleep_until(started + number * self.stub.knob("token_s", 0.0005))
            self.chunk(event)
        self.chunk(b"data: " + json.dumps({"choices": [], "usage": usage}).encode() + END)
        self.chunk(b"data: [DONE]" + END)
        self.wfile.write(b"0\r\n\r\n")

    def chunk(self, data: bytes) -> None:
        self.wfile.write(f"{len(data):x}\r\n".encode() + data + b"\r\n")

    @staticmethod
    def sleep_until(moment: float) -> None:
        time.sleep(max(0.0, moment - time.monotonic()))

    def answer(self, status: int, document: object) -> None:
        data = b"" if document is None else json.dumps(document).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)


class Server(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    daemon_threads = True
    request_queue_size = 512

    def handle_error(self, request: object, client_address: object) -> None:
        """Clients may disconnect at any time."""


def main() -> None:
    parser = argparse.ArgumentParser(allow_abbrev=False)
    parser.add_argument("--uds", required=True)
    parser.add_argument("--model", required=True)
    parser.add_argument("--served-model-name", required=True)
    parser.add_argument("--knobs")
    arguments, _ = parser.parse_known_args()
    stub = Stub(arguments)
    stub.start()
    Handler.stub = stub
    with Server(arguments.uds, Handler) as server:
        server.serve_forever()


if __name__ == "__main__":
    main()
