"""Errors on the participant's side, and the exit code for each kind."""

from __future__ import annotations

import enum


class Exit(enum.IntEnum):
    """Exit codes of every command; ``baseline --help`` lists them."""

    OK = 0
    PROBLEM = 1  # the checkpoint has a problem, or the site rejected it
    USAGE = 2  # invalid options, unreadable recipe, impossible combination
    SITE = 3  # the network or the site
    SYSTEM = 4  # this machine: disk full, package missing, out of memory
    INTERRUPTED = 130


class CliError(Exception):
    """An expected failure: one line that says what happened and one that says what to do next."""

    def __init__(
        self, code: str, message: str, hint: str = "", exit_code: Exit = Exit.USAGE
    ) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.hint = hint
        self.exit_code = exit_code


def usage(code: str, message: str, hint: str = "") -> CliError:
    return CliError(code, message, hint, Exit.USAGE)


def system(code: str, message: str, hint: str = "") -> CliError:
    return CliError(code, message, hint, Exit.SYSTEM)


def site(code: str, message: str, hint: str = "") -> CliError:
    return CliError(code, message, hint, Exit.SITE)


def missing_packages(what: str, package: str, extra: str = "baseline") -> CliError:
    """The extra with the heavy packages is not installed in this environment."""
    return system(
        "PACKAGE_MISSING",
        f"{what} needs the package {package}, which this environment does not have.",
        f"Install paretoboard with the extra {extra}, in an environment of its own: "
        "llmcompressor and vLLM do not share one.",
    )
