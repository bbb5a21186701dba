"""The operating system under everything: packages, modules, kernel parameters, swap, names."""

import pytest
from testinfra.host import Host as Remote

from kbootstrap.model.cluster import Cluster, Host
from kbootstrap.verify.layout import Package, Sysctl

TRACKED = "/proc/sys/net/netfilter/nf_conntrack_"
TRACKED_SHARE = 0.8
"""Of the connections that a kernel has room to remember. When all of it is taken, it drops new ones."""


def test_package(host: Remote, package: Package) -> None:
    """The package is installed."""
    assert host.package(package.name).is_installed, f"{package} is not installed; `kbootstrap up` installs it"


def test_module(host: Remote, module: str) -> None:
    """The kernel module is there."""
    if host.run("systemd-detect-virt --quiet --container").succeeded:
        pytest.skip("a container has the modules of the machine under it")
    loaded = host.file(f"/sys/module/{module}").is_directory
    built_in = host.run(f"grep -qs '/{module}\\.ko' /lib/modules/$(uname -r)/modules.builtin").succeeded
    assert loaded or built_in, f"the module {module} is not loaded"


def test_sysctl(host: Remote, sysctl: Sysctl) -> None:
    """The kernel parameter has its value."""
    value = host.check_output("sysctl --values %s", sysctl.name)
    assert value.split() == sysctl.value.split(), f"{sysctl} has another value"


def test_tracked_connections(host: Remote) -> None:
    """The kernel has room for more connections than it remembers now."""
    said = host.run(f"cat {TRACKED}count {TRACKED}max").stdout.split()
    if not said:
        pytest.skip("nothing on this host remembers connections")
    count, room = map(int, said)
    hint = f"{count} of {room}: have room for more with `host: {{sysctls: {{net.netfilter.nf_conntrack_max: …}}}}`"
    assert count < TRACKED_SHARE * room, hint


def test_swap(host: Remote, cluster: Cluster) -> None:
    """Swap is off."""
    if cluster.settings.host.swap == "allow":
        pytest.skip("the inventory allows swap")
    swaps = host.check_output("tail --lines=+2 /proc/swaps").splitlines()
    assert swaps == [], "swap is on, and kubelet's memory limits do not hold"


def test_names(host: Remote, subject: Host, cluster: Cluster) -> None:
    """Every host's name leads to its address."""
    if not cluster.settings.host.manage_hosts_file:
        pytest.skip("the inventory leaves names to others")
    names = " ".join(other.name for other in cluster.hosts)
    resolved = host.run(f"for name in {names}; do getent ahostsv4 $name | head -1; done").stdout.splitlines()
    found = {line.split()[-1]: line.split()[0] for line in resolved if line.strip()}
    wanted = {other.name: str(other.address) for other in cluster.hosts}
    wrong = {name: found.get(name, "no address") for name, address in wanted.items() if found.get(name) != address}
    if wrong.get(subject.name, "").startswith("127."):  # Debian's custom for a host's own name
        del wrong[subject.name]
    assert wrong == {}, "names lead elsewhere"
