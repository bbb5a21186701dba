"""Every drill can fail: what it guards is broken, and the drill says so."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.e2e.bed import Bed
from tests.e2e.conftest import BedFactory, wait_until
from tests.e2e.drilling import SLOW_ADVERTS, Drilled, changed, drilled, drilled_cluster, leads, require_failed
from tests.e2e.observe import vip_holders

pytestmark = pytest.mark.long

KEEPALIVED = "/etc/kbootstrap/keepalived.conf"
SERVERS = "/etc/kbootstrap/nginx-apiservers.conf"
ENDPOINT = "/opt/kbootstrap/libexec/kube-endpoint"
ETCD = "/etc/systemd/system/etcd.service"
APISERVER = "/etc/systemd/system/kube-apiserver.service"

NOTICED_SECONDS = 5
"""For the proxies and keepalived to see what has become of the others."""


@pytest.fixture(scope="module")
def cluster(beds: BedFactory, tmp_path_factory: pytest.TempPathFactory) -> Drilled:
    return drilled_cluster(beds, tmp_path_factory.mktemp("drills"))


@pytest.fixture
def bed(cluster: Drilled) -> Bed:
    return cluster.bed


@pytest.fixture
def identity(cluster: Drilled) -> Path:
    """The private key of its backups."""
    return cluster.identity


def test_keepalived_does_not_look_at_the_proxy(bed: Bed) -> None:
    with endpoint(bed, KEEPALIVED, "/proxy_alive$/d;/proxy_useful$/d;/others_answer$/d"):
        require_failed(bed, "nginx-stop", says=r"requests: .* s, and 2 s are allowed")


def test_keepalived_announces_itself_every_ten_seconds(bed: Bed) -> None:
    with endpoint(bed, KEEPALIVED, SLOW_ADVERTS):
        require_failed(bed, "vip-handover", says=r"requests: .* s, and 0.5 s are allowed")
        require_failed(bed, "keepalived-stop", says=r"requests: .* s, and 1 s are allowed")
        for drill in ("vip-holder-power-off", "partition", "partition-inbound", "partition-outbound"):
            require_failed(bed, drill, says=r".* s, and 3 s are allowed|did not come about")


def test_a_proxy_with_one_back_end(bed: Bed) -> None:
    """The victim of these drills is the first host without the VIP."""
    own = bed.spec.hosts["cp2"].address
    with endpoint(bed, SERVERS, f"/^server /{{/server {own}:/!d}}"):
        first_has_the_vip(bed)
        require_failed(bed, "apiserver-kill", says=r"requests: .* s, and 1 s are allowed")
        first_has_the_vip(bed)  # meanwhile no proxy was of use, and each host gave it up
        require_failed(bed, "apiserver-stop", says=r"requests: .* none may fail|requests: .* s, and 0 s are allowed")


def test_nobody_hangs_up_on_a_host_that_is_gone(bed: Bed) -> None:
    with endpoint(bed, ENDPOINT, "s/ss --kill/ss/"):
        for drill in ("control-plane-power-off", "control-plane-partition"):
            require_failed(bed, drill, says=r"a read under way: .* s, and 4 s are allowed")


def test_status_does_not_see_how_full_the_disk_is(bed: Bed) -> None:
    """It asks df, which says here that everything is free."""
    blind = """#!/bin/sh
case "$*" in
  *--output=size,*) /usr/bin/df "$@" | awk 'NR > 1 { $2 = $1 } 1' ;;
  *) exec /usr/bin/df "$@" ;;
