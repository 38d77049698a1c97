"""Shell completion, made by click."""

import click
from click.shell_completion import get_completion_class


@click.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def completion(ctx: click.Context, shell: str) -> None:
    """Print the completion script for SHELL.

    \b
    Example:
      trustreg completion bash > ~/.local/share/bash-completion/completions/trustreg
    """
    made = get_completion_class(shell)
    root = ctx.find_root().command
    if made is None:
        raise click.UsageError(f"there is no completion for {shell}")
    click.echo(made(root, {}, "trustreg", "_TRUSTREG_COMPLETE").source())
