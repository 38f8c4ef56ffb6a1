"""The sandbox: what a process can see, reach and write, and that nothing of it remains afterwards."""

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import textwrap
import time
from pathlib import Path

import pytest

from grader.worker.faults import Failed
from grader.worker.sandbox import box, cgroup
from grader.worker.settings import Settings
from tests.grader.worker.conftest import processes_naming, wait_until

ROOT = Path(__file__).parents[4]


def cgroup_limits():
    group = cgroup.create()
    try:
        return group.limits
    finally:
        group.close()


LEVELS = ["none", "process", "network", "namespace"]
ISOLATED = ["network", "namespace"]
needs_namespaces = pytest.mark.skipif(
    bool(box.why_not("namespace")), reason="bubblewrap does not work on this machine"
)
needs_unshare = pytest.mark.skipif(
    bool(box.why_not("network")), reason="unshare does not work on this machine"
)
needs_cgroup = pytest.mark.skipif(
    "memory" not in cgroup_limits(), reason="no control group can be made on this machine"
)


def run(code, scratch, level, inputs=(), environment=None, worker=None):
    """Run Python code in a sandbox and return (exit code, output)."""
    folder = scratch / "box"
    folder.mkdir(exist_ok=True)
    command = [sys.executable, "-I", "-c", textwrap.dedent(code)]
    child = box.start(
        command, environment or {}, box.Box(level, folder, tuple(inputs), worker=worker)
    )
    output = child.output.read().decode()
    wait_until(lambda: child.exit_code() is not None)
    child.kill()
    child.output.close()
    return child.exit_code(), output


def at_levels(*levels):
    needs = {"namespace": needs_namespaces, "network": needs_unshare}
    marked = [pytest.param(v, marks=needs[v]) if v in needs else v for v in levels]
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


@at_levels("process", *ISOLATED)
def test_limits_hold(scratch, level):
    code = """
        import resource, pathlib
        print(resource.getrlimit(resource.RLIMIT_CORE)[0], resource.getrlimit(resource.RLIMIT_NOFILE)[0])
        print(pathlib.Path("/proc/self/oom_score_adj").read_text().strip())
        print(resource.getrlimit(resource.RLIMIT_FSIZE)[0], resource.getrlimit(resource.RLIMIT_CPU)[0])
        status = dict(l.split(":", 1) for l in open("/proc/self/status"))
        print(status["NoNewPrivs"].strip())
    """
    lines = run(code, scratch, level)[1].splitlines()
    assert lines[0].split()[0] == "0"
    assert int(lines[0].split()[1]) <= 8192
    assert lines[1] == "1000"
    assert 0 < int(lines[2].split()[0]) <= 16 * 1024**3
    assert 0 < int(lines[2].split()[1]) <= 6 * 3600 * os.cpu_count()
    assert lines[3] == "1"


@at_levels(*ISOLATED)
def test_no_privilege_is_left(scratch, level):
    code = """
        status = dict(line.split(":", 1) for line in open("/proc/self/status"))
        print(*(int(status[name], 16) for name in ("CapEff", "CapPrm", "CapBnd")))
    """
    assert run(code, scratch, level)[1] == "0 0 0\n"


@needs_cgroup
@at_levels("process", *ISOLATED)
def test_the_kernel_ends_an_engine_that_takes_too_much_memory(scratch, level):
    (scratch / "box").mkdir()
    code = "x = bytearray(400 << 20); print(len(x), flush=True)"
    walls = box.Box(level, scratch / "box", memory_bytes=200 << 20)
    child = box.start([sys.executable, "-I", "-c", code], {}, walls)
    assert child.output.read() == b""
    assert wait_until(lambda: child.exit_code() == 128 + 9)
    assert child.group.ran_out_of_memory()
    child.kill()
    child.output.close()
    assert not any(folder.exists() for folder in child.group.folders)


@needs_cgroup
@at_levels("process", *ISOLATED)
def test_a_fork_bomb_stops_at_the_limit(scratch, level, monkeypatch):
    monkeypatch.setattr(cgroup, "create", lambda memory_bytes=0: create(memory_bytes, 40))
    code = """
        import os, time
        made = 0
        try:
            for _ in range(200):
                if os.fork() == 0:
                    time.sleep(1000)
                made += 1
        except OSError as error:
            print(made < 40, error.errno, flush=True)
    """
    assert run(code, scratch, level) == (0, "True 11\n")


create = cgroup.create


@at_levels(*ISOLATED)
def test_no_way_to_the_hosts_loopback(scratch, level):
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
        assert run(code, scratch, level)[1] == "blocked\n"
        assert run(code, scratch, "process")[1] == "reached\n"  # the test itself can do this


@at_levels(*ISOLATED)
def test_no_way_to_the_other_engine_wherever_the_scratch_folder_lies(level):
    """A scratch folder is not always below a hidden folder: in a container it is /scratch."""
    with tempfile.TemporaryDirectory(prefix="box-", dir=ROOT) as folder:
        other = Path(folder, "base", "engine.sock")
        other.parent.mkdir()
        other.touch()
        code = f"import os; print(os.path.exists({str(other)!r}))"
        assert run(code, Path(folder), level) == (0, "False\n")
        assert run(code, Path(folder), "process") == (0, "True\n")  # the test itself can do this


