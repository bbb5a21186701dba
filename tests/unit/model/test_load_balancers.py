"""Load balancers and applications: what is accepted, and what is wrong with the rest."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from kbootstrap.model.served_certificate import covers
from kbootstrap.pki.authority import Authority
from kbootstrap.pki.create import create_pki
from kbootstrap.pki.issue import create_authority, issue
from kbootstrap.pki.spec import CertificateSpec
from tests.unit.model.worlds import HOSTS, Desk

HEAD = """\
apiVersion: kbootstrap/v1
cluster: {name: demo, kubernetes: 1.36.4, endpoint: {mode: external, vip: 198.18.0.100}}
"""
BALANCERS = """\
  lb1: {address: 198.18.0.91, roles: [load-balancer]}
  lb2: {address: 198.18.0.92, roles: [load-balancer]}
"""
TIER = HEAD + HOSTS + BALANCERS
NOW = datetime.now(UTC)
SHOP = "{server_names: [shop.example.com], certificate: shop.crt, key: shop.key, node_port: 30080}"


@pytest.fixture(scope="module")
def authority() -> Authority:
    return create_pki("demo", NOW, 3650).kubernetes


def write(folder: Path, authority: Authority, name: str, *names: str, days: int = 90, now: datetime = NOW) -> None:
    """A certificate and its key, as somebody would put them there."""
    certificate, key = issue(authority, CertificateSpec(name, names=names, server=True), now, days)
    (folder / f"{name}.crt").write_bytes(certificate + authority.certificate)
    (folder / f"{name}.key").write_bytes(key)
    (folder / f"{name}.key").chmod(0o600)


def applications(**written: str) -> str:
    """An inventory with these applications."""
    return TIER + "applications:\n" + "".join(f"  {name}: {text}\n" for name, text in written.items())


def messages(desk: Desk, text: str, *, local: bool = False) -> list[str]:
    """What is wrong, without the places."""
    return [problem.message for problem in desk.problems(text, local=local)]


def test_the_tier_is_where_clients_find_the_api(desk: Desk) -> None:
    cluster = desk.load(TIER + "load_balancer: {instances: {more: {vip: 198.18.0.101, preferred: lb2}}}\n")
    assert cluster.endpoint_host == "198.18.0.100"
    assert [host.name for host in cluster.vip_hosts] == ["lb1", "lb2"]
    assert [str(vip) for vip in cluster.vips] == ["198.18.0.100", "198.18.0.101"]
    assert not any(host.is_node for host in cluster.load_balancers)
    assert desk.notes == []


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (HEAD + HOSTS, "no host has the role load-balancer"),
        (TIER.replace("mode: external, ", ""), "lb1 is a load balancer, and has no virtual IP to hold"),
        (TIER.replace("[load-balancer]", "[load-balancer, worker]", 1), "a load balancer cannot be worker as well"),
        (TIER.replace("198.18.0.100", "198.18.0.91"), "198.18.0.91 is the address of lb1"),
        (TIER.replace("198.18.0.100", "10.1.2.3"), "not in the subnet of the load-balancer hosts"),
        (TIER + "load_balancer: {preferred: lb3}\n", "'lb3' is no load balancer of this inventory"),
        (
            TIER + "load_balancer: {instances: {a: {vip: 198.18.0.100}}}\n",
            "198.18.0.100 is cluster.endpoint.vip already",
        ),
        (TIER + "load_balancer: {instances: {a: {vip: 198.18.0.9, router_id: 100}}}\n", "router id 100 is that of"),
        (TIER.replace("mode: external, vip: 198.18.0.100", "mode: external"), "mode external needs 'address'"),
        (TIER.replace("vip: 198.18.0.100", "vip: 198.18.0.100, address: x.example"), "does not go with mode external"),
    ],
)
def test_a_tier_that_cannot_work_is_refused(desk: Desk, text: str, said: str) -> None:
    assert said in desk.problem(text).message


def test_lvs_is_for_load_balancers(desk: Desk) -> None:
    assert desk.load(TIER).lvs is None
    found = desk.load(TIER + "load_balancer: {lvs: {method: nat}}\n").lvs
    assert found is not None
    assert (found.method, found.scheduler, found.connection_sync) == ("nat", "wlc", True)


def test_one_load_balancer_alone_is_unwise(desk: Desk) -> None:
    assert "one load balancer alone" in desk.warning(HEAD + HOSTS + BALANCERS.splitlines(keepends=True)[0])


def test_balancing_nobody_is_unwise(desk: Desk) -> None:
    text = "apiVersion: kbootstrap/v1\ncluster: {name: demo, kubernetes: 1.36.4}\n" + HOSTS
    assert "no host has the role load-balancer" in desk.warning(text + "load_balancer: {}\n")


@pytest.mark.parametrize(
    ("one", "said"),
    [
        ("{server_names: [a.example], certificate: c, node_port: 30080}", "protocol https needs 'key'"),
        (
            "{protocol: http, server_names: [a.example], key: k, node_port: 30080}",
            "'key' does not go with protocol http",
        ),
        ("{protocol: tcp, node_port: 30080}", "protocol tcp needs 'port'"),
        ("{protocol: http, server_names: [a.example]}", "an application is behind a node_port or an ingress"),
        ("{protocol: http, server_names: [a.example], node_port: 80}", "80 lies outside network.node_ports"),
        ("{protocol: http, server_names: [a.example], ingress: x}", "'x' is no ingress controller"),
        ("{protocol: http, server_names: [a_b], node_port: 30080}", "'a_b' is no domain name"),
        ("{protocol: http, server_names: [a.b, a.b], node_port: 30080}", "a.b is here for the second time"),
        ("{protocol: tcp, port: 443, node_port: 30080}", "443 is the port of https already"),
        ("{protocol: tcp, port: 6443, node_port: 30080}", "6443 is the port of the API already"),
        ("{protocol: tcp, port: 22, node_port: 30080}", "22 is the port of sshd already"),
        (
            '{protocol: http, server_names: [a.b], node_port: 30080, headers: {X: "$host"}}',
            "cannot be a header's value",
        ),
        ("{protocol: http, server_names: [a.b], node_port: 30080, body_size: 1 GB}", "body_size"),
        (
            "{protocol: http, server_names: [a.b], node_port: 30080, acme_solver: nowhere}",
            "'nowhere' is no place to ask",
        ),
        ("{protocol: http, server_names: [a.b], node_port: 30080, allowed_sources: [10.0.0.1]}", "is no address range"),
    ],
)
def test_an_application_that_cannot_be_served_is_refused(desk: Desk, one: str, said: str) -> None:
    assert said in desk.problem(applications(web=one), local=False).message


def test_everything_that_two_applications_share_is_said_at_once(desk: Desk) -> None:
    found = messages(
        desk,
        applications(
            a="{protocol: http, server_names: [x.example], node_port: 30080}",
            b="{protocol: http, server_names: [x.example], node_port: 30080}",
            c="{protocol: tcp, port: 5432, node_port: 30090}",
            d="{protocol: tcp, port: 5432, node_port: 30081}",
            e="{protocol: http, server_names: [], node_port: 30082}",
        )
        + "ingress_controllers: {public: {node_port: 30090}}\n",
    )
    said = " | ".join(found)
    assert len(found) == 5, found
    assert "x.example leads to a already" in said
    assert "30080 is the NodePort of a already" in said
    assert "5432 is the port of c already" in said
    assert "30090 is the NodePort of the ingress controller public already" in said
    assert "protocol http needs 'server_names'" in said


def test_applications_behind_one_ingress_controller_share_its_port(desk: Desk) -> None:
    text = applications(
        a="{protocol: http, server_names: [a.example], ingress: public}",
        b="{protocol: http, server_names: [b.example], ingress: public}",
    )
    cluster = desk.load(text + "ingress_controllers: {public: {node_port: 30090}}\n")
    assert set(cluster.settings.applications) == {"a", "b"}


def test_applications_need_load_balancers(desk: Desk) -> None:
    text = applications(a="{protocol: http, server_names: [a.example], node_port: 30080}").replace(BALANCERS, "")
    assert "no host has the role load-balancer, to make applications reachable" in " ".join(messages(desk, text))


def test_a_good_certificate_is_accepted(desk: Desk, authority: Authority) -> None:
    write(desk.folder, authority, "shop", "shop.example.com", "*.shop.example.com")
    names = "[shop.example.com, www.shop.example.com]"
    cluster = desk.load(applications(shop=SHOP.replace("[shop.example.com]", names)))
    assert cluster.settings.applications["shop"].certificate == desk.folder / "shop.crt"
    assert desk.notes == []


def test_everything_wrong_with_certificates_is_said(desk: Desk, authority: Authority) -> None:
    other = create_pki("other", NOW, 3650).kubernetes
    write(desk.folder, authority, "old", "old.example.com", days=3, now=NOW - timedelta(days=9))
    write(desk.folder, authority, "early", "early.example.com", now=NOW + timedelta(days=9))
    write(desk.folder, authority, "other", "other.example.com")
    write(desk.folder, authority, "shop", "shop.example.com")
    (desk.folder / "other.key").write_bytes((desk.folder / "shop.key").read_bytes())
    chain = (desk.folder / "shop.crt").read_bytes().replace(authority.certificate, other.certificate)
    (desk.folder / "shop.crt").write_bytes(chain)
    (desk.folder / "broken.crt").write_text("no certificate\n")
    (desk.folder / "broken.key").write_text("no key\n")
    (desk.folder / "broken.key").chmod(0o644)
    names = ("old", "early", "other", "shop", "broken", "absent")
    written = {
        name: f"{{server_names: [{name}.example.com], certificate: {name}.crt, key: {name}.key, node_port: {port}}}"
        for port, name in enumerate(names, 30080)
    }
    written["shop"] = written["shop"].replace("[shop.example.com]", "[shop.example.com, shop.example.org]")
    found = messages(desk, applications(**written), local=True)
    expected = {
        "applications.old.certificate": "it expired on",
        "applications.early.certificate": "it is not valid before",
        "applications.other.key": "the key belongs to another certificate",
        "applications.broken.certificate": "there is no certificate in it that can be read",
        "applications.absent.certificate": "No such file",
    }
    for place, said in expected.items():
        assert any(message.startswith(place) and said in message for message in found), (place, found)
    of_shop = [message for message in found if message.startswith("applications.shop")]
    assert any("it is not for shop.example.org" in message for message in of_shop)
    assert any("certificate 2 has not issued the one before" in message for message in of_shop)
    of_broken = [message for message in found if message.startswith("applications.broken.key")]
    assert any("can be read by others" in message for message in of_broken)
    assert any("no private key in it" in message for message in of_broken)


def renewed(authority: Authority, began: datetime, days: int) -> Authority:
    """The same authority with a certificate of another time."""
    return create_authority("Outside CA", "outside", began, days, authority.key)


@pytest.mark.parametrize(
    ("began", "days", "said"),
    [(-30, 20, "its certificate 2 (CN=Outside CA,O=outside) expired on"), (9, 90, "is not valid before")],
)
def test_a_certificate_in_between_that_is_not_valid_now(desk: Desk, began: int, days: int, said: str) -> None:
    """Clients would refuse the chain."""
    outside = create_authority("Outside CA", "outside", NOW, 3650)
    write(desk.folder, outside, "shop", "shop.example.com")
    between = renewed(outside, NOW + timedelta(days=began), days)
    chain = (desk.folder / "shop.crt").read_bytes().replace(outside.certificate, between.certificate)
    (desk.folder / "shop.crt").write_bytes(chain)
    [message] = messages(desk, applications(shop=SHOP), local=True)
    assert said in message


def test_a_certificate_in_between_that_ends_soon_is_a_warning(desk: Desk) -> None:
    outside = create_authority("Outside CA", "outside", NOW, 3650)
    write(desk.folder, outside, "shop", "shop.example.com")
    chain = (desk.folder / "shop.crt").read_bytes()
    short = renewed(outside, NOW, 6).certificate
    (desk.folder / "shop.crt").write_bytes(chain.replace(outside.certificate, short))
    assert "expires in 5 days" in desk.warning(applications(shop=SHOP))


def test_a_certificate_that_ends_soon_is_a_warning(desk: Desk, authority: Authority) -> None:
    write(desk.folder, authority, "shop", "shop.example.com", days=5)
    assert "expires in" in desk.warning(applications(shop=SHOP))


@pytest.mark.parametrize(
    ("pattern", "name", "good"),
    [
        ("a.example", "a.example", True),
        ("*.example", "a.example", True),
        ("*.example", "a.b.example", False),
        ("*.example", "example", False),
        ("*.example", "*.example", True),
        ("*.example", "*.a.example", False),
        ("A.Example", "a.example", True),
    ],
)
def test_names_are_covered_as_browsers_do_it(pattern: str, name: str, good: bool) -> None:
    assert covers(pattern, name) is good
