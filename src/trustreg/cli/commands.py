"""The commands, each imported when it is called: a look-up does not pay for key generation."""

from importlib import import_module

import click

from trustreg._version import __version__


class Lazy(click.Group):
    """A group whose commands live in modules of their own."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names in the order of the table."""
        del ctx
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import the command *cmd_name*."""
        del ctx
        if cmd_name not in _COMMANDS:
            return None
        module = import_module(f"trustreg.cli.{_COMMANDS[cmd_name]}")
        name = "list_" if cmd_name == "list" else cmd_name.replace("-", "_")
        command: click.Command = getattr(module, name)
        return command


@click.group(cls=Lazy, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="trustreg", message="%(prog)s %(version)s")
def cli() -> None:
    """Content trust for container registries: sign tags, verify them, refuse what moved.

    \b
    Exit codes: 0 verified or done, 1 refused, 2 usage, 3 could not find out.

    \b
    A first collection, from nothing:
      trustreg init registry.example/team/app
      trustreg sign registry.example/team/app:1.0
      trustreg verify registry.example/team/app:1.0

    \b
    One without a server, in the registry itself, in a bucket or in a folder:
      trustreg init --store oci: registry.example/team/app
      trustreg init --store s3://trust/tools
      trustreg init --store dir:/srv/trust
    """


_COMMANDS = {
    "verify": "verify",
    "list": "read",
    "inspect": "read",
    "init": "write",
    "sign": "sign",
    "publish": "write",
    "remove": "write",
    "add": "files",
    "fetch": "files",
    "check": "files",
    "status": "upkeep",
    "unstage": "upkeep",
    "role": "role",
    "delegation": "delegation",
    "signer": "delegation",
    "witness": "delegation",
    "ceremony": "ceremony",
    "renew": "upkeep",
    "prune": "upkeep",
    "lint": "upkeep",
    "forget": "write",
    "delete": "delegation",
    "doctor": "doctor",
    "signatures": "signatures",
    "inventory": "inventory",
    "archive": "archive",
    "mirror": "mirror",
    "policy": "policy",
    "admission": "admission",
    "convert": "convert",
    "check-conversion": "convert",
    "key": "key",
    "config": "config",
    "serve": "serve",
    "completion": "completion",
}
