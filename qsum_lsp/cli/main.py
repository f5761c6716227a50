"""The entry point: runs a command, and turns every error into one message and an exit code."""

import errno
import logging
import os
import sys
from io import TextIOWrapper

import click

from qsum_lsp.cli.root import Caller, root
from qsum_lsp.errors import FileError, QsumError
from qsum_lsp.logs import log_file, log_to_file

INTERRUPTED = 130
INTERNAL_ERROR = 70  # EX_SOFTWARE of sysexits.h


def main() -> None:
    """Run ``qsum``."""
    sys.exit(run(None))


def run(arguments: list[str] | None, *, is_hook: bool = False) -> int:
    """Run ``qsum`` with ``arguments``; the exit code. Hooks are given the pages that a folder would stand for.

    None stands for the process's own arguments, in which click replaces patterns like ``*.md`` where no shell does:
    on Windows.
    """
    log_to_file()
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):  # JSON is UTF-8 wherever it goes, also where the console is not
            stream.reconfigure(encoding="utf-8", errors="backslashreplace")
    colour = False if os.environ.get("NO_COLOR") else None  # click looks for a terminal, but not for this
    try:
        result = root.main(
            arguments, prog_name="qsum", standalone_mode=False, obj=Caller(is_hook=is_hook), color=colour
        )
    except click.exceptions.Abort:  # click's word for Ctrl-C
        click.echo("qsum: interrupted; what was finished is kept.", err=True)
        return INTERRUPTED
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except QsumError as error:
        click.echo(f"qsum: {error}", err=True)
        return error.exit_code
    except BrokenPipeError:
        from qsum_lsp.cli.terminal import leave_stdout

        leave_stdout()
        return 0
    except Exception as error:
        return _say_unexpected(error, (arguments or sys.argv[1:])[:1])
    return result if isinstance(result, int) else 0


def _say_unexpected(error: Exception, command: list[str]) -> int:
    if isinstance(error, OSError) and error.errno == errno.ENOSPC:
        from qsum_lsp.cli.terminal import leave_stdout

        leave_stdout()
        click.echo(f"qsum: {error.strerror}; what was finished is kept.", err=True)
        return FileError.exit_code
    logging.getLogger(__name__).error("internal error in: qsum %s", command, exc_info=error)
    click.echo(f"qsum: internal error; this is a bug. The details are in {log_file()}.", err=True)
    return INTERNAL_ERROR
