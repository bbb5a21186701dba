from ipaddress import IPv4Address
from pathlib import PurePosixPath

import pytest

from kbootstrap.components import endpoint, etcd, keepalived
from kbootstrap.components.admin import admin
from kbootstrap.components.authorities import authorities
from kbootstrap.components.certificates import nearest_api
from kbootstrap.components.kube_apiserver import kube_apiserver, serving_spec
from kbootstrap.components.nginx import CONFIG, UNIT, nginx
from kbootstrap.components.service import unit_path
from kbootstrap.errors import PreflightFailed
from kbootstrap.facts.fact import Facts
from kbootstrap.facts.identity import Identity
from kbootstrap.model.cluster import Cluster
from kbootstrap.model.load_balancer import router_id
from kbootstrap.steps.file import Absent, File
from kbootstrap.steps.kubeconfig import Kubeconfig
from kbootstrap.steps.step import Step
from kbootstrap.steps.unit import Unit
from tests.golden.sites import TOPOLOGIES, identity, site, slowed
from tests.local_host import shell

VIP = TOPOLOGIES["vip"]
LOCAL = TOPOLOGIES["local"]
EXTERNAL_ENDPOINT = TOPOLOGIES["external-endpoint"]
EXTERNAL_ETCD = TOPOLOGIES["external-etcd"]
SINGLE = TOPOLOGIES["single"]


def text(steps: list[Step], name: str) -> str:
    return next(step.content.decode() for step in steps if isinstance(step, File) and step.path.name == name)


def unit(steps: list[Step]) -> Unit:
    return next(step for step in steps if isinstance(step, Unit))


def test_an_apiserver_asks_its_own_hosts_member_or_else_all() -> None:
    assert etcd.servers_for(VIP, VIP.host("cp2")) == "https://127.0.0.1:2379"
    assert etcd.servers_for(EXTERNAL_ETCD, EXTERNAL_ETCD.host("cp1")).count("https://198.18.0.8") == 3


@pytest.mark.parametrize(("scale", "patience"), [(0.5, "1500ms"), (1.0, "1500ms"), (8.0, "12000ms")])
def test_an_apiserver_of_a_slow_host_waits_longer_for_etcd(scale: float, patience: str) -> None:
    said = text(kube_apiserver(site(slowed(VIP, scale), "cp1")), "kube-apiserver.service")
    assert f"--etcd-readycheck-timeout={patience}" in said
    assert f"--etcd-healthcheck-timeout={patience}" in said


def test_all_members_of_a_new_cluster_are_named_at_once() -> None:
    said = text(etcd.etcd(site(TOPOLOGIES["five-etcd"], "cp3")), "initial-cluster.env")
    assert said.count(":2380") == 5
    assert "ETCD_INITIAL_CLUSTER_STATE=new" in said


def test_a_member_that_joins_later_restarts_no_other() -> None:
    assert etcd.INITIAL_CLUSTER not in unit(etcd.etcd(site(VIP, "cp1"))).inputs


def test_a_member_is_not_waited_for() -> None:
    assert not unit(etcd.etcd(site(VIP, "cp1"))).wait


