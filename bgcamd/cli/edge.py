"""The command line's edge: where errors become lines on stderr and exit codes, for ``bgcam`` and ``bgcamd``."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import click

from bgcamd.errors import BgcamError

INTERRUPTED = 130
"""What a shell expects of a program that Ctrl-C ended."""
PIPE_CLOSED = 1
"""What click, too, returns when the reader went away (``bgcam watch | head``)."""


def exit_code(action: Callable[[], object]) -> int:
    """Run ``action`` and return the exit code: its own int, 0, or what its error says.

    A ``BgcamError`` is told as "Error: ..." and "Hint: ..."; Ctrl-C and a closed pipe are quiet; what is unknown
    passes through, with its traceback.
    """
    try:
        code = action()
        sys.stdout.flush()
    except BgcamError as error:
        tell(error)
        return error.exit_code
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except (click.Abort, KeyboardInterrupt):
        return INTERRUPTED
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # else Python complains when it flushes at exit
        return PIPE_CLOSED
    return code if isinstance(code, int) else 0


def tell(error: BgcamError) -> None:
    """Write what failed, and what to do about it, on stderr."""
    click.echo(f"Error: {error.message}", err=True)
    if error.hint:
        click.echo(f"Hint: {error.hint}", err=True)


class Edge(click.Command):
    """A click command whose ``main`` ends as ``exit_code`` says; for what a program starts with.

    Commands below it only raise; an int that a command returns is the exit code.
    """

    def main(
        self,
        args: Sequence[str] | None = None,
        prog_name: str | None = None,
        complete_var: str | None = None,
        standalone_mode: bool = True,
        **extra: Any,
    ) -> Any:
        """Parse the arguments and run, as ``click.Command.main``; always ends in SystemExit if standalone."""
        run = partial(super().main, args, prog_name, complete_var, standalone_mode=False, **extra)
        if not standalone_mode:
            return run()
        sys.exit(exit_code(run))
