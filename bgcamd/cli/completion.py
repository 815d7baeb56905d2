"""``bgcam completion``: the shell's own script, made by click."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class


@click.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def completion(context: click.Context, shell: str) -> None:
    """Print a script that completes bgcam's commands and options in SHELL.

    \b
    bash:  bgcam completion bash > ~/.local/share/bash-completion/completions/bgcam
    zsh:   bgcam completion zsh > a file named _bgcam in a folder of $fpath
    fish:  bgcam completion fish > ~/.config/fish/completions/bgcam.fish
    """
    kind = get_completion_class(shell)
    assert kind is not None, shell  # noqa: S101 - click has all three
    click.echo(kind(context.find_root().command, {}, "bgcam", "_BGCAM_COMPLETE").source())
