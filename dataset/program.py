"""What the programs beside main.py share: one sentence and exit code 2 for bad input, a traceback for our faults."""

import os
import sys
from collections.abc import Callable

from dataset import faults

BAD_INPUT, INTERRUPTED = 2, 130  # exit codes
EXPECTED = (ValueError, OSError, LookupError, MemoryError)


def answer(action: Callable[[], int | None]) -> int:
    """The exit code of a program that is `action`: its own (None: 0), or that of an error, told on stderr."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")  # a name may hold letters that the terminal does not know
    try:
        return action() or 0
    except KeyboardInterrupt:
        print("\nInterrupted. What was finished is kept; the same command continues.", file=sys.stderr)
        return INTERRUPTED
    except Exception as error:
        return _told(error)


def _told(error: Exception) -> int:
    message = str(error.args[0]) if isinstance(error, KeyError) and error.args else str(error)
    if isinstance(error, OSError) and error.strerror:
        message = f"{error.filename or ''}: {error.strerror}".removeprefix(": ")
    stated = getattr(error, "exit_code", 0)  # of an error that says itself what is wrong and how to mend it
    if os.environ.get(faults.DEBUG) or not (stated or isinstance(error, EXPECTED)) or " " not in message:
        faults.show_always(error)
        print(f"Versions: {faults.versions()}. The versions that were tested: {faults.remedy()}", file=sys.stderr)
        return stated or 1
    print(f"Error: {message}", file=sys.stderr)
    return stated or BAD_INPUT
