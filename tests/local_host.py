"""This machine's own shell in a host's place: what steps and facts produce is really run."""

import getpass
import grp
import os
import subprocess
from collections.abc import Callable
from shlex import quote
from typing import Any

from kbootstrap.facts.fact import Fact, Facts, grouped, parse_batch
from kbootstrap.facts.fact import batch_script as script_of
from kbootstrap.steps.step import Change, Step
from kbootstrap.transport.connection import COMMAND_TIMEOUT, Result
from tests.fakes import FakeConnection

BOUNDARY = "0123456789abcdef"
USER = getpass.getuser()
GROUP = grp.getgrgid(os.getgid()).gr_name


def shell(script: str, *options: str) -> Result:
    """Runs a script the way a host does."""
    done = subprocess.run(["sh", *options], input=script.encode(), capture_output=True, timeout=60, check=False)
    return Result("here", "sh", done.returncode, done.stdout, done.stderr, 0.0)


def api_says(answer: str) -> str:
    """Shell for a script that asks the API with curl (facts/api.py): there is a kubeconfig, and it answers so."""
    return f"""\
sed() {{ echo aG9zdA==; }}
timeout() {{ shift; "$@"; }}
curl() {{ printf '%s\\n' {quote(answer)}; }}
"""


def read_here(*facts: Fact[Any]) -> Facts:
    """Reads facts from this machine by the same script that a host gets."""
    groups = grouped(facts)
    return Facts(parse_batch(groups, BOUNDARY, shell(script_of(groups, BOUNDARY))))


def due(step: Step) -> Change | None:
    """The change that a step wants here, now."""
    return step.diff(read_here(*step.needs()), frozenset())


def make(step: Step, prelude: str = "", *, expect: Callable[[Result], bool] = lambda result: result.ok) -> Change:
    """Makes the change that a step wants."""
    change = due(step)
    assert change is not None
    result = shell(prelude + change.script, "-eu")
    assert expect(result), result.errors
    return change


class LocalConnection(FakeConnection):
    """A host whose scripts run in this machine's shell."""

    def run_script(
        self,
        script: str,
        *,
        timeout: float = COMMAND_TIMEOUT,
        on_line: Callable[[str], None] | None = None,
    ) -> Result:
        result = shell(script)
        if on_line is not None:
            for line in result.text.splitlines():
                on_line(line)
        return result
