"""docs/cli.md says what --help says, and every command's help has an example that can be typed."""

import re
import shlex

import pytest

from tools.cli_reference import PAGE, contexts, reference

COMMANDS = {context.command_path: context for context in contexts()}


def examples(name: str) -> list[str]:
    """Command lines of the help's "Example:" or "Examples:" block; a line that ends in a backslash goes on."""
    text = re.sub(r" *\\\n *", " ", COMMANDS[name].get_help())
    block = re.split(r"^ *Examples?:$", text, maxsplit=1, flags=re.MULTILINE)[1:]
    return [line.strip() for line in "".join(block).splitlines() if line.strip().startswith("edgecnn ")]


def test_the_page_is_current() -> None:
    assert PAGE.is_file(), "type: make reference"
    assert PAGE.read_text(encoding="utf-8") == reference(), "type: make reference"


def test_the_page_has_a_section_for_every_command() -> None:
    assert {"edgecnn", "edgecnn convert", "edgecnn predict"} <= COMMANDS.keys()
    assert re.findall(r"^## (.*)$", reference(), flags=re.MULTILINE) == list(COMMANDS)


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_shows_an_example(name: str) -> None:
    assert any(f"{line} ".startswith(f"{name} ") for line in examples(name))


@pytest.mark.parametrize("name", COMMANDS)
def test_examples_use_options_that_exist(name: str) -> None:
    for line in examples(name):
        command = COMMANDS[max((other for other in COMMANDS if line.startswith(other)), key=len)]
        known = {spelling for parameter in command.command.get_params(command) for spelling in parameter.opts}
        used = {word.partition("=")[0] for word in shlex.split(line) if re.match(r"--?[a-z]", word)}
        assert used <= known, line
