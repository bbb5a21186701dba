"""What `verify` looks at on directors: hosts whose kernel hands connections to the API on."""

import pytest

from kbootstrap.model.cluster import Cluster
from kbootstrap.verify import layout
from kbootstrap.verify.catalogue import host_suites
from kbootstrap.verify.report import Outcome, Verdict
from tests.golden.sites import TOPOLOGIES, slowed
from tests.unit.verify.world import Answer, RecordedHost, failed_tests, outcomes_of

SUITE = "hosts/test_director.py"
DIRECTOR = "lb1"
CLUSTER = TOPOLOGIES["lvs-dr"]
CONNECTIONS = """\
-A -t 198.18.0.100:6443 -s wlc
-a -t 198.18.0.100:6443 -r 198.18.0.11:6443 -g -w 100
-a -t 198.18.0.100:6443 -r 198.18.0.12:6443 -g -w 100
-a -t 198.18.0.100:6443 -r 198.18.0.13:6443 -g -w 100
-A -t 198.18.0.200:80 -s rr
-a -t 198.18.0.200:80 -r 198.18.0.99:80 -m -w 1
"""
WELL = (Answer("/readyz", "ok"), Answer("ipvsadm", CONNECTIONS))


def look(*broken: Answer, cluster: Cluster = CLUSTER) -> list[Outcome]:
    host = RecordedHost(DIRECTOR, {}, (*broken, *WELL))
    return outcomes_of(DIRECTOR, [SUITE], {DIRECTOR: host}, cluster=cluster)


@pytest.mark.parametrize("topology", ["lvs-dr", "lvs-tunnel", "lvs-nat"])
def test_directors_are_not_told_to_ask_the_virtual_ip(topology: str) -> None:
    cluster = TOPOLOGIES[topology]
    suites = host_suites(cluster, cluster.host(DIRECTOR))
    assert SUITE in suites
    assert "hosts/test_endpoint.py" not in suites
    for name in ("cp1", "w1"):
        others = host_suites(cluster, cluster.host(name))
        assert "hosts/test_endpoint.py" in others
        assert SUITE not in others


def test_load_balancers_with_nginx_ask_the_virtual_ip() -> None:
    cluster = TOPOLOGIES["load-balancers"]
    suites = host_suites(cluster, cluster.host(DIRECTOR))
    assert "hosts/test_endpoint.py" in suites
    assert SUITE not in suites


def test_a_director_asks_the_proxy_of_each_control_plane_host() -> None:
    host = RecordedHost(DIRECTOR, {}, WELL)
    outcomes = outcomes_of(DIRECTOR, [SUITE], {DIRECTOR: host}, cluster=CLUSTER)
    assert {outcome.verdict for outcome in outcomes} == {Verdict.PASSED}
    asked = [command for command in host.asked if "/readyz" in command]
    assert [command.partition("--connect-to ")[2] for command in asked] == [
        f"::198.18.0.1{number}:6445 https://198.18.0.100:6443/readyz" for number in (1, 2, 3)
    ]


def test_a_proxy_that_does_not_answer_is_named() -> None:
    outcomes = look(Answer("198.18.0.12:6445", exit_code=28, stderr="timed out"))
    assert failed_tests(outcomes) == {"test_proxy[cp2]"}
    [finding] = [outcome.finding for outcome in outcomes if outcome.finding]
    assert (finding.found, finding.message) == ("timed out", "on cp2: journalctl -u kube-endpoint-nginx")


@pytest.mark.parametrize(
    ("old", "new", "fails"),
    [
        ("-r 198.18.0.12:6443 -g -w 100", "-r 198.18.0.12:6443 -g -w 0", {"test_real_server[cp2]"}),
        ("-r 198.18.0.12:6443 -g -w 100", "-r 198.18.0.12:6443 -m -w 100", {"test_real_server[cp2]"}),
        ("198.18.0.13:6443", "198.18.0.13:6445", {"test_real_server[cp3]", "test_service"}),
        ("-s wlc", "-s rr", {"test_service"}),
        ("-s wlc", "-s wlc -p 300", {"test_service"}),
        ("-A -t 198.18.0.200:80 -s rr", "-a -t 198.18.0.100:6443 -r 198.18.0.99:6443 -g -w 100", {"test_service"}),
        (CONNECTIONS, "", {"test_service", *(f"test_real_server[cp{number}]" for number in (1, 2, 3))}),
    ],
)
def test_a_table_that_is_not_the_inventory_s_fails(old: str, new: str, fails: set[str]) -> None:
    assert old in CONNECTIONS
    assert failed_tests(look(Answer("ipvsadm", CONNECTIONS.replace(old, new)))) == fails


@pytest.mark.parametrize("topology", ["lvs-tunnel", "lvs-nat"])
def test_each_method_and_scheduler_as_ipvsadm_prints_them(topology: str) -> None:
    flag, port, chooses = {
        "lvs-tunnel": ("-i --tun-type ipip", 6443, "wlc -p 300"),
        "lvs-nat": ("-m", 6445, "sh"),
    }[topology]
    lines = [f"-A -t 198.18.0.100:6443 -s {chooses}"]
    lines += [f"-a -t 198.18.0.100:6443 -r 198.18.0.1{number}:{port} {flag} -w 100" for number in (1, 2, 3)]
    table = Answer("ipvsadm", "\n".join(lines) + "\n")
    outcomes = look(table, cluster=TOPOLOGIES[topology])
    assert failed_tests(outcomes) == set()
    assert len(outcomes) == 7


def test_slow_hosts_have_more_time() -> None:
    """For the answers, and for the commands that ask."""
    host = RecordedHost(DIRECTOR, {}, WELL)
    outcomes_of(DIRECTOR, [SUITE], {DIRECTOR: host}, cluster=slowed(CLUSTER, 2.5))
    questions = [command for command in host.asked if command.startswith("curl")]
    assert len(questions) == 3
    assert all("--max-time 13 " in command for command in questions)
    assert host.allowed == {75.0}


def test_what_a_director_s_kernel_must_have() -> None:
    nat = TOPOLOGIES["lvs-nat"]
    assert layout.modules(nat, nat.host(DIRECTOR)) == ("ip_vs", "ip_vs_sh")
    without_sync = {one.name for one in layout.sysctls(nat, nat.host(DIRECTOR))}
    assert {"net.ipv4.vs.conntrack", "net.ipv4.vs.expire_quiescent_template"} <= without_sync
    assert "net.ipv4.vs.sync_threshold" not in without_sync
    synced = {one.name: one.value for one in layout.sysctls(CLUSTER, CLUSTER.host(DIRECTOR))}
    assert synced["net.ipv4.vs.sync_threshold"] == "3 0"
    assert "net.ipv4.vs.conntrack" not in synced
