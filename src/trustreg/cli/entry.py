"""Where the command begins and ends: exit codes, and errors as people read them."""

import gc
import os
import sys
from typing import NoReturn

EXIT_REFUSED, EXIT_USAGE, EXIT_UNKNOWN = 1, 2, 3


def main() -> NoReturn:
    """Run the command line. 0: yes, 1: refused, 2: usage, 3: could not find out."""
    gc.disable()  # a command is over before there is garbage worth looking for
    code = run(sys.argv[1:])
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError:  # the reader of a pipe has gone
            code = code or EXIT_UNKNOWN
    os._exit(code)  # tearing the interpreter down takes longer than a look-up


def run(arguments: list[str]) -> int:
    """Run the command line *arguments* and return the exit code."""
    import click

    from trustreg.cli.commands import cli
    from trustreg.errors import TrustregError

    try:
        result = cli.main(arguments, prog_name="trustreg", standalone_mode=False)
    except click.exceptions.Exit as exc:
        return exc.exit_code
    except click.Abort:
        click.echo("trustreg: interrupted", err=True)
        return EXIT_UNKNOWN
    except click.ClickException as exc:
        exc.show()
        return EXIT_USAGE
    except TrustregError as exc:
        from trustreg.cli.render import complain

        complain(exc)
        return exit_code(exc)
    except BrokenPipeError:
        return EXIT_UNKNOWN
    except Exception as exc:  # noqa: BLE001 # whatever went wrong, it is no verdict, and Python's own exit code is one
        last = exc.__traceback__
        while last and last.tb_next:
            last = last.tb_next
        at = f"{last.tb_frame.f_code.co_filename}:{last.tb_lineno}" if last else "an unknown place"
        click.echo(f"trustreg: this is a bug in trustreg: {type(exc).__name__}: {exc} (at {at})", err=True)
        return EXIT_UNKNOWN
    return result if isinstance(result, int) else 0


def exit_code(error: Exception) -> int:
    """Return the exit code that tells a script what kind of *error* it was."""
    from trustreg.errors import InputError, UntrustedError

    if isinstance(error, UntrustedError):
        return EXIT_REFUSED
    return EXIT_USAGE if isinstance(error, InputError) else EXIT_UNKNOWN