esac
"""
    program = "/usr/local/bin/df"
    bed.on_all(f"cat >{program} <<'END'\n{blind}END\nchmod 755 {program}", bed.control_planes)
    try:
        require_failed(bed, "disk-full", says="status says so: did not come about")
    finally:
        bed.on_all(f"rm -f {program}", bed.control_planes)


def test_an_apiserver_that_asks_the_etcd_of_another_host(bed: Bed) -> None:
    """When that one is gone, no apiserver can answer."""
    [leader] = [host for host in bed.control_planes if leads(bed, host)]
    remote = f"s#--etcd-servers=[^ ]*#--etcd-servers=https://{bed.spec.hosts[leader].address}:2379#"
    with restarted(bed, f"sed -i '{remote}' {APISERVER}", APISERVER):
        require_failed(bed, "etcd-leader-kill", says=r"(reads|writes): .* s, and 2 s are allowed")


def test_a_member_that_the_others_do_not_take_back(bed: Bed) -> None:
    """Any follower may be the one that is wiped; who puts it right afterwards is the next drill."""
    with refusing(bed, "member add"):
        require_failed(bed, "etcd-member-wipe", says="the member cannot be added")
    assert any("etcd-member-wipe" in remark for remark in drilled(bed, "vip-handover")[1][0]["remarks"])


def test_no_backup_can_be_made(bed: Bed, identity: Path) -> None:
    with refusing(bed, "snapshot save"):
        _, [result] = drilled(bed, "quorum-loss-restore", options=("--identity", str(identity)))
    bed.run("backup", "run").expect(0)  # `status` tells of one that failed until there is a better one
    assert result["verdict"] == "failed"
    assert "backup" in result["problems"][0]
    assert [moment for moment in result["moments"] if moment["kind"] == "fault"] == []


def test_etcd_waits_ten_seconds_for_its_leader(bed: Bed) -> None:
    with restarted(bed, f"sed -i 's/--election-timeout=[0-9]*/--election-timeout=10000/' {ETCD}", ETCD):
        require_failed(bed, "etcd-leader-kill", says=r"writes: .* s, and 2 s are allowed")


def test_lost_packets_are_sent_again_only_after_seconds(bed: Bed) -> None:
    """TCP neither acknowledges what came after them nor asks for the last ones, and etcd does not look for a leader
    whom it hears better.
    """
    route = "$(ip -o route | grep 'dev eth0 proto kernel' | sed 's/ rto_min.*//')"
    slow = "sysctl -qw net.ipv4.tcp_sack=0 net.ipv4.tcp_recovery=0 net.ipv4.tcp_early_retrans=0"
    quick = "sysctl -qw net.ipv4.tcp_sack=1 net.ipv4.tcp_recovery=1 net.ipv4.tcp_early_retrans=3"
    patient = f"sed -i 's/--election-timeout=[0-9]*/--election-timeout=10000/' {ETCD}"
    with restarted(bed, f"{slow} && ip route replace {route} rto_min 5s && {patient}", ETCD):
        try:
            require_failed(bed, "network-loss", says=r"(reads|writes): .* s, and 2 s are allowed")
        finally:  # before etcd is restarted: its connections are as TCP is when they begin
            bed.on_all(f"{quick} && ip route replace {route}", bed.control_planes)


@pytest.mark.parametrize("daemon", ["controller-manager", "scheduler"])
def test_a_lease_of_two_minutes(bed: Bed, daemon: str) -> None:
    unit = f"/etc/systemd/system/kube-{daemon}.service"
    slow = "s/--leader-elect-lease-duration=12s/--leader-elect-lease-duration=120s/"
    with restarted(bed, f"sed -i '{slow}' {unit}", unit):
        require_failed(bed, f"{daemon}-kill", says=f"another kube-{daemon} leads: did not come about")


def test_pods_tolerate_an_hour(bed: Bed) -> None:
    """They were made while the apiservers said so."""
    flag = "s/\\(default-[a-z-]*-toleration-seconds\\)=[0-9]*/\\1=3600/"
    with restarted(bed, f"sed -i '{flag}' {APISERVER}", APISERVER):
        require_failed(bed, "worker-power-off", says="its pods are ready elsewhere: did not come about")


def test_a_kubelet_that_does_not_come_back_by_itself(bed: Bed) -> None:
    bed.ssh("w1", "systemctl disable kubelet")
    try:
        require_failed(bed, "cold-restart", says="healthy without a hand on it: did not come about|w1")
    finally:
        bed.ssh("w1", "systemctl enable --now kubelet")
        wait_until(lambda: bed.run("status").code == 0, seconds=120, what="the cluster is healthy")


@contextmanager
def refusing(bed: Bed, command: str) -> Iterator[None]:
    """All control-plane hosts with an etcdctl that refuses this command."""
    program = "/usr/local/bin/etcdctl"
    wrapper = f"""#!/bin/sh
case "$*" in *"{command}"*) echo "refused by a test" >&2; exit 1 ;; esac
exec {program}.kept "$@"
"""
    put = f"cp -P {program} {program}.kept && rm {program} && cat >{program} <<'END'\n{wrapper}END\nchmod 755 {program}"
    bed.on_all(put, bed.control_planes)
    try:
        yield
    finally:
        bed.on_all(f"mv -fT {program}.kept {program}", bed.control_planes)


def first_has_the_vip(bed: Bed) -> None:
    """It has the highest priority: whoever else has it hands it over to that one."""
    if vip_holders(bed) != ["cp1"]:
        drilled(bed, "vip-handover")
    assert vip_holders(bed) == ["cp1"]


@contextmanager
def endpoint(bed: Bed, file: str, expression: str) -> Iterator[None]:
    """All control-plane hosts with another file of a part of the endpoint."""
    nginx = "systemctl reload kube-endpoint-nginx && systemctl restart kube-endpoint-watch"  # which knows the old list
    reload = "systemctl reload kube-endpoint-keepalived" if file == KEEPALIVED else nginx
    with changed(bed, bed.control_planes, file, expression, reload, lambda: time.sleep(NOTICED_SECONDS)):
        time.sleep(NOTICED_SECONDS)
        yield


@contextmanager
def restarted(bed: Bed, change: str, unit: str) -> Iterator[None]:
    """All control-plane hosts with another unit, restarted one after another."""

    def restart(before: str) -> None:
        for host in bed.control_planes:
            bed.ssh(host, f"{before} && systemctl daemon-reload && systemctl restart {Path(unit).name}", timeout=120)
            time.sleep(NOTICED_SECONDS)
            wait_until(lambda: bed.run("status").code == 0, seconds=120, what="the cluster is healthy")

    restart(f"cp -p {unit} {unit}.kept && {change}")
    try:
        yield
    finally:
        restart(f"mv {unit}.kept {unit}")
