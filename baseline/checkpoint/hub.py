"""Reads the Hugging Face Hub: a checkpoint's headers without its weights, and one-line errors."""

from __future__ import annotations

from functools import partial
from importlib.util import find_spec
from pathlib import Path
from types import TracebackType

from baseline.terminal.errors import CliError, missing_packages, site, usage
from grader.assets import hub
from grader.checkpoint import lay_out

CONFIGS = ("config.json", "model.safetensors.index.json")
WEIGHTS = ".safetensors"


def is_repo(name: str) -> bool:
    """Return whether the text has the form ``org/name`` and is not a local path."""
    return name.count("/") == 1 and not name.startswith((".", "/", "~")) and not Path(name).exists()


def fetch_headers(repo: str, revision: str, folder: Path) -> str:
    """Put config and weights of ``repo`` into ``folder``, the weights as sparse files with only their headers.

    Returns the commit that was read.

    Raises:
        CliError: no such repository or revision, gated, unreachable, no weights.
    """
    if find_spec("huggingface_hub") is None:
        raise missing_packages("A model from the Hub", "huggingface_hub")
    with told(repo):
        source = hub.pin(repo, revision or "main")
        wanted = [
            file for file in source.files if file.name in CONFIGS or file.name.endswith(WEIGHTS)
        ]
        if not any(file.name.endswith(WEIGHTS) and "/" not in file.name for file in wanted):
            raise usage("MODEL_WITHOUT_WEIGHTS", f"{repo} has no .safetensors file.",
                        "Only safetensors weights are read.")  # fmt: skip
        lay_out(wanted, folder, partial(hub.read, source))
    return source.commit


class told:
    """Turn the Hub client's many exceptions into one line and a next step."""

    def __init__(self, name: str) -> None:
        self.name = name

    def __enter__(self) -> None:
        return None

    def __exit__(
        self, kind: object, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if isinstance(error, Exception) and not isinstance(error, CliError):
            raise self._in_words(error) from error

    def _in_words(self, error: Exception) -> CliError:
        code, detail = hub.code_of(error)
        if code == "HUB_GATED":
            return site("HUB_GATED", f"{self.name} asks for its terms to be accepted first.",
                        "Accept them on its page, then set HF_TOKEN to a token of that account.")  # fmt: skip
        if code == "HUB_REVISION":
            return usage("HUB_REVISION_UNKNOWN", f"{self.name} has no such revision.",
                         "Give a commit, tag or branch that its page lists.")  # fmt: skip
        if code == "HUB_NOT_FOUND":
            return usage("MODEL_NOT_FOUND", f"The Hub has no {self.name} that this account may see.",
                         "Check the spelling; a private one needs HF_TOKEN.")  # fmt: skip
        if code == "HUB_GONE":
            return usage("MODEL_WITHOUT_CONFIG", f"{self.name} has no config.json.",
                         "Name a repository that holds config.json and the weights.")  # fmt: skip
        return site("HUB_UNREACHABLE", f"{self.name} could not be fetched from the Hub: {detail}",
                    "Check the network, or download it once and give the folder.")  # fmt: skip
