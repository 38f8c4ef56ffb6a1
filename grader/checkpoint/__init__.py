"""Reads an uploaded checkpoint strictly and rebuilds it in canonical form. Nothing uploaded is ever loaded.

::

    archive ──unpack──▶ folder ──find_problems──▶ Findings(problems, notices, facts)
     (hostile)            │      layout → config → safetensors headers → index
                          │      → expected tensor table → kernels of the contest's GPU
                          └────rebuild──▶ canonical folder ──▶ engine
                                 config.json   base model's values + allowed differences
                                 *.safetensors hard links, canonical names
                                 tokenizer, chat template, generation config: the organizer's

``unpack`` and ``find_problems`` report every bad input as a code of :mod:`grader.problems.catalogue`; no
input makes them raise. ``check`` does it all in a process of its own, with a limit on its time, as site and
worker do. The package uses only the standard library, except for two imports inside functions:
``zstandard`` for ``.tar.zst`` and, ``numpy``, if installed, to read data faster.
"""

from grader.checkpoint.archives.unpack import sniff, unpack
from grader.checkpoint.check import Findings, examine, find_problems
from grader.checkpoint.finding import Refused, display
from grader.checkpoint.layout import is_read
from grader.checkpoint.limited import check
from grader.checkpoint.listing import find_listing_problems, lay_out
from grader.checkpoint.rebuild import rebuild, write_canonical
from grader.checkpoint.safetensors import read_header

__all__ = [
    "Findings",
    "Refused",
    "check",
    "display",
    "examine",
    "find_listing_problems",
    "find_problems",
    "is_read",
    "lay_out",
    "read_header",
    "rebuild",
    "sniff",
    "unpack",
    "write_canonical",
]
