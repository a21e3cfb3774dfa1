"""The program: finds commands, turns errors into one line and an exit code."""

import io
import os
import sys
import traceback
from importlib import import_module
from typing import Any

import click

from edgecnn import __version__
from edgecnn.errors import EdgecnnError

# Commands in the order a user meets them, each in the module of its name.
COMMANDS = (
    "demo", "train", "convert", "sensitivity", "evaluate", "compare", "explain", "robustness", "benchmark", "predict",
    "camera", "report", "inspect", "doctor",
)  # fmt: skip


class LazyGroup(click.Group):
    """A group whose commands are imported when they are asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Command names in the order of COMMANDS."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import `edgecnn.cli.<name>` and take its `command`."""
        if cmd_name not in COMMANDS:
            return None
        command = import_module(f"edgecnn.cli.{cmd_name}").command
        assert isinstance(command, click.Command)
        return command

    def invoke(self, ctx: click.Context) -> Any:
        """Run a command; what a user can cause becomes `Error: …` and exit code 1."""
        try:
            return super().invoke(ctx)
        except BrokenPipeError:  # whoever read our output has seen enough, as in `… | head`; click ends quietly
            raise
        except (EdgecnnError, ImportError, MemoryError, OSError) as exc:
            if sys.stderr.isatty():
                click.echo("\r\x1b[K", err=True, nl=False)  # a progress bar may stand there
            if ctx.params.get("debug"):
                traceback.print_exc()
            message = " ".join(str(exc).split()) or type(exc).__name__
            advice = "; type: edgecnn doctor" if isinstance(exc, ImportError) else ""
            raise click.ClickException(message + advice) from exc


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="edgecnn")
@click.option("--debug", is_flag=True, help="Show tracebacks and what native libraries print.")
def cli(debug: bool) -> None:
    """Take a Keras image classifier to a low-power device.

    \b
    Examples:
      edgecnn demo
      edgecnn convert model.keras -o model.tflite --data photos/
      edgecnn predict model.tflite picture.jpg
    """


def main() -> None:
    """Entry point of the `edgecnn` command."""
    if "--debug" not in sys.argv:
        _silence_native_libraries()
    # Read by TensorFlow and Keras when they are imported, if they are.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    if not {"train", "convert"} & set(sys.argv[1:3]):  # which choose the engine and its kernels themselves
        os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")
        os.environ.setdefault("KERAS_BACKEND", "tensorflow")
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # file names may be no valid text
    cli(prog_name="edgecnn")


def _silence_native_libraries() -> None:
    """Python's stderr keeps the terminal; what C++ libraries write to descriptor 2 goes nowhere.

    They announce delegates and CPU features there, in the middle of our own lines.
    """
    try:
        terminal = os.dup(2)
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, 2)
        os.close(nowhere)
    except OSError:  # no descriptor 2 to speak of, such as under a service manager
        return
    sys.stderr = os.fdopen(terminal, "w", buffering=1, encoding=sys.stderr.encoding, errors="backslashreplace")