@at_levels(*ISOLATED)
def test_no_way_to_what_else_lies_in_the_workers_folder(level):
    """The base model's engine, kept from an earlier grade, and what was fetched for the next one."""
    with tempfile.TemporaryDirectory(prefix="box-", dir=ROOT) as folder:
        other, own = Path(folder, "g-1", "base", "engine.sock"), Path(folder, "g-2")
        own.mkdir()
        other.parent.mkdir(parents=True)
        other.touch()
        code = f"import os; print(os.path.exists({str(other)!r}))"
        assert run(code, own, level, worker=Path(folder)) == (0, "False\n")
        assert run(code, own, "process", worker=Path(folder)) == (0, "True\n")


@at_levels(*ISOLATED)
def test_no_way_to_a_service_of_the_host_by_its_socket(scratch, level):
    """Like those of Docker, PostgreSQL or an SSH agent: sockets in the file system, and abstract ones."""
    folder = Path(tempfile.mkdtemp(prefix="svc-"))
    names = [str(folder / "service.sock"), f"\0pb-{os.getpid()}"]
    with contextlib.ExitStack() as stack:
        stack.callback(shutil.rmtree, folder)
        for name in names:
            server = stack.enter_context(socket.socket(socket.AF_UNIX))
            server.bind(name)
            server.listen()
        code = f"""
            import socket
            for name in {names!r}:
                with socket.socket(socket.AF_UNIX) as client:
                    client.settimeout(2)
                    print(client.connect_ex(name) == 0)
        """
        assert run(code, scratch, level)[1] == "False\nFalse\n"
        assert run(code, scratch, "process")[1] == "True\nTrue\n"  # the test itself can do this


@at_levels(*ISOLATED)
def test_only_the_scratch_folder_can_be_written(scratch, level):
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
    assert run(code, scratch, level, [model])[1] == "original\n"
    assert (scratch / "box" / "inside").read_text() == "mine"
    assert (model / "weights").read_text() == "original"
    assert not any(target.exists() for target in targets[1:])


@at_levels(*ISOLATED)
def test_nothing_else_of_the_host_can_be_seen(scratch, level):
    (scratch / "other-team").write_text("secret")
    hidden = [str(scratch / "other-team"), "/root/.bashrc", "/run/lock"]
    assert any(map(os.path.exists, hidden[1:]))
    code = f"""
        import os, socket
        print(*[os.path.exists(path) for path in {hidden!r}])
        processes = [name for name in os.listdir("/proc") if name.isdigit()]
        print(len(processes), [name for _, name in socket.if_nameindex()])
    """
    exit_code, output = run(code, scratch, level)
    assert exit_code == 0, output
    first, second = output.splitlines()
    assert first == "False False False"
    assert second == "2 ['lo']"  # the sandbox's own first process and this one


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
    child = box.start([sys.executable, "-c", code], {}, box.Box(level, folder))
    assert child.output.readline() == b"ready\n"
    assert wait_until(lambda: len(processes_naming(mark)) >= 4)
    started = time.monotonic()
    child.kill()
    assert processes_naming(mark) == []
    assert time.monotonic() - started < 5
    child.kill()  # calling it again is harmless
    child.output.close()


