"""The entry point: puts the commands together, and turns failures into messages and exit codes."""

import gc
import importlib
import sys
from collections.abc import Mapping
from typing import Annotated

import typer
from rich.console import Console

import kbootstrap
from kbootstrap.cli.failures import failure_as_json, show_failure
from kbootstrap.errors import KbootstrapError

MODULES: Mapping[str, tuple[str, ...]] = {
    "inventory": ("init", "validate", "schema", "inventory"),
    "preflight": ("preflight",),
    "up": ("plan", "up"),
    "upgrade": ("upgrade",),
    "reboot": ("reboot",),
    "status": ("status",),
    "verify": ("verify",),
    "backup": ("backup",),
    "kubeconfig": ("kubeconfig",),
    "history": ("history", "unlock"),
    "restore": ("restore",),
    "drill": ("drill",),
    "reset": ("reset",),
    "playbook": ("playbook",),
    "artifacts": ("artifacts",),
    "lab": ("lab",),
}
"""The modules of this package and the commands that each registers, in the order of the help."""

COLLECT_AFTER = 50_000
"""New objects before Python looks for garbage among them: at first most of them are classes, which stay."""

INTERRUPTED = 130
USAGE = 64
"""EX_USAGE of sysexits.h; 2 would mean "there are changes" to who calls `plan`."""


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"kbootstrap {kbootstrap.__version__}")
        raise typer.Exit


def build_app(wanted: str = "") -> typer.Typer:
    """The command line: with all commands, or with those of the module that has the wanted one, which is quicker."""
    app = typer.Typer(
        name="kbootstrap",
        help="A highly available Kubernetes from bare Linux hosts, over SSH; and then its operation.",
        no_args_is_help=True,
        pretty_exceptions_enable=False,
        rich_markup_mode="rich",
        context_settings={"help_option_names": ["-h", "--help"]},
    )

    @app.callback()
    def root(
        version: Annotated[
            bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
        ] = False,
    ) -> None:
        pass

    modules = [name for name, commands in MODULES.items() if wanted in commands]
    for name in modules or MODULES:
        importlib.import_module(f"kbootstrap.cli.{name}").register(app)
    return app


def main() -> None:
    """Runs the command line and exits with the code of its outcome."""
    gc.set_threshold(COLLECT_AFTER)
    code = run(sys.argv[1:])
    # What is left goes with the process: otherwise Python would look through all of it, for a tenth of a second.
    gc.freeze()
    sys.exit(code)


def run(arguments: list[str]) -> int:
    """Runs one command line and returns its exit code. A failure that is expected is never a traceback."""
    try:
        outcome = build_app(*arguments[:1])(arguments, standalone_mode=False)
    except KbootstrapError as error:
        if "--json" in arguments:
            typer.echo(failure_as_json(error))
        else:
            show_failure(error, Console(stderr=True))
        return error.exit_code
    except (KeyboardInterrupt, typer.Abort):
        outcome = INTERRUPTED
    except typer.Exit as exit_:
        outcome = exit_.exit_code
    except BrokenPipeError:
        sys.stderr.close()
        return 1
    except Exception as error:
        if hasattr(error, "show") and hasattr(error, "exit_code"):  # click's usage errors
            error.show()
            return USAGE
        raise
    if outcome == INTERRUPTED:
        Console(stderr=True).print("stopped; run the same command again to go on from here", highlight=False)
    return outcome if isinstance(outcome, int) else 0


if __name__ == "__main__":
    main()
