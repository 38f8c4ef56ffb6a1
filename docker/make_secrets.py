"""Write the secrets of a new installation to ``secrets/``. Existing ones are kept.

    python3 make_secrets.py                 once, and again after an update
    … | python3 make_secrets.py NAME        set NAME to the input; empty input leaves it unchanged

Other users of the machine cannot open the folder. Its files are readable because a container's user, which does
not exist on the host, has to read them.
"""

from __future__ import annotations

import secrets
import sys
from pathlib import Path

FOLDER = Path(__file__).resolve().parent / "secrets"


def main(folder: Path = FOLDER) -> int:
    folder.mkdir(mode=0o700, exist_ok=True)
    password = _keep(folder / "postgres_password", secrets.token_urlsafe(32))
    _keep(folder / "database_url", f"postgresql://paretoboard:{password}@postgres:5432/paretoboard")
    _keep(folder / "secret_key", secrets.token_urlsafe(50))
    _keep(folder / "metrics_token", secrets.token_urlsafe(32))
    _keep(folder / "email_host_password", "")  # only with a mail server
    _keep(folder / "s3_secret_key", "")  # only with archives in S3
    _keep(folder / "hf_token", "")  # only with a Hub account
    for provider in ("github", "google", "kakao", "naver", "openid_connect"):
        _keep(folder / f"social_{provider}_secret", "")  # only for providers in SOCIAL_LOGIN
    _keep(folder / "grader_token", "")  # the output of addworker
    return 0


def put(name: str, value: str, folder: Path = FOLDER) -> int:
    """Write one secret. Empty input from a failed command does not replace what a running worker uses."""
    file, value = folder / name, value.strip()
    if not file.exists():
        print(f"no secret is called {name}", file=sys.stderr)
        return 2
    if len(value.split()) != 1:
        print(f"{name} stays as it was: what came is not one word", file=sys.stderr)
        return 1
    file.write_text(value)
    print(f"wrote {file}", file=sys.stderr)
    return 0


def _keep(file: Path, new: str) -> str:
    """Return the content of ``file``, which is created with ``new`` if it does not exist."""
    if not file.exists():
        file.write_text(new)
        file.chmod(0o644)
        print(f"wrote {file}", file=sys.stderr)
    return file.read_text()


if __name__ == "__main__":
    sys.exit(put(sys.argv[1], sys.stdin.read()) if sys.argv[1:] else main())
