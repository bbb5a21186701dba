"""Requests that hosts make, all of a host in one script, each repeated until it is answered as expected."""

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pytest

from kbootstrap.model.settings import Timeouts

REQUEST_SECONDS = 3
DEADLINE_SECONDS = 20
"""kube-proxy's rules lag behind a pod's readiness, by a second or so. Both before the inventory's scale."""

_PROBE = """\
probe() {
  while :; do
    said=$(curl --silent --show-error --max-time "$seconds" "$3" 2>&1)
    case $said in *"$2"*) printf '%s\\tok\\n' "$1"; return;; esac
    [ "$(date +%s)" -lt "$deadline" ] || break
    sleep 0.3
  done
  printf '%s\\tfailed\\t%s\\n' "$1" "$(printf %s "$said" | tr '\\n\\t' '  ' | cut -c1-300)"
}"""


@dataclass(frozen=True, slots=True)
class Probe:
    """A request: what it is about, where it goes, and what the answer must contain."""

    kind: str
    target: str
    url: str
    expected: str

    @property
    def key(self) -> str:
        return f"{self.kind} {self.target}"


def script(probes: Sequence[Probe], timeouts: Timeouts) -> str:
    """A script that makes all requests side by side."""
    lines = [
        f"probe {shlex.quote(probe.key)} {shlex.quote(probe.expected)} {shlex.quote(probe.url)} &" for probe in probes
    ]
    deadline = f"deadline=$(( $(date +%s) + {timeouts.scaled(DEADLINE_SECONDS)} ))"
    return "\n".join((f"seconds={timeouts.scaled(REQUEST_SECONDS)}", deadline, _PROBE, *lines, "wait"))


def unanswered(probes: Sequence[Probe], kind: str, output: str) -> Mapping[str, str]:
    """The targets of a kind that did not answer as expected, with what was said instead."""
    rows = [line.split("\t") for line in output.splitlines()]
    said = {row[0]: row[1:] for row in rows if len(row) > 1}
    lost = output.strip()[-200:] or "no answer"
    found = {probe.target: said.get(probe.key, ["", lost]) for probe in probes if probe.kind == kind}
    return {target: " ".join(words[1:]) or "no answer" for target, words in found.items() if words[:1] != ["ok"]}


@dataclass(frozen=True, slots=True)
class Probed:
    """What came of all requests, by host."""

    probes: Mapping[str, Sequence[Probe]]
    output: Mapping[str, str]

    def failures(self, host: str, kind: str) -> Mapping[str, str]:
        """The targets of a host's requests of a kind that did not answer, and what was said instead."""
        if host not in self.probes:
            pytest.skip("the host cannot be reached, or its pod does not run; another test says so")
        return unanswered(self.probes[host], kind, self.output[host])
