"""Carry pictures through standard input and output; files are none of its business."""

import os
import sys
from contextlib import suppress
from pathlib import Path

from sfumato.apps.cli_inputs import STREAM
from sfumato.errors import InputError, OutputError


def read_source(source: Path) -> Path | bytes:
    """Return the path, or all of standard input up to one byte more than the decoder takes.

    Raises:
        InputError: standard input is a terminal.
    """
    from sfumato.io import Limits

    if source != STREAM:
        return source
    if sys.stdin.isatty():
        raise InputError("standard input is a terminal, not a picture; name a file or use a pipe")
    return sys.stdin.buffer.read(Limits().bytes + 1)


def write_stream(encoded: bytes) -> None:
    """Write an encoded picture to standard output, all of it."""
    sys.stdout.buffer.write(encoded)
    sys.stdout.buffer.flush()


def refuse_terminal(target: Path) -> None:
    """Raise if a picture would be written to a terminal.

    Raises:
        OutputError: it would.
    """
    if target == STREAM and sys.stdout.isatty():
        raise OutputError("a picture is not written to a terminal; use -o FILE or a pipe")


def silence_output() -> None:
    """Send what is still buffered for standard output nowhere, once its reader or its disk is gone."""
    with suppress(OSError):
        number = (
            sys.stdout.fileno()
        )  # fails where standard output is no file of the system's, as in a notebook
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, number)
        os.close(nowhere)


def explain_os_error(error: OSError) -> str:
    """Return what the system said and about which file, in one line.

    >>> explain_os_error(OSError(28, "No space left on device", "out.png"))
    'out.png: no space left on device'
    """
    reason = (error.strerror or str(error)).lower()
    return f"{error.filename}: {reason}" if error.filename else reason
