"""Registers the commands. Neither this module nor the command modules import anything slow, to keep help
fast."""

from __future__ import annotations

import os
import sys

import typer

from baseline import __version__
from baseline.checkpoint.safe_write import terminate_as_interrupt
from baseline.commands import (
    board,
    check,
    compress,
    history,
    inspect,
    login,
    measure,
    package,
    recipes,
    sample,
    status,
    submit,
    trycontest,
)
from baseline.terminal.errors import CliError, Exit
from baseline.terminal.output import err, json_wanted, show_error, use_json

EPILOG = (
    "Exit codes: 0 done · 1 the checkpoint has a problem or was rejected · 2 wrong usage · "
    "3 network or site · 4 this machine. Every command takes --json.\n\n"
    "Language: help, table headings, progress and errors of this program are in English. With --lang ko, or in "
    "a Korean locale, problem texts and their hints, recipe descriptions and the site's messages are in Korean."
)

app = typer.Typer(
    name="baseline",
    help="Compress a model, check it with the grader's own rules, submit it.",
    epilog=EPILOG,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(wanted: bool) -> None:
    if wanted:
        print(f"baseline {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: bool = typer.Option(False, "--version", callback=_version, is_eager=True),
) -> None:
    pass


app.command("recipes")(recipes.command)
app.command("compress")(compress.command)
app.command("inspect")(inspect.command)
app.command("check")(check.command)
app.command("measure")(measure.command)
app.command("history")(history.command)
app.command("sample")(sample.command)
app.command("trycontest")(trycontest.command)
app.command("package")(package.command)
app.command("login")(login.command)
app.command("logout")(login.logout)
app.command("submit")(submit.command)
app.command("status")(status.command)
app.command("board")(board.command)


def main() -> None:
    sys.exit(run(sys.argv[1:]))


def run(arguments: list[str]) -> int:
    """Run one command line and return its exit code. Expected failures never show a traceback."""
    use_json("--json" in arguments)
    try:
        with terminate_as_interrupt():
            code = app(arguments, standalone_mode=False, prog_name="baseline")
        if code == Exit.INTERRUPTED:  # typer has turned Ctrl-C into an exit code
            raise KeyboardInterrupt
        return int(code or Exit.OK)
    except CliError as error:
        show_error(error)
        return int(error.exit_code)
    except (KeyboardInterrupt, typer.Abort):
        said = "Interrupted; nothing half-done was left behind."
        err().print(said)
        if json_wanted():
            show_error(CliError("INTERRUPTED", said, "", Exit.INTERRUPTED))
        return int(Exit.INTERRUPTED)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return int(Exit.OK)
    except OSError as error:
        if _debugging():
            raise
        show_error(CliError("SYSTEM_ERROR", f"{error}.", "", Exit.SYSTEM))
        return int(Exit.SYSTEM)
    except Exception as error:
        return _other(error)


def _other(error: Exception) -> int:
    """Handle typer's own usage errors, and defects."""
    exit_code = getattr(error, "exit_code", None)
    if hasattr(error, "format_message") and exit_code is not None:
        message = error.format_message()
        show_error(CliError("USAGE", message, "baseline COMMAND --help shows every option."))
        return int(Exit.USAGE)
    if _debugging():
        raise error
    text = str(error).strip().splitlines()
    show_error(
        CliError(
            "DEFECT",
            f"{type(error).__name__}: {text[0] if text else ''}",
            "This should not happen; please report it with the output of BASELINE_DEBUG=1.",
            Exit.SYSTEM,
        )
    )
    return int(Exit.SYSTEM)


def _debugging() -> bool:
    return bool(os.environ.get("BASELINE_DEBUG"))