@pytest.mark.parametrize(
    ("marker", "data", "ok"), [(False, False, True), (True, True, True), (False, True, True), (True, False, False)]
)
def test_a_member_that_lost_its_data_does_not_start(
    marker: bool, data: bool, ok: bool, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("etcd")
    guard = text(etcd.etcd(site(VIP, "cp1")), "etcd-guard")
    guard = guard.replace(str(etcd.MEMBER_MARKER), f"{folder}/marker").replace(str(etcd.DATA), str(folder))
    if marker:
        (folder / "marker").touch()
    if data:
        (folder / "member").mkdir()
    result = shell(guard)
    assert result.ok == ok
    assert ok or "etcdctl member remove" in result.errors


def test_the_certificate_has_every_name_that_clients_use() -> None:
    spec = serving_spec(site(VIP, "cp1"))
    assert {"kubernetes.default.svc.cluster.local", "cp1", "localhost"} <= set(spec.names)
    wanted = {"198.18.0.11", "198.18.0.100", "127.0.0.1", "10.96.0.1"}
    assert {IPv4Address(address) for address in wanted} == set(spec.addresses)
    single = serving_spec(site(SINGLE, "solo"))
    assert "solo.example" in single.names
    assert IPv4Address("10.1.2.3") in single.addresses
    assert "api.example" in serving_spec(site(EXTERNAL_ENDPOINT, "cp1")).names


def test_no_audit_log_where_none_is_wanted() -> None:
    steps = kube_apiserver(site(SINGLE, "solo"))
    assert "audit" not in text(steps, "kube-apiserver.service").replace("kubernetes/audit", "")
    assert [step for step in steps if isinstance(step, Absent)]


def test_an_only_apiserver_sends_nobody_away() -> None:
    assert "--goaway-chance=0\n" in text(kube_apiserver(site(SINGLE, "solo")), "kube-apiserver.service")


def test_stopping_takes_longer_than_the_shutdown_delay() -> None:
    said = text(kube_apiserver(site(VIP, "cp1")), "kube-apiserver.service")
    assert "--shutdown-delay-duration=10s" in said
    assert "TimeoutStopSec=70" in said


def test_keys_lie_on_control_plane_hosts_only_and_nobody_else_reads_them() -> None:
    def private(of: Cluster, name: str) -> dict[str, int]:
        files = [step for step in authorities(site(of, name)) if isinstance(step, File)]
        return {str(file.path): file.mode for file in files if b"PRIVATE KEY" in file.content}

    assert set(private(VIP, "cp1").values()) == {0o600}
    assert {PurePosixPath(path).name for path in private(VIP, "cp1")} == {"ca.key", "front-proxy-ca.key", "sa.key"}
    assert not private(VIP, "w1")
    assert not private(EXTERNAL_ETCD, "etcd1")


def test_what_a_first_plan_shows_of_new_keys_is_always_the_same() -> None:
    assert all(step.secret for step in authorities(site(VIP, "cp1")) if isinstance(step, File))


def test_the_proxy_listens_where_it_should() -> None:
    assert "listen 198.18.0.100:6443" in text(nginx(site(VIP, "cp1")), CONFIG.name)
    assert "198.18.0.100" not in text(nginx(site(LOCAL, "w1")), CONFIG.name)
    assert nginx(site(VIP, "w1")) == []
    assert nginx(site(EXTERNAL_ENDPOINT, "cp1")) == []


def test_a_changed_proxy_is_reloaded() -> None:
    assert unit(nginx(site(VIP, "cp1"))).on_change == "reload"


def test_the_proxy_starts_without_the_watcher_and_from_any_half_written_state() -> None:
    steps = nginx(site(VIP, "cp1"))
    assert f"ExecStartPre={endpoint.PROGRAM} list" in text(steps, UNIT)
    written = [step.path for step in steps if isinstance(step, File)]
    assert written.index(endpoint.PROGRAM) < written.index(unit_path(UNIT)) < written.index(CONFIG)


def test_a_new_apiserver_reloads_the_proxy_and_restarts_the_watcher() -> None:
    units = [step for step in nginx(site(VIP, "cp1")) if isinstance(step, Unit)]
    assert [(step.name, step.on_change) for step in units] == [(UNIT, "reload"), (endpoint.UNIT, "restart")]
    assert all(endpoint.SERVERS in step.inputs for step in units)


@pytest.mark.parametrize(
    ("topology", "name", "server"),
    [
        ("vip", "cp1", "127.0.0.1:6443"),
        ("vip", "w1", "198.18.0.100:6443"),
        ("local", "w1", "127.0.0.1:6443"),
        ("external-endpoint", "w1", "api.example:6443"),
    ],
)
def test_node_daemons_use_the_nearest_way_to_the_api(topology: str, name: str, server: str) -> None:
    assert nearest_api(site(TOPOLOGIES[topology], name)) == server


def test_the_administrator_comes_through_the_proxy_where_there_is_one() -> None:
    def server(of: Cluster) -> str:
        return next(step.server_url for step in admin(site(of, "cp1")) if isinstance(step, Kubeconfig))

    assert server(VIP) == "https://127.0.0.1:6443"
    assert server(EXTERNAL_ENDPOINT) == "https://198.18.0.11:6443"


def test_priorities_and_peers_differ_from_host_to_host() -> None:
    first, second = (text(keepalived.keepalived(site(VIP, name)), "keepalived.conf") for name in ("cp1", "cp2"))
    assert "priority 254" in first
    assert "priority 244" in second
    assert "interface eth0" in first
    assert "unicast_src_ip 198.18.0.12" in second
    assert "    198.18.0.11\n    198.18.0.13\n" in second


def test_the_router_id_comes_from_the_vip_unless_it_is_given() -> None:
    assert router_id(IPv4Address("10.0.0.7")) == 7
    assert router_id(IPv4Address("10.0.1.0")) == 255
    given = text(keepalived.keepalived(site(TOPOLOGIES["five-etcd"], "cp1")), "keepalived.conf")
    assert "virtual_router_id 7" in given
    assert "interface bond0" in given


def test_only_control_plane_hosts_hold_the_vip() -> None:
    assert keepalived.keepalived(site(VIP, "w1")) == []
    assert keepalived.keepalived(site(LOCAL, "cp1")) == []


def test_an_address_that_the_host_does_not_have_is_an_error_with_a_hint() -> None:
    place = site(VIP, "cp1")
    elsewhere = identity(VIP.host("cp2"))
    lost = type(place)(
        place.cluster,
        place.host,
        Facts({Identity(): elsewhere}),
        place.release,
        place.artifacts,
        place.pki,
        place.now,
    )
    with pytest.raises(PreflightFailed, match=r"no interface of cp1 has the address 198\.18\.0\.11") as caught:
        keepalived.keepalived(lost)
    assert caught.value.hint
