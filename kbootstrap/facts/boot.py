"""Which boot a host runs since, and whether it is to be booted anew."""

from dataclasses import dataclass

from kbootstrap.facts.fact import Single

BOOT_ID = "/proc/sys/kernel/random/boot_id"
"""Says another one after each boot (man 4 random)."""

MARK = "/run/kbootstrap/reboot-due"
"""Says that a run wants this host booted anew. /run is empty after a boot, so the boot itself takes it away."""

REQUIRED = "/run/reboot-required"
"""What Debian's packages leave when only a boot puts them to use (update-notifier, unattended-upgrades)."""


@dataclass(frozen=True, slots=True)
class BootState:
    """Why a host is to be booted anew: a run's mark (the run's name, empty: none), or its packages."""

    run: str
    required: bool


@dataclass(frozen=True, slots=True)
class RebootDue(Single[BootState]):
    """Whether a boot is due."""

    @property
    def command(self) -> str:
        return f'echo "run=$(cat {MARK} 2>/dev/null)"; [ ! -e {REQUIRED} ] || echo required'

    def value(self, output: bytes) -> BootState:
        lines = output.decode(errors="replace").splitlines()
        return BootState(next((line[4:] for line in lines if line.startswith("run=")), ""), "required" in lines)
