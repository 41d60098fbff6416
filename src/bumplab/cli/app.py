"""The command line: ``python -m bumplab --help``.

Commands import what they need when they run, so that help is there at once.
"""

from __future__ import annotations

import re
import sys

import click

import bumplab
from bumplab.chapters.execution import ChapterFailed
from bumplab.cli.chapters import rerun
from bumplab.cli.doctor import doctor
from bumplab.cli.runs import runs_group
from bumplab.cli.sweep import sweep
from bumplab.cli.train import train
from bumplab.common.errors import BumplabError, shorten
from bumplab.common.exits import FAILED, exit_code


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(bumplab.__version__, prog_name="bumplab")
def main() -> None:
    """Train, look up and verify runs of the book, and re-run its chapters with other parameters."""


for command in (train, runs_group, rerun, sweep, doctor):
    main.add_command(command)


def run() -> None:
    """Run the command line; a mistake of the user's is one sentence and exit code 2, an interruption 130."""
    sys.exit(exit_code(_command))


def _command() -> int:
    """Run a command, and see to what Click makes of errors."""
    try:
        return main(standalone_mode=False) or 0
    except click.Abort as error:
        # Click wraps every KeyboardInterrupt in an Abort, also that of a training which has something to say.
        raise (error.__cause__ if isinstance(error.__cause__, BumplabError) else KeyboardInterrupt) from None
    except ChapterFailed as error:
        click.echo(f"Error: {error}", err=True)
        return FAILED
    except click.ClickException as error:
        message = re.sub(r"\S{81,}", lambda word: shorten(word[0], 80), error.format_message())  # click repeats all
        click.UsageError(shorten(message, 300), ctx=getattr(error, "ctx", None)).show()
        sys.exit(error.exit_code)
