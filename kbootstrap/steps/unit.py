"""systemd units, restarted when what they were started with is no longer what they should run with."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any, Literal

from kbootstrap.facts.fact import Fact, Facts
from kbootstrap.facts.units import STAMPS, UnitState, UnitStatus, inputs_digest
from kbootstrap.steps.step import Change, Paths, fingerprint, quote

STARTS_AT_BOOT = ("enabled", "alias", "static", "indirect", "generated")
"""What systemd says of a unit that is enabled, or that has no say in it: others pull it in."""


@dataclass(frozen=True, slots=True)
class Unit:
    """A unit that is enabled, runs, and was last started with the present content of its `inputs`.

    The inputs (unit file, configuration, certificates, the `current` link of its binary) are digested just before
    each start, and the digest is kept as the unit's stamp. A run that died between writing a file and restarting
    therefore still restarts the next time; a run that changes nothing restarts nothing.
    """

    name: str
    inputs: tuple[PurePosixPath, ...] = ()
    on_change: Literal["restart", "reload"] = "restart"
    wait: bool = True
    """Whether starting waits for the unit's own report that it is up."""

    def needs(self) -> Sequence[Fact[Any]]:
        return (self._state(),)

    def _state(self) -> UnitState:
        return UnitState(self.name, self.inputs)

    def serves(self, seen: Facts) -> bool:
        """Whether the unit runs already, so that restarting it would be felt."""
        return seen[self._state()].active == "active"

    def diff(self, seen: Facts, touched: Paths) -> Change | None:
        now = seen[self._state()]
        outdated = self._outdated(now, touched)
        reasons = [
            *(() if now.running else (f"is {now.active or 'not there'}",)),
            *(() if now.enabled in STARTS_AT_BOOT else ("does not start at boot",)),
            *outdated,
        ]
        if not reasons:
            return None
        action = "start" if not now.running else self.on_change if outdated else "enable"
        return Change(
            title=f"{action} {self.name}",
            script=f"systemctl enable --quiet {quote(self.name)}" if action == "enable" else self._script(now, action),
            fingerprint=fingerprint("unit", self.name, *self.inputs),
            diff=", ".join(reasons),
            disrupts=action == "restart",
        )

    def _outdated(self, now: UnitStatus, touched: Paths) -> Sequence[str]:
        """Why what runs is not what should."""
        changed = sorted(str(path) for path in self.inputs if path in touched)
        if changed:
            return (f"changed: {' '.join(changed)}",)
        if now.running and now.stamp != now.inputs:
            return ("was started with other files than there are now",)
        return ()

    def _script(self, now: UnitStatus, action: str) -> str:
        name, stamp = quote(self.name), quote(STAMPS / self.name)
        # Enabling makes systemd read all units again, so that only what is enabled already needs it to be said.
        load = "systemctl daemon-reload" if now.enabled in STARTS_AT_BOOT else f"systemctl enable --quiet {name}"
        block = "" if self.wait or action == "reload" else "--no-block "
        return "\n".join(
            (
                f"mkdir -p {quote(STAMPS)}",
                f"stamp=$({inputs_digest(self.inputs)})",
                load,
                f"systemctl reset-failed {name} 2>/dev/null || true",
                # Restarted also where it did not run: meanwhile systemd may have started it with the old files.
                f"if ! systemctl {block}{'reload' if action == 'reload' else 'restart'} {name}; then",
                f"  systemctl status --no-pager --lines=0 {name} >&2 || true",
                f"  journalctl --no-pager --output=cat --lines=20 --unit={name} >&2 || true",
                "  exit 1",
                "fi",
                f'printf "%s\\n" "$stamp" >{stamp}',
            )
        )


@dataclass(frozen=True, slots=True)
class UnitAbsent:
    """A unit that is neither enabled nor running."""

    name: str

    def needs(self) -> Sequence[Fact[Any]]:
        return (UnitState(self.name),)

    def diff(self, seen: Facts, touched: Paths) -> Change | None:
        now = seen[UnitState(self.name)]
        if now.active in ("inactive", "failed") and now.enabled not in ("enabled", "enabled-runtime"):
            return None
        return Change(
            title=f"stop {self.name}",
            script=f"systemctl disable --now --quiet {quote(self.name)}\nrm -f {quote(STAMPS / self.name)}",
            fingerprint=fingerprint("unit-absent", self.name),
        )
