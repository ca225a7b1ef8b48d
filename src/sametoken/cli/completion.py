"""`sametoken completion`: the script by which a shell completes commands and options."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class

SHELLS = ("bash", "zsh", "fish")
# Names the variable by which a shell's script asks for what completes a line.
VARIABLE = "_SAMETOKEN_COMPLETE"


@click.command()
@click.argument("shell", type=click.Choice(SHELLS))
@click.pass_context
def completion(ctx: click.Context, shell: str) -> None:
    """Print what completes commands and options in a shell: bash, zsh or fish.

    For bash: source <(sametoken completion bash), in ~/.bashrc.
    """
    found = get_completion_class(shell)
    assert found is not None, "click knows each of the shells"
    root = ctx.find_root().command
    click.echo(found(root, {}, "sametoken", VARIABLE).source())
