"""The salt of the split into public and private questions: generated, kept secret, and left out of every copy.

Whoever knows the salt and the data set knows which questions are public, and a digest of a text with the salt
in it lets anybody try guesses at home. So only salts that nobody can guess are accepted, and what
participants see or get is made from the file without it.
"""

from __future__ import annotations

import hashlib
import itertools
import re
import secrets
import tomllib
from pathlib import Path

HEX_DIGITS = 32  # 128 bits
CONTESTS = Path(__file__).resolve().parent.parent / "contests"
# In the contests of this project until salts were generated.
FORMERLY_SHIPPED = frozenset({"demo-2026", "smollm2-2026", "replace-before-the-event"})
_LINE = re.compile(r"""^[ \t]*(?:"split_salt"|'split_salt'|split_salt)[ \t]*=.*(?:\n|\Z)""", re.M)
_DIGESTS = ("md5", "sha1", "sha224", "sha256", "sha384", "sha512", "blake2b", "blake2s")


def generate() -> str:
    salt = secrets.token_hex(HEX_DIGITS // 2)
    return generate() if _is_regular(salt) else salt  # so that no generated salt is refused


def weakness(salt: str, *words: str) -> str | None:
    """Return the code of what is wrong with a salt.

    Args:
        words: what somebody would try first: the contest's id, its title, its base model.
    """
    if salt in FORMERLY_SHIPPED or salt in _shipped():
        return "SPLIT_SALT_SHIPPED"
    if len(salt) < HEX_DIGITS:
        return "SPLIT_SALT_SHORT"
    if not re.fullmatch(r"[0-9A-Fa-f]+", salt) or _is_regular(salt.lower()):
        return "SPLIT_SALT_GUESSABLE"
    if salt.lower() in _digests_of((*words, *FORMERLY_SHIPPED)):
        return "SPLIT_SALT_GUESSABLE"
    return None


def without(source: str) -> str:
    """Return the text of a contest's file without its salt, which is what participants may have."""
    salt = tomllib.loads(source).get("split_salt", "")
    left = _LINE.sub("", source)
    return left.replace(salt, "") if len(salt) >= HEX_DIGITS else left


def _shipped() -> frozenset[str]:
    files = (*CONTESTS.glob("*.toml"), *CONTESTS.glob("*/contest.toml"))
    found = (tomllib.loads(file.read_text("utf-8")).get("split_salt") for file in files)
    return frozenset(filter(None, found))


def _is_regular(digits: str) -> bool:
    """Whether hexadecimal digits were typed rather than drawn: few different ones, repeats, or counting."""
    steps = [(int(b, 16) - int(a, 16)) % 16 for a, b in itertools.pairwise(digits)]
    repeats = any(digits == (digits[:n] * len(digits))[: len(digits)] for n in range(1, 17))
    # Of 32 drawn digits, fewer than 8 are different three times in 100,000.
    return repeats or len(set(digits)) < 8 or max(map(steps.count, set(steps))) > len(steps) // 3


def _digests_of(words: tuple[str, ...]) -> frozenset[str]:
    """Digests of words that anybody would try, alone and with a year."""
    tails = ["", *(f"{dash}{year}" for dash in ("", "-", "_") for year in range(2020, 2040))]
    texts = {case(word) + tail for word in words for case in (str, str.lower) for tail in tails}
    made = (hashlib.new(name, text.encode()).hexdigest() for name in _DIGESTS for text in texts)
    return frozenset(part for one in made for part in (one, one[:HEX_DIGITS]))
