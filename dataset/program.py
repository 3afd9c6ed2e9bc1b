"""What programs share: their exit codes, one sentence for bad input, a traceback for our faults."""

import errno
import os
import sys
from collections.abc import Callable

from dataset import faults

BAD_INPUT, INTERRUPTED = 2, 130  # exit codes; main.py, where 2 is wrong usage alone, has 1 for bad input
INCOMPLETE = 3  # exit code: recordings failed, or have no reliable answer
EXPECTED = (ValueError, OSError, LookupError, MemoryError)


def answer(
    action: Callable[[], int | None], expected: tuple[type[Exception], ...] = EXPECTED, code: int = BAD_INPUT
) -> int:
    """The exit code of a program that is `action`: its own (None: 0), or that of an error, told as by `tell`."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")  # a name may hold letters that the terminal does not know
    try:
        return action() or 0
    except KeyboardInterrupt:
        print("\nInterrupted. What was finished is kept; the same command continues.", file=sys.stderr)
        return INTERRUPTED
    except Exception as error:
        return tell(error, expected, code)


def answer_of_whole(action: Callable[[], int | None]) -> int:
    """As `answer`, for programs that need every recording: those that cannot be read are bad input, too."""
    code = answer(action)
    return BAD_INPUT if code == INCOMPLETE else code


def tell(error: Exception, expected: tuple[type[Exception], ...], code: int) -> int:
    """Print `error` on stderr: a sentence, or its traceback where it is none of the `expected`. Returns the exit code.

    `code` is that of an expected error which does not state its own.
    """
    message = str(error.args[0]) if isinstance(error, KeyError) and error.args else str(error)
    if isinstance(error, OSError) and error.strerror:
        message = f"{error.filename or ''}: {error.strerror}".removeprefix(": ") + _full_disk(error)
    stated = getattr(error, "exit_code", 0)  # of an error that says itself what is wrong and how to mend it
    if os.environ.get(faults.DEBUG) or not (stated or isinstance(error, expected)) or " " not in message:
        faults.show_always(error)
        print(f"Versions: {faults.versions()}. The versions that were tested: {faults.remedy()}", file=sys.stderr)
        return stated or 1
    print(f"Error: {message}", file=sys.stderr)
    return stated or code


def _full_disk(error: OSError) -> str:
    """What is safe and how to go on when the disk is full; "" for another error."""
    if error.errno not in (errno.ENOSPC, errno.EDQUOT):
        return ""
    return (
        ". The disk is full. What was finished before is whole: preprocessed recordings, checkpoints, the last saved "
        "state and older reports. Make room, or name a folder on another disk (of main.py: LOG.PATH and CACHED_PATH); "
        "the same command then continues."
    )
