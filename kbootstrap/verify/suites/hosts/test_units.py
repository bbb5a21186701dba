"""The daemons: enabled, running, and running what is installed now."""

from testinfra.host import Host as Remote

from kbootstrap.model.cluster import Cluster, Host
from kbootstrap.verify import layout
from kbootstrap.verify.reading import properties

STRANGERS = ("nginx", "keepalived", "docker")
"""Units of the distribution that would take our ports, or the VIP, at the next boot."""


def test_runs(host: Remote, unit: str) -> None:
    """The daemon runs."""
    state = host.run("systemctl is-active %s.service", unit).stdout.strip()
    assert state == "active", f"on the host, see: journalctl -u {unit}"


def test_starts_at_boot(host: Remote, unit: str) -> None:
    """The daemon starts at boot."""
    state = host.run("systemctl is-enabled %s.service", unit).stdout.strip()
    assert state == "enabled", f"{unit} would not come back after a power cut"


def test_current(host: Remote, subject: Host, cluster: Cluster) -> None:
    """What runs is what is installed: no replaced program, no unit file that systemd has not read."""
    units = " ".join(f"{unit}.service" for unit in layout.units(cluster, subject))
    shown = properties(host.check_output(f"systemctl show --property=Id,NeedDaemonReload,MainPID {units}"))
    unread = sorted(unit for unit, has in shown.items() if has.get("NeedDaemonReload") == "yes")
    assert unread == [], "systemd has not read these unit files since they changed"
    pids = " ".join(f"/proc/{has['MainPID']}/exe" for has in shown.values() if has.get("MainPID", "0") != "0")
    replaced = host.run(f"for exe in {pids}; do readlink $exe; done | grep ' (deleted)$'").stdout.splitlines()
    assert replaced == [], "these programs were replaced and not restarted"


def test_strangers(host: Remote) -> None:
    """The distribution's own services are out of the way."""
    states = {unit: host.run("systemctl is-active %s.service", unit).stdout.strip() for unit in STRANGERS}
    running = [unit for unit, state in states.items() if state not in ("inactive", "unknown", "")]
    assert running == [], "these may take our ports"
