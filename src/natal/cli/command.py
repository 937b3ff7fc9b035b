"""The command itself: what it consists of, and how mistakes end."""

import os
import sys
from typing import Any

import click

import natal
from natal.cli.answers import answer, predict
from natal.cli.campaigns import init, run, status
from natal.cli.checks import check, provenance
from natal.cli.populations import population
from natal.cli.sharing import export, load
from natal.errors import NatalError


class OneLine(click.Group):
    """A group whose mistakes are one line, without usage text or traceback."""

    def main(self, *args: Any, **more: Any) -> Any:
        """Run, and end the process with an exit code.

        Args:
            args: As of click.
            more: As of click.
        """
        try:
            code = super().main(*args, **more | {"standalone_mode": False})
            sys.stdout.flush()
        except click.exceptions.NoArgsIsHelpError as error:
            # the message is the help text
            click.echo(error.format_message())
            code = error.exit_code
        except click.ClickException as error:
            where = (
                f" (try {error.ctx.command_path} --help)" if isinstance(error, click.UsageError) and error.ctx else ""
            )
            click.echo(f"natal: {' '.join(error.format_message().split())}{where}", err=True)
            code = error.exit_code
        except NatalError as error:
            click.echo(f"natal: {error}", err=True)
            code = 1
        except BrokenPipeError:
            # the reader of the pipe has seen enough; Python would complain once more at its end
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            code = 1
        except OSError as error:
            click.echo(f"natal: {' '.join(str(error).split())}", err=True)
            code = 1
        except (KeyboardInterrupt, click.Abort):
            click.echo("natal: interrupted", err=True)
            code = 130
        sys.exit(code if isinstance(code, int) else 0)


EPILOG = """\b
From nothing to an answer:    natal answer clusters.csv
A campaign of one's own:      natal init mine && cd mine && natal run
Completion in bash (zsh and fish alike):
  eval "$(_NATAL_COMPLETE=bash_source natal)"

Exit codes: 0 all is well, 1 a mistake in what was given, 2 a mistake in the command line; `natal run`: snakemake's."""


@click.group(cls=OneLine, epilog=EPILOG, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(natal.__version__, prog_name="natal")
def main() -> None:
    """Recover the birth conditions of star clusters: the virial ratio Q0 = K/|W| and the Plummer scale radius a.

    `natal answer` needs a table of observed clusters and nothing else: a trained campaign comes with natal. Simulations
    and networks of one's own are made by Snakemake, which `natal run` calls.
    """


for command in (answer, population, predict, init, run, status, provenance, check, export, load):
    main.add_command(command)