@at_levels(*LEVELS)
def test_daemons_end_with_the_first_process(scratch, level):
    mark = f"mark-end-{level}-{os.getpid()}"
    code = GRANDCHILDREN.format(mark=mark).replace("time.sleep(1000)\n", "pass\n").rstrip()
    code = code.rpartition("\n")[
        0
    ]  # without the last sleep: the first process ends, its daemons remain
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
from grader.worker.sandbox import box, cgroup
walls = box.Box({level!r}, Path({str(scratch / "box")!r}))
child = box.start([sys.executable, "-c", {code!r}], {{}}, walls)
child.output.readline()
print("started", flush=True)
time.sleep(1000)
"""
    worker = subprocess.Popen(
        [sys.executable, "-c", supervisor], stdout=subprocess.PIPE, cwd=Path(__file__).parents[4]
    )
    assert worker.stdout.readline() == b"started\n"
    assert wait_until(lambda: len(processes_naming(mark)) >= 4)
    worker.send_signal(signal.SIGKILL)
    worker.wait()
    worker.stdout.close()
    assert wait_until(lambda: processes_naming(mark) == [], 10)


@at_levels(*ISOLATED)
def test_kill_9_of_the_keeper_leaves_no_process(scratch, level):
    mark = f"mark-keeper-{level}-{os.getpid()}"
    (scratch / "box").mkdir()
    code = textwrap.dedent(GRANDCHILDREN.format(mark=mark))
    child = box.start([sys.executable, "-c", code], {}, box.Box(level, scratch / "box"))
    child.output.readline()
    os.kill(child.keeper_pid, signal.SIGKILL)
    assert wait_until(lambda: processes_naming(mark) == [], 10)
    child.kill()
    child.output.close()


def test_a_command_that_does_not_exist_says_so(scratch):
    folder = scratch / "box"
    folder.mkdir()
    child = box.start(["/no/such/engine"], {}, box.Box("process", folder))
    assert b"cannot start /no/such/engine" in child.output.read()
    assert wait_until(lambda: child.exit_code() == 127)
    child.kill()
    child.output.close()


def test_a_worker_that_offers_too_little_refuses(monkeypatch):
    weak = {"network": "not installed", "namespace": "not installed"}
    monkeypatch.setattr(box, "why_not", lambda level: weak.get(level, ""))
    assert box.detect("auto") == "process"
    for choice in ISOLATED:
        with pytest.raises(Failed, match="SYS_SANDBOX"):
            box.detect(choice)
    with pytest.raises(Failed, match="the contest requires network, this worker offers process"):
        box.require(Settings(), "network")
    assert box.require(Settings(), "process") == "process"


def test_unshare_is_the_second_choice(monkeypatch):
    monkeypatch.setattr(box, "why_not", lambda level: "no" if level == "namespace" else "")
    assert box.detect("auto") == "network"
    assert box.require(Settings(), "network") == "network"
    with pytest.raises(Failed, match="SYS_SANDBOX"):
        box.require(Settings(), "namespace")


@pytest.fixture
def bubblewrap(monkeypatch, tmp_path):
    """``bubblewrap(script)``: a program of that name that runs the script, with nothing cached."""
    monkeypatch.setattr(box, "_working", set())
    monkeypatch.setattr(box, "TRIAL_PAUSE_S", 0.0)
    monkeypatch.setattr(box, "TRIAL_TIMEOUTS_S", (0.5, 0.5, 20.0))
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    program = tmp_path / "bwrap"

    def install(script):
        program.write_text(f"#!/bin/sh\n{script}\n")
        program.chmod(0o755)

    return install


@pytest.mark.parametrize("moment", ["exit 1", "exec sleep 60"])
def test_a_trial_that_fails_on_a_busy_machine_is_made_again(bubblewrap, tmp_path, moment):
    busy = f"if [ ! -e {tmp_path}/twice ]; then"
    busy += f" if [ -e {tmp_path}/once ]; then touch {tmp_path}/twice; fi; touch {tmp_path}/once;"
    bubblewrap(f"{busy} {moment}; fi; echo in")
    assert box.detect("auto") == "namespace"
    assert (tmp_path / "twice").exists()


@needs_unshare
def test_a_weaker_box_is_loud_and_not_for_ever(bubblewrap, caplog):
    bubblewrap("echo 'bwrap: Creating new namespace failed' >&2; exit 1")
    assert box.detect("auto") == "network"
    (record,) = caplog.records
    assert record.levelname == "ERROR"
    assert "level network: no namespace (exit code 1: bwrap: Creating new" in record.getMessage()
    with pytest.raises(Failed, match="Creating new namespace failed"):
        box.detect("namespace")
    bubblewrap("echo in")
    assert box.detect("auto") == "namespace"


def test_what_is_not_installed_is_said(monkeypatch, caplog):
    monkeypatch.setattr(box, "_working", set())
    monkeypatch.setenv("PATH", "/nowhere")
    assert box.detect("auto") == "process"
    assert "no namespace (bwrap is not installed), no network (unshare" in caplog.text


@pytest.mark.parametrize("own", ["0::/worker", "4:memory:/worker\n8:pids:/worker"])
def test_where_no_group_can_be_made_none_is(own, tmp_path, monkeypatch):
    monkeypatch.setattr(cgroup, "ROOT", tmp_path)
    monkeypatch.setattr(
        cgroup,
        "_own_groups",
        lambda: [(k, p) for _, k, p in (line.split(":") for line in own.split("\n"))],
    )
    group = cgroup.create(1 << 30)
    assert (group.folders, group.limits, group.ran_out_of_memory()) == ((), (), False)
    group.close()


def test_version_2_gets_its_limits_below_the_parent(tmp_path, monkeypatch):
    """The worker's own group has processes, so only its parent can delegate controllers."""
    (tmp_path / "cgroup.controllers").touch()
    (tmp_path / "slice" / "worker").mkdir(parents=True)
    (tmp_path / "slice" / "worker" / "cgroup.subtree_control").mkdir()  # not writable
    (tmp_path / "slice" / "cgroup.subtree_control").touch()
    monkeypatch.setattr(cgroup, "ROOT", tmp_path)
    monkeypatch.setattr(cgroup, "_own_groups", lambda: [("", "/slice/worker")])
    real = Path.mkdir

    def mkdir(folder, *arguments, **options):  # the kernel fills a new group
        real(folder, *arguments, **options)
        for name in ("cgroup.procs", "memory.max", "memory.swap.max", "pids.max"):
            (folder / name).touch()

    monkeypatch.setattr(Path, "mkdir", mkdir)
    group = cgroup.create(123, 7)
    (folder,) = group.folders
    assert folder.parent == tmp_path / "slice"
    assert group.limits == ("memory", "pids")
    read = [(folder / n).read_text() for n in ("memory.max", "memory.swap.max", "pids.max")]
    assert read == ["123", "0", "7"]
