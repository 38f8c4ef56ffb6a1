"""The box: what a child can see, reach and write, and that nothing of it is left afterwards."""

import json
import os
import signal
import socket
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

from grader.worker import sandbox
from grader.worker.faults import Failed
from grader.worker.settings import Settings

from .conftest import processes_naming, wait_until

LEVELS = ["none", "process", "namespace"]
needs_namespaces = pytest.mark.skipif(
    sandbox.detect() != "namespace", reason="bubblewrap does not work on this machine"
)


def run(code, scratch, level, inputs=(), environment=None):
    """Run Python code in a box and return (exit code, output)."""
    folder = scratch / "box"
    folder.mkdir(exist_ok=True)
    command = [sys.executable, "-I", "-c", textwrap.dedent(code)]
    child = sandbox.start(command, environment or {}, sandbox.Box(level, folder, tuple(inputs)))
    output = child.output.read().decode()
    wait_until(lambda: child.exit_code() is not None)
    child.kill()
    child.output.close()
    return child.exit_code(), output


def at_levels(*levels):
    marked = [pytest.param(v, marks=needs_namespaces) if v == "namespace" else v for v in levels]
    return pytest.mark.parametrize("level", marked)


@at_levels(*LEVELS)
def test_the_environment_is_only_what_is_listed(scratch, level, monkeypatch):
    monkeypatch.setenv("GRADER_TOKEN", "secret")
    code = "import os, json; print(json.dumps(dict(os.environ)))"
    exit_code, output = run(code, scratch, level, environment={"HOME": "/nowhere"})
    assert exit_code == 0
    seen = json.loads(output)
    seen.pop("LC_CTYPE", None)  # Python's own
    seen.pop("PWD", None)  # bubblewrap's, from --chdir
    assert seen == {"HOME": "/nowhere"}


@at_levels(*LEVELS)
def test_exit_codes_and_signals_come_through(scratch, level):
    assert run("import sys; sys.exit(7)", scratch, level)[0] == 7
    assert run("import os; os.kill(os.getpid(), 9)", scratch, level)[0] == 128 + 9


@at_levels("process", "namespace")
def test_limits_hold(scratch, level):
    code = """
        import resource, pathlib
        print(resource.getrlimit(resource.RLIMIT_CORE)[0], resource.getrlimit(resource.RLIMIT_NOFILE)[0])
        print(pathlib.Path("/proc/self/oom_score_adj").read_text().strip())
    """
    lines = run(code, scratch, level)[1].splitlines()
    assert lines[0].split()[0] == "0"
    assert int(lines[0].split()[1]) <= 8192
    assert lines[1] == "1000"


@needs_namespaces
def test_no_way_to_the_hosts_loopback(scratch):
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        code = f"""
            import socket
            try:
                socket.create_connection(("127.0.0.1", {port}), timeout=2)
                print("reached")
            except OSError as error:
                print("blocked")
        """
        assert run(code, scratch, "namespace")[1] == "blocked\n"
        assert run(code, scratch, "process")[1] == "reached\n"  # the test itself works


@needs_namespaces
def test_only_the_scratch_folder_can_be_written(scratch):
    model = scratch / "model"
    model.mkdir()
    (model / "weights").write_text("original")
    targets = [
        model / "weights",
        model / "new",
        Path(sys.prefix) / "new",
        Path("/usr/new"),
        scratch / "new",
    ]
    code = f"""
        from pathlib import Path
        for target in {[str(t) for t in targets]!r}:
            try:
                Path(target).write_text("changed")
            except OSError:
                pass
        print(Path({str(model / "weights")!r}).read_text())
        Path("inside").write_text("mine")
    """
    assert run(code, scratch, "namespace", [model])[1] == "original\n"
    assert (scratch / "box" / "inside").read_text() == "mine"
    assert (model / "weights").read_text() == "original"
    assert not any(target.exists() for target in targets[1:])


@needs_namespaces
def test_nothing_else_of_the_host_can_be_seen(scratch):
    (scratch / "other-team").write_text("secret")
    hidden = [str(scratch / "other-team"), "/etc/shadow", "/root/.ssh"]
    code = f"""
        import os, socket
        print(*[os.path.exists(path) for path in {hidden!r}])
        processes = [name for name in os.listdir("/proc") if name.isdigit()]
        print(len(processes), [name for _, name in socket.if_nameindex()])
    """
    exit_code, output = run(code, scratch, "namespace")
    assert exit_code == 0, output
    first, second = output.splitlines()
    assert first == "False False False"
    assert second == "2 ['lo']"  # bubblewrap's own process and this one


