"""Measures and prints ratios: `make bench`, or `.venv/bin/python benchmarks/run.py --only noop --rounds 3`."""

import compileall
import signal
import sys
from collections.abc import Callable
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from benchmarks import fanout, micro, noop, up
from benchmarks.bed import made_bed
from benchmarks.contest import Contest, Outcome, measure
from benchmarks.peers import Peers
from benchmarks.reading import record
from benchmarks.report import as_json, show, surroundings
from kbootstrap import errors
from kbootstrap.cli.failures import show_failure
from kbootstrap.errors import KbootstrapError
from kbootstrap.workflows.access import opened

INTERRUPTED = 130
PACKAGE = Path(errors.__file__).parent


class Name(StrEnum):
    """What can be measured."""

    NOOP = "noop"
    MICRO = "micro"
    FANOUT = "fanout"
    UP = "up"


ROUNDS = {Name.NOOP: 5, Name.MICRO: 7, Name.FANOUT: 5, Name.UP: 3}
"""Unless told otherwise: enough for a median and a span; the more, the shorter a round is."""

Measure = Callable[[Name, Contest], Outcome]
Say = Callable[[str], None]


def main(
    only: Annotated[list[Name] | None, typer.Option(help="Measure only this (may be given again).")] = None,
    rounds: Annotated[int | None, typer.Option(min=1, help="Rounds of each; otherwise as many as it is worth.")] = None,
    json_: Annotated[Path | None, typer.Option("--json", help="Also write every value to this file.")] = None,
) -> None:
    """Measures kbootstrap against the same work done by other means. Needs root; its test hosts are removed again."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    progress = Console(stderr=True)

    def say(line: str) -> None:
        progress.print(line, style="dim", highlight=False)

    def measured(name: Name, contest: Contest) -> Outcome:
        return measure(contest, rounds or ROUNDS[name], say)

    # As an installation has it: a checkout may be newer than what was compiled of it.
    compileall.compile_dir(PACKAGE, quiet=1)
    around = surroundings()
    outcomes = _outcomes(set(only or Name), measured, say)
    show(around, outcomes, Console())
    if json_ is not None:
        json_.write_text(as_json(around, outcomes) + "\n", encoding="utf-8")


def _outcomes(names: set[Name], measured: Measure, say: Say) -> list[Outcome]:
    """Lab after lab, so that only one is up at a time."""
    outcomes = []
    if names & {Name.NOOP, Name.MICRO}:
        say("five hosts with a running cluster: a few minutes")
        outcomes += _on_a_cluster(names, measured)
    if Name.FANOUT in names:
        say(f"{fanout.HOSTS} bare hosts")
        with made_bed("bench-fan", "198.18.61.0/24", workers=fanout.HOSTS - 3) as bed:
            outcomes.append(measured(Name.FANOUT, fanout.contest(bed)))
    if Name.UP in names:
        say("five bare hosts, new ones for every run")
        with made_bed("bench-up", "198.18.62.0/24") as bed:
            outcomes.append(measured(Name.UP, up.contest(bed)))
    return outcomes


def _on_a_cluster(names: set[Name], measured: Measure) -> list[Outcome]:
    outcomes = []
    with made_bed("bench-five", "198.18.60.0/24") as bed:
        bed.kbootstrap("up")
        cluster, peers = bed.cluster, Peers(bed)
        with opened(cluster) as connections:
            if Name.NOOP in names:
                peers.prepare(connections)
            exchanges = record(cluster, connections)
        if Name.NOOP in names:
            outcomes.append(measured(Name.NOOP, noop.contest(bed, peers, exchanges)))
        if Name.MICRO in names:
            with micro.contests(bed, exchanges) as contests:
                outcomes += [measured(Name.MICRO, contest) for contest in contests]
    return outcomes


def run() -> int:
    """The exit code; a failure that is expected is a message."""
    try:
        typer.run(main)
    except KbootstrapError as error:
        show_failure(error, Console(stderr=True))
        return error.exit_code
    except KeyboardInterrupt:
        Console(stderr=True).print("stopped; the test hosts are removed")
        return INTERRUPTED
    return 0


if __name__ == "__main__":
    sys.exit(run())
