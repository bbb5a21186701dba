"""How daemons answer when they are asked for their health."""

import re
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Self

from kbootstrap.facts.fact import Fact, scaled

ANSWER_SECONDS = 2
"""How long an answer may take before the daemon counts as silent; scaled."""

HTTP_OK = 200

_SILENT = 0


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back: a status code, 0 when nothing did, and then why."""

    code: int
    seconds: float
    error: str = ""

    @property
    def ok(self) -> bool:
        return self.code == HTTP_OK


NO_ANSWER = Answer(_SILENT, 0.0, "not asked")


@dataclass(frozen=True, slots=True)
class Health(Fact[Answer]):
    """What `url` answers. `authority` proves who does; without one anybody is believed (on loopback)."""

    waits = True

    url: str
    authority: PurePosixPath | None = None

    @classmethod
    def script(cls, facts: Sequence[Self]) -> str:
        """All side by side, so that one that is silent delays no other; by one process, which is most of the work."""
        probes = " --next ".join(fact._probe(number) for number, fact in enumerate(facts))
        return f"curl --disable --parallel --parallel-immediate {probes}"

    def _probe(self, number: int) -> str:
        trust = f"--cacert {self.authority}" if self.authority else "--insecure"
        form = shlex.quote(f"answer {number} %{{http_code}} %{{time_total}} %{{errormsg}}\n")
        return (
            f"--silent --noproxy '*' --output /dev/null --max-time {scaled(ANSWER_SECONDS)} {trust}"
            f" --write-out {form} {shlex.quote(self.url)}"
        )

    @classmethod
    def parse(cls, facts: Sequence[Self], output: bytes) -> Mapping[Self, Answer]:
        found = dict.fromkeys(facts, NO_ANSWER)
        for line in output.decode(errors="replace").splitlines():
            if match := re.match(r"answer (\d+) (\d+) ([\d.,]+) ?(.*)", line):
                number, code, seconds, error = match.groups()
                found[facts[int(number)]] = Answer(int(code), float(seconds.replace(",", ".")), error)
        return found