GRANDCHILDREN = """
    import subprocess, sys, time
    mark = {mark!r}
    hold = "import time; time.sleep(1000) #" + mark
    for session in (False, True):
        subprocess.Popen([sys.executable, "-c", hold], start_new_session=session)
    # a real daemon: its parent is gone
    subprocess.run([sys.executable, "-c", "import subprocess, sys;"
        f"subprocess.Popen([sys.executable, '-c', {{hold!r}}], start_new_session=True)"])
    print("ready", flush=True)
    time.sleep(1000)
"""


@at_levels(*LEVELS)
def test_kill_ends_daemons_too(scratch, level):
    mark = f"mark-{level}-{os.getpid()}"
    folder = scratch / "box"
    folder.mkdir()
    code = textwrap.dedent(GRANDCHILDREN.format(mark=mark))
    child = sandbox.start([sys.executable, "-c", code], {}, sandbox.Box(level, folder))
    assert child.output.readline() == b"ready\n"
    assert wait_until(lambda: len(processes_naming(mark)) >= 4)
    started = time.monotonic()
    child.kill()
    assert processes_naming(mark) == []
    assert time.monotonic() - started < 5
    child.kill()  # a second time is harmless
    child.output.close()


@at_levels(*LEVELS)
def test_daemons_end_with_the_first_process(scratch, level):
    mark = f"mark-end-{level}-{os.getpid()}"
    code = GRANDCHILDREN.format(mark=mark).replace("time.sleep(1000)\n", "pass\n").rstrip()
    code = code.rpartition("\n")[
        0
    ]  # without the last sleep: the first process ends, its daemons stay
    assert run(code, scratch, level)[0] == 0
    assert processes_naming(mark) == []


@at_levels(*LEVELS)
def test_kill_9_of_the_worker_leaves_no_process(scratch, level):
    mark = f"mark-worker-{level}-{os.getpid()}"
    (scratch / "box").mkdir()
    code = textwrap.dedent(GRANDCHILDREN.format(mark=mark))
    supervisor = f"""
import sys, time
from pathlib import Path
from grader.worker import sandbox
box = sandbox.Box({level!r}, Path({str(scratch / "box")!r}))
child = sandbox.start([sys.executable, "-c", {code!r}], {{}}, box)
child.output.readline()
print("started", flush=True)
time.sleep(1000)
"""
    worker = subprocess.Popen(
        [sys.executable, "-c", supervisor], stdout=subprocess.PIPE, cwd=Path(__file__).parents[3]
    )
    assert worker.stdout.readline() == b"started\n"
    assert wait_until(lambda: len(processes_naming(mark)) >= 4)
    worker.send_signal(signal.SIGKILL)
    worker.wait()
    worker.stdout.close()
    assert wait_until(lambda: processes_naming(mark) == [], 10)


@needs_namespaces
def test_kill_9_of_the_keeper_leaves_no_process(scratch):
    mark = f"mark-keeper-{os.getpid()}"
    (scratch / "box").mkdir()
    code = textwrap.dedent(GRANDCHILDREN.format(mark=mark))
    child = sandbox.start(
        [sys.executable, "-c", code], {}, sandbox.Box("namespace", scratch / "box")
    )
    child.output.readline()
    os.kill(child.keeper_pid, signal.SIGKILL)
    assert wait_until(lambda: processes_naming(mark) == [], 10)
    child.kill()
    child.output.close()


def test_a_command_that_does_not_exist_says_so(scratch):
    folder = scratch / "box"
    folder.mkdir()
    child = sandbox.start(["/no/such/engine"], {}, sandbox.Box("process", folder))
    assert b"cannot start /no/such/engine" in child.output.read()
    assert wait_until(lambda: child.exit_code() == 127)
    child.kill()
    child.output.close()


def test_a_worker_that_offers_too_little_refuses(monkeypatch):
    monkeypatch.setattr(sandbox, "_bubblewrap_works", lambda: False)
    assert sandbox.detect("auto") == "process"
    with pytest.raises(Failed, match="SYS_SANDBOX"):
        sandbox.detect("namespace")
    with pytest.raises(Failed, match="SYS_SANDBOX"):
        sandbox.require(Settings(), "namespace")
    assert sandbox.require(Settings(), "process") == "process"
