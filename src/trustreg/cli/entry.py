"""Where the command begins and ends: exit codes, and errors as people read them."""

import gc
import os
import sys
import warnings
from typing import NoReturn

EXIT_REFUSED, EXIT_USAGE, EXIT_UNKNOWN = 1, 2, 3


def main() -> NoReturn:
    """Run the command line. 0: yes, 1: refused, 2: usage, 3: could not find out."""
    gc.disable()  # a command is over before there is garbage worth looking for
    _import_less()
    code = run(sys.argv[1:])
    if gpg := sys.modules.get("trustreg.io.gpg"):
        gpg.remove_homes()
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError:  # the reader of a pipe has gone
            code = code or EXIT_UNKNOWN
    os._exit(code)  # tearing the interpreter down takes longer than a look-up


def run(arguments: list[str]) -> int:
    """Run the command line *arguments* and return the exit code."""
    from trustreg.cli.commands import cli

    try:
        result = cli.main(arguments, prog_name="trustreg", standalone_mode=False)
    except BaseException as exc:  # noqa: BLE001 # whatever it was, Python's own exit code would be a verdict
        return _explain(exc)
    return result if isinstance(result, int) else 0


def _import_less() -> None:
    """Have ``requests`` do without what guesses the encoding of text: we read bytes, and that takes long to import.

    A program that imports trustreg may want it, so this is for the command's own process only.
    """
    for name in ("chardet", "charset_normalizer"):
        sys.modules[name] = None  # type: ignore[assignment] # Python's way to say that there is none
    warnings.filterwarnings("ignore", "Unable to find acceptable character detection dependency")


def _explain(error: BaseException) -> int:
    """Say what ended the command, and return the exit code for it."""
    import click

    from trustreg.errors import TrustregError

    if isinstance(error, SystemExit):  # click's way out: 0 for completions, 1 where the reader of a pipe has gone
        return EXIT_UNKNOWN if error.code else 0
    if isinstance(error, click.exceptions.Exit):
        return error.exit_code
    if isinstance(error, TrustregError):
        from trustreg.cli.render import complain

        complain(error)
        return exit_code(error)
    if isinstance(error, click.ClickException):
        error.show()
        return EXIT_USAGE
    if isinstance(error, click.Abort | KeyboardInterrupt):
        click.echo("trustreg: interrupted", err=True)
    elif not isinstance(error, BrokenPipeError):
        at = error.__traceback__
        while at and at.tb_next:
            at = at.tb_next
        where = f" ({at.tb_frame.f_code.co_filename}:{at.tb_lineno})" if at else ""
        from trustreg.cli.render import say

        say(f"trustreg: this is a bug in trustreg: {type(error).__name__}: {error}{where}", err=True)
    return EXIT_UNKNOWN


def exit_code(error: Exception) -> int:
    """Return the exit code that tells a script what kind of *error* it was."""
    from trustreg.errors import InputError, UntrustedError

    if isinstance(error, UntrustedError):
        return EXIT_REFUSED
    return EXIT_USAGE if isinstance(error, InputError) else EXIT_UNKNOWN
