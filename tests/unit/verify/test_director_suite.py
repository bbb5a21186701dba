"""What `verify` looks at on directors: hosts whose kernel hands connections to the API on."""

from dataclasses import replace

import pytest

from kbootstrap.model.cluster import Cluster
from kbootstrap.verify.catalogue import host_suites
from kbootstrap.verify.report import Outcome, Verdict
from tests.golden.sites import TOPOLOGIES
from tests.unit.verify.world import Answer, RecordedHost, failed_tests, outcomes_of

SUITE = "hosts/test_director.py"
DIRECTOR = "lb1"
CLUSTER = TOPOLOGIES["lvs-dr"]
WELL = (Answer("/readyz", "ok"),)


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


def test_slow_hosts_have_more_time() -> None:
    settings = CLUSTER.settings.model_copy(
        update={"timeouts": CLUSTER.settings.timeouts.model_copy(update={"scale": 2.5})}
    )
    host = RecordedHost(DIRECTOR, {}, WELL)
    outcomes_of(DIRECTOR, [SUITE], {DIRECTOR: host}, cluster=replace(CLUSTER, settings=settings))
    assert all("--max-time 13 " in command for command in host.asked if command.startswith("curl"))
