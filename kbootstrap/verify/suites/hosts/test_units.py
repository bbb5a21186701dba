"""The daemons: enabled, running, and running what is installed now."""

from collections.abc import Iterable

from testinfra.host import Host as Remote

from kbootstrap.model.cluster import Cluster, Host
from kbootstrap.verify import layout
from kbootstrap.verify.reading import properties

PROPERTIES = "Id,ActiveState,UnitFileState,NeedDaemonReload,MainPID"

STRANGERS = ("nginx", "keepalived", "docker")
"""Units of the distribution that would take our ports, or the VIP, at the next boot."""


def test_runs(host: Remote, subject: Host, cluster: Cluster, unit: str) -> None:
    """The daemon runs."""
    shown = _shown(host, layout.units(cluster, subject))[unit]
    assert shown.get("ActiveState", "") == "active", f"on the host, see: journalctl -u {unit}"


def test_starts_at_boot(host: Remote, subject: Host, cluster: Cluster, unit: str) -> None:
    """The daemon starts at boot."""
    shown = _shown(host, layout.units(cluster, subject))[unit]
    assert shown.get("UnitFileState", "") == "enabled", f"{unit} would not come back after a power cut"


def test_current(host: Remote, subject: Host, cluster: Cluster) -> None:
    """What runs is what is installed: no replaced program, no unit file that systemd has not read."""
    shown = _shown(host, layout.units(cluster, subject))
    unread = sorted(unit for unit, has in shown.items() if has.get("NeedDaemonReload") == "yes")
    assert unread == [], "systemd has not read these unit files since they changed"
    programs = " ".join(f"/proc/{has['MainPID']}/exe" for has in shown.values() if has.get("MainPID", "0") != "0")
    replaced = host.run(f"for exe in {programs}; do readlink $exe; done | grep ' (deleted)$'").stdout.splitlines()
    assert replaced == [], "these programs were replaced and not restarted"


def test_strangers(host: Remote) -> None:
    """The distribution's own services are out of the way."""
    shown = _shown(host, STRANGERS)
    running = sorted(unit for unit, has in shown.items() if has.get("ActiveState") not in ("inactive", None))
    assert running == [], "these may take our ports"


def _shown(host: Remote, units: Iterable[str]) -> dict[str, dict[str, str]]:
    """What systemd says of all units, with one command; nothing of those that it does not know."""
    names = " ".join(f"{unit}.service" for unit in units)
    shown = properties(host.check_output(f"systemctl show --property={PROPERTIES} {names}"))
    return {unit: shown.get(f"{unit}.service", {}) for unit in units}
