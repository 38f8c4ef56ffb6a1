import subprocess

from grader.worker.engine.log import KEPT_BYTES, Log, clean, meaningful_error, out_of_memory, redact


def read(data):
    with subprocess.Popen(["cat"], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        log = Log(process.stdout, "test")
        process.stdin.write(data)
        process.stdin.close()
        log.finish(60)
    return log


def test_a_flood_keeps_its_end_and_little_memory():
    log = read(b"first\n" + b"x" * 79 + b"\n" + b"noise\n" * 2_000_000 + b"last\n")
    lines = log.lines()
    assert lines[-2:] == ["last", ""]
    assert "first" not in lines
    assert sum(len(line) + 1 for line in lines) <= KEPT_BYTES + 1


def test_a_line_without_end_is_cut():
    log = read(b"y" * 5_000_000 + b"\nlast\n")
    assert log.lines()[-2:] == ["last", ""]
    assert max(map(len, log.lines())) <= 2000


def test_the_tail_is_whole_lines():
    log = read(b"".join(b"line %04d\n" % number for number in range(1000)))
    tail = log.tail(100)
    assert tail.endswith("line 0999")
    assert len(tail) <= 100
    assert all(len(line) == 9 for line in tail.split("\n"))


def test_loaded_bytes_are_read_in_passing():
    line = b"(Worker pid=40) INFO [x.py:1] Model loading took 1.5 GiB memory and 3.2 seconds\n"
    assert read(line + b"noise\n" * 500_000).loaded_bytes == 1_610_612_736
    assert read(b"nothing\n").loaded_bytes == 0


def test_the_line_of_its_start_is_kept_whole():
    start = (
        b"INFO Initializing a V1 LLM engine (v0) with config: "
        + b"model='/m', " * 300
        + b"seed=0\n"
    )
    assert read(b"noise\n" * 99_999 + start + b"noise\n" * 500_000).start_line.endswith(b"seed=0\n")
    assert read(b"Initializing a V1 LLM engine, cut off").start_line == b""


def test_bytes_that_are_no_text():
    assert read(b"\xff\xfe\x00broken\n").lines()[0].endswith("broken")


def test_colours_and_tricks_are_removed():
    assert clean("\x1b[31mred\x1b[0m \x1b]0;title\x07ok \u202eevil\u200b\x08") == "red ok evil"
    assert clean("10%\r20%") == "10%\n20%"


def test_the_cause_and_not_its_wrapping():
    lines = [
        "(EngineCore pid=25) ERROR 11-24 02:27:12 [core.py:402] Traceback (most recent call last):",
        "(EngineCore pid=25) ERROR 11-24 02:27:12 [core.py:402] ValueError: Following weights were not "
        "initialized from checkpoint: {'model.layers.2.mlp.down_proj.weight'}",
        "(APIServer pid=2) RuntimeError: Engine core initialization failed. See root cause above.",
    ]
    assert meaningful_error(lines).startswith("ValueError: Following weights were not initialized")
    assert meaningful_error(lines[2:]).startswith("RuntimeError: Engine core")
    assert meaningful_error(["all is well"]) == ""


def test_out_of_memory_is_recognised():
    assert out_of_memory(["torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2 GiB"])
    assert not out_of_memory(["ValueError: shapes differ"])


def test_redaction_takes_the_longest_first():
    secrets = [("/home/u", "~"), ("/home/u/scratch", "<scratch>"), ("", "x"), ("tok3n", "<token>")]
    assert redact("/home/u/scratch/a /home/u/b tok3n", secrets) == "<scratch>/a ~/b <token>"
