"""A boot."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from kbootstrap.facts.boot import RebootDue
from kbootstrap.facts.fact import Fact, Facts
from kbootstrap.steps.step import Change, Paths, fingerprint

DELAY_SECONDS = 1
"""So that the session which asks for it ends in order."""

_PUNCTUAL = "AccuracySec=100ms"
"""By default a timer may be a minute late (man systemd.timer)."""


@dataclass(frozen=True, slots=True)
class Reboot:
    """The host is booted anew when a run has marked it, or its packages ask for it."""

    def needs(self) -> Sequence[Fact[Any]]:
        return (RebootDue(),)

    def serves(self, seen: Facts) -> bool:
        """A host that answers is felt when it goes."""
        return True

    def diff(self, seen: Facts, touched: Paths) -> Change | None:
        due = seen[RebootDue()]
        if not (due.run or due.required):
            return None
        return Change(
            title="boot the host anew",
            script=f"systemd-run --quiet --on-active={DELAY_SECONDS} --timer-property={_PUNCTUAL} systemctl reboot",
            fingerprint=fingerprint("reboot"),
            diff=f"run {due.run} wants it" if due.run else "its packages ask for it",
            disrupts=True,
            reboots=True,
        )
