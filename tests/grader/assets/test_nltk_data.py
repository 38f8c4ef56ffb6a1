"""NLTK data for IFEval: downloaded with the data sets, found without a network, reported if missing."""

from __future__ import annotations

import functools
import hashlib
import io
import os
import subprocess
import sys
import textwrap
import threading
import zipfile
from collections.abc import Iterator
from dataclasses import replace
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from grader.assets import nltk_data
from grader.contest import Contest, find, load

# A Punkt model that knows one abbreviation; the real one has the same files.
PUNKT = {
    "abbrev_types.txt": "dr\n",
    "collocations.tab": "",
    "ortho_context.tab": "",
    "sent_starters.txt": "",
}


class Handler(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """NLTK's index on a loopback port. Yields the served folder."""
    from nltk import downloader, pathsec

    folder = tmp_path / "index"
    folder.mkdir()
    packed = io.BytesIO()
    unpacked_bytes = sum(map(len, PUNKT.values()))
    with zipfile.ZipFile(packed, "w") as archive:
        for name, text in PUNKT.items():
            archive.writestr(f"punkt_tab/english/{name}", text)
    data = packed.getvalue()
    (folder / "punkt_tab.zip").write_bytes(data)
    with ThreadingHTTPServer(
        ("127.0.0.1", 0), functools.partial(Handler, directory=str(folder))
    ) as server:
        url = f"http://127.0.0.1:{server.server_address[1]}"
        package = {
            "id": "punkt_tab", "name": "Punkt", "subdir": "tokenizers", "unzip": "1",
            "size": len(data), "unzipped_size": unpacked_bytes, "checksum": hashlib.md5(data).hexdigest(),
            "sha256_checksum": hashlib.sha256(data).hexdigest(), "url": f"{url}/punkt_tab.zip",
        }  # fmt: skip
        attributes = " ".join(f'{key}="{value}"' for key, value in package.items())
        text = f"<nltk_data><packages><package {attributes}/></packages><collections/></nltk_data>"
        (folder / "index.xml").write_text(text)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        monkeypatch.setattr(downloader.Downloader, "DEFAULT_URL", f"{url}/index.xml")
        # NLTK refuses loopback addresses
        monkeypatch.setattr(pathsec, "_ip_is_forbidden", lambda _: False)
        yield folder
        server.shutdown()


def with_task(task: str) -> Contest:
    contest = load(find("demo"))
    return replace_benchmarks(contest, task)


def replace_benchmarks(contest: Contest, task: str) -> Contest:
    benchmark = replace(contest.benchmarks[0], task=task, weight=1.0)
    changed = replace(contest, benchmarks=(benchmark,))
    object.__setattr__(changed, "folder", contest.folder)
    return changed


@pytest.mark.parametrize(
    ("task", "expected"),
    [
        ("gsm8k", ()),
        ("demo_gsm8k", ()),
        ("ifeval", ("punkt_tab",)),
        ("leaderboard_ifeval", ("punkt_tab",)),
    ],
)
def test_which_tasks_read_it(task: str, expected: tuple[str, ...]) -> None:
    assert nltk_data.packages(with_task(task)) == expected


def test_a_task_of_the_contests_own_that_builds_on_it(tmp_path: Path) -> None:
    contest = with_task("obedience")
    (tmp_path / "tasks").mkdir()
    (tmp_path / "tasks/obedience.yaml").write_text("include: ${LM_EVAL_TASKS}/ifeval/ifeval.yaml\n")
    object.__setattr__(contest, "folder", tmp_path)
    assert nltk_data.packages(contest) == ("punkt_tab",)
    assert load(find("aimers8")).unpinned == ("LGAI-EXAONE/KMMLU-Redux", "LGAI-EXAONE/KMMLU-Pro")


def test_it_is_brought_verified_and_lm_eval_counts_sentences_without_a_network(
    index: Path, tmp_path: Path
) -> None:
    said: list[str] = []
    cache = tmp_path / "cache"
    nltk_data.bring("punkt_tab", cache, said.append)
    assert nltk_data.is_here("punkt_tab", cache)
    nltk_data.bring("punkt_tab", cache, said.append)
    assert [text.split(": ")[1].split(" ")[0] for text in said] == ["downloaded", "already"]
    code = """
        from pathlib import Path
        from grader.worker.measure import lm_eval_client
        lm_eval_client.prepare_process(Path(sys.argv[1]))
        import nltk
        nltk.download = lambda *_: sys.exit("asked the network")
        from lm_eval.tasks.ifeval import instructions_util
        print(instructions_util.count_sentences("Ask Dr. Kim. She knows. Or not?"))
    """
    clean = {key: value for key, value in os.environ.items() if key != "NLTK_DATA"}
    done = subprocess.run(
        [sys.executable, "-c", "import sys\n" + textwrap.dedent(code), str(cache)],
        capture_output=True, text=True, check=False, env={**clean, "HOME": str(tmp_path)},
    )  # fmt: skip
    assert done.stdout == "3\n", done.stderr


def test_a_damaged_package_is_refused(index: Path, tmp_path: Path) -> None:
    data = (index / "punkt_tab.zip").read_bytes()
    (index / "punkt_tab.zip").write_bytes(data[:-1] + b"?")
    with pytest.raises(ValueError, match=r"(?i)sha256|integrity|checksum"):
        nltk_data.bring("punkt_tab", tmp_path / "cache", lambda _: None)
    assert not nltk_data.is_here("punkt_tab", tmp_path / "cache")


def test_a_worker_without_it_says_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    import nltk.data

    from grader.worker.measure import offline_datasets

    monkeypatch.setattr(nltk.data, "path", [])
    contest = with_task("ifeval")
    with pytest.raises(offline_datasets.MissingCopyError, match="run prefetch demo here"):
        offline_datasets.require_nltk(contest, contest.benchmarks[0])
    plain = with_task("gsm8k")
    offline_datasets.require_nltk(plain, plain.benchmarks[0])
