"""A test bed: a lab, an inventory of it, and the command line to try on both."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from kbootstrap.lab.inventory import inventory
from kbootstrap.lab.lab import Lab
from kbootstrap.lab.spec import LabSpec

PROGRAM = Path(os.environ.get("KBOOTSTRAP", Path(sys.executable).with_name("kbootstrap")))
"""The command line under test; `KBOOTSTRAP` names another one, such as that of an installed package."""

UP_SECONDS = 600
"""More than any `up` may take; also on a machine that has other work."""

PATIENT = {"timeouts": {"scale": 2}, "kube_apiserver": {"shutdown_delay_seconds": 4}}
"""Machines that run tests have other work too; who waits for something that comes is not held up by it. What is
always waited for is as short as it can be here: every proxy has noticed after 2 s that an apiserver is going to stop.
"""

CHANGES = 2
"""What `plan` ends with when there are some."""

Changes = dict[str, list[str]]
"""The titles of changes, by host."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a command ended."""

    command: str
    code: int
    out: str
    err: str
    seconds: float

    @property
    def text(self) -> str:
        """All that was printed."""
        return f"{self.out}\n{self.err}"

    @property
    def timing(self) -> str:
        """How long it took, and the table of phases if it printed one."""
        _, head, rows = self.out.partition("phase ")
        return f"`{self.command}` took {self.seconds:.1f} s (exit {self.code})\n{head}{rows}".rstrip()

    def expect(self, code: int = 0, *said: str) -> "Outcome":
        """Fails the test with everything printed if the command ended otherwise, or did not say so."""
        missing = [words for words in said if words not in self.text]
        if self.code != code or missing:
            wanted = f"exit {code}" + (f" and {missing}" if missing else "")
            raise AssertionError(f"`{self.command}` ended with {self.code}, wanted {wanted}:\n{self.text}")
        return self


@dataclass(frozen=True, slots=True)
class Bed:
    """A lab with an inventory; `settings` are laid over the inventory that the lab writes.

    `note` takes what is worth a line in the summary at the end, such as the table of phases of every `up`.
    """

    spec: LabSpec
    folder: Path
    settings: Mapping[str, Any] = field(default_factory=dict)
    environment: Mapping[str, str] = field(default_factory=dict)
    note: Callable[[str], None] = lambda _: None

    @property
    def lab(self) -> Lab:
        return Lab(self.spec.name)

    @property
    def inventory(self) -> Path:
        return self.folder / "inventory.yml"

    @property
    def control_planes(self) -> list[str]:
        return [name for name, host in self.spec.hosts.items() if "control-plane" in host.roles]

    @property
    def nodes(self) -> list[str]:
        return [name for name, host in self.spec.hosts.items() if {"control-plane", "worker"} & set(host.roles)]

    def boot(self) -> None:
        """Hosts that answer, and an inventory of them."""
        Lab.up(self.spec)
        self.write({})

    def write(self, more: Mapping[str, Any]) -> None:
        """Write the inventory, with `more` laid over it."""
        wanted = yaml.safe_load(inventory(self.spec))
        for settings in (PATIENT, self.settings, more):
            wanted = _merged(wanted, settings)
        self.inventory.write_text(yaml.safe_dump(wanted))

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        """Start a command on the inventory, and do not wait for it."""
        return subprocess.Popen(
            [str(PROGRAM), *arguments, "--inventory", str(self.inventory)],
            env=self._environment(),
            cwd=self.folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, *arguments: str, timeout: float = UP_SECONDS) -> Outcome:
        """Run a command on the inventory."""
        started = time.monotonic()
        with self.start(*arguments) as process:
            try:
                out, err = process.communicate(timeout=timeout)
            except subprocess.TimeoutExpired as late:
                process.kill()
                out, err = process.communicate()
                raise AssertionError(f"`{' '.join(arguments)}` takes longer than {timeout} s:\n{out}\n{err}") from late
        outcome = Outcome(" ".join(arguments), process.returncode, out, err, time.monotonic() - started)
        if arguments[0] == "up":
            self.note(outcome.timing)
        return outcome

    def plan(self) -> Changes:
        """What `plan` would change."""
        outcome = self.run("plan", "--json")
        assert outcome.code in (0, CHANGES), outcome.text
        found: Changes = {}
        for task in json.loads(outcome.out)["tasks"]:
            found.setdefault(task["host"], []).extend(change["title"] for change in task["changes"])
        assert bool(found) == (outcome.code == CHANGES), outcome.text
        return found

    def ssh(self, host: str, command: str, *, check: bool = True, timeout: float = 60, said: str = "") -> str:
        """Standard output of a command on a host, by OpenSSH; `said` is its standard input."""
        done = subprocess.run(
            ["ssh", "-F", str(self.lab.ssh_config), "-o", "BatchMode=yes", host, command],
            input=said,
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )
        if check and done.returncode != 0:
            raise AssertionError(f"{host}: `{command}` ended with {done.returncode}:\n{done.stdout}\n{done.stderr}")
        return done.stdout.strip()

    @contextmanager
    def without_power(self, host: str) -> Iterator[None]:
        """It is on again afterwards, whatever was found, so that what comes next tells of itself."""
        self.lab.power_off(host)
        try:
            yield
        finally:
            self.lab.power_on(host)
            self.lab.wait_ssh([host])

    def kubectl(self, arguments: str, *, host: str | None = None) -> str:
        """kubectl as root on a control-plane host (the first) has it."""
        return self.ssh(host or self.control_planes[0], f"sudo kubectl --request-timeout=10s {arguments}")

    def ready_nodes(self, *, host: str | None = None) -> list[str]:
        """The names of nodes that are Ready."""
        lines = self.kubectl("get nodes --no-headers", host=host).splitlines()
        return sorted(line.split()[0] for line in lines if line.split()[1].split(",")[0] == "Ready")

    def require_converged(self) -> None:
        """All nodes are Ready, and a plan finds nothing."""
        assert self.ready_nodes() == sorted(self.nodes)
        assert self.plan() == {}

    def on_all(self, command: str, hosts: Sequence[str] | None = None) -> dict[str, str]:
        """Standard output of a command on these hosts, or on every one, side by side."""
        names = list(self.spec.hosts if hosts is None else hosts)
        with ThreadPoolExecutor(max(1, len(names))) as pool:
            return dict(zip(names, pool.map(lambda host: self.ssh(host, command), names), strict=True))

    def _environment(self) -> dict[str, str]:
        """A wide terminal that is none, and a journal of this bed's own."""
        own = {"COLUMNS": "200", "NO_COLOR": "1", "XDG_STATE_HOME": str(self.folder / "state")}
        return {**os.environ, **own, **self.environment}


def _merged(base: dict[str, Any], more: Mapping[str, Any]) -> dict[str, Any]:
    """`base` with `more` laid over it; None takes a key away."""
    merged = dict(base)
    for key, value in more.items():
        if value is None:
            merged.pop(key, None)
        elif isinstance(value, Mapping) and isinstance(merged.get(key), dict):
            merged[key] = _merged(merged[key], value)
        else:
            merged[key] = value
    return merged
