"""Writes docs/cli.md, the reference of the command line, from the commands' own --help: `make reference`."""

import sys
from collections.abc import Iterator
from pathlib import Path

import click

from edgecnn.cli.main import cli

WIDTH = 100  # of the help texts, so that the page does not depend on a terminal
PAGE = Path(__file__).parents[1] / "docs" / "cli.md"
HEAD = """\
# The command line

<!-- Written by `make reference` from the commands' --help; change the help texts, not this page. -->
"""


def contexts(
    command: click.Command = cli, name: str = "edgecnn", parent: click.Context | None = None
) -> Iterator[click.Context]:
    """The context in which each command prints its help: the program's own, then every command's below it."""
    settings = {**command.context_settings, "terminal_width": WIDTH, "max_content_width": WIDTH}
    context = click.Context(command, info_name=name, parent=parent, **settings)
    yield context
    if isinstance(command, click.Group):
        for child in command.list_commands(context):
            found = command.get_command(context, child)
            if found is None:
                raise LookupError(f"{context.command_path} lists {child!r} but has no such command")
            if not found.hidden:
                yield from contexts(found, child, context)


def reference() -> str:
    """The whole page as Markdown: a contents list, then one section a command."""
    helps = {context.command_path: context.get_help() for context in contexts()}
    contents = [f"- [`{name}`](#{name.replace(' ', '-')})" for name in helps]
    sections = [f"## {name}\n\n```text\n{text}\n```" for name, text in helps.items()]
    return "\n\n".join([HEAD.rstrip(), "\n".join(contents), *sections]) + "\n"


def main() -> None:
    """Write the page."""
    PAGE.parent.mkdir(exist_ok=True)
    PAGE.write_text(reference(), encoding="utf-8")
    sys.stdout.write(f"wrote {PAGE}\n")


if __name__ == "__main__":
    main()
