"""Two load balancers, each with a VIP of its own, in front of a small cluster with two applications by name."""

import socket
import ssl
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from ipaddress import IPv4Network
from pathlib import Path

import pytest

from kbootstrap.lab.spec import standard
from kbootstrap.pki.authority import Authority
from kbootstrap.pki.create import create_pki
from kbootstrap.pki.issue import issue
from kbootstrap.pki.spec import CertificateSpec
from tests.e2e.bed import Bed
from tests.e2e.conftest import PREFIX, BedFactory, wait_until
from tests.e2e.probe import PATIENCE, Probe, Request, probing

pytestmark = pytest.mark.long

SUBNET = IPv4Network("198.18.54.0/24")
VIP, SECOND = str(SUBNET[100]), str(SUBNET[101])
NAMES = {"shop": 30080, "billing": 30081}
LOG = "/var/log/kube-edge/access.log"

LOST_POWER_SECONDS = 2.0
HAND_OVER_SECONDS = 1.5
"""VRRP takes 0.1 to 0.65 s; a busy machine's clients some more."""

APPLICATION = """\
apiVersion: v1
kind: ConfigMap
metadata: {name: corefile}
data: {Corefile: ".:1053 {\\n  health :8080\\n}\\n"}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  replicas: 2
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      containers:
        - name: web
          image: IMAGE
          imagePullPolicy: IfNotPresent
          args: [-conf, /etc/coredns/Corefile]
          readinessProbe: {httpGet: {path: /health, port: 8080}, periodSeconds: 1}
          volumeMounts: [{name: corefile, mountPath: /etc/coredns}]
      volumes: [{name: corefile, configMap: {name: corefile}}]
"""
SERVICE = """\
---
apiVersion: v1
kind: Service
metadata: {name: NAME}
spec: {type: NodePort, selector: {app: web}, ports: [{port: 80, targetPort: 8080, nodePort: PORT}]}
"""
"""CoreDNS' image is on every node, and answers over HTTP when it is told to."""


@dataclass(slots=True)
class NamedProbe(Probe):
    """Requests to an application, by its name."""

    name: str = ""

    def ask(self) -> None:
        began, error = time.monotonic(), ""
        try:
            with self.connection() as line:
                line.sendall(f"GET /health HTTP/1.1\r\nHost: {self.name}\r\nConnection: close\r\n\r\n".encode())
                said = line.recv(200)
                error = "" if b" 200 " in said else f"said {said[:40]!r}"
        except OSError as failure:
            error = f"{type(failure).__name__}: {failure}"
        self.requests.append(Request(began, time.monotonic(), error))

    def connection(self) -> ssl.SSLSocket:
        """One that is open."""
        raw = socket.create_connection((self.address, self.port), timeout=PATIENCE)
        return self._context().wrap_socket(raw, server_hostname=self.name)

    def serial(self) -> str:
        """The number of the certificate that is served."""
        with self.connection() as line:
            return str((line.getpeercert() or {})["serialNumber"])


@pytest.fixture(scope="module")
def outside() -> Authority:
    """Who issues the applications' certificates."""
    return create_pki("outside", datetime.now(UTC), 365).kubernetes


def renew(folder: Path, outside: Authority) -> None:
    """Certificates and keys, as somebody puts them beside the inventory."""
    for name in NAMES:
        spec = CertificateSpec(name, names=(f"{name}.example.com",), server=True)
        certificate, key = issue(outside, spec, datetime.now(UTC), 90)
        (folder / f"{name}.crt").write_bytes(certificate)
        (folder / f"{name}.key").write_bytes(key)
        (folder / f"{name}.key").chmod(0o600)


@pytest.fixture(scope="module")
def bed(beds: BedFactory, outside: Authority) -> Bed:
    lab = standard(name=f"{PREFIX}lb", subnet=SUBNET, control_planes=1, workers=1, load_balancers=2)
    applications = {
        name: {
            "server_names": [f"{name}.example.com"],
            "certificate": f"{name}.crt",
            "key": f"{name}.key",
            "node_port": port,
        }
        for name, port in NAMES.items()
    }
    instances = {"second": {"vip": SECOND, "preferred": "lb2"}}
    settings = {"load_balancer": {"preferred": "lb1", "instances": instances}, "applications": applications}
    bed = beds(lab, settings)
    renew(bed.folder, outside)
    bed.run("up").expect(0, "is ready")
    image = bed.kubectl("-n kube-system get deployment coredns -o jsonpath='{.spec.template.spec.containers[0].image}'")
    services = "".join(SERVICE.replace("NAME", name).replace("PORT", str(port)) for name, port in NAMES.items())
    bed.ssh("cp1", "kubectl apply -f -", said=APPLICATION.replace("IMAGE", image) + services)
    bed.ssh("cp1", "kubectl rollout status deployment/web --timeout=120s", timeout=130)
    return bed


def application(outside: Authority, name: str, vip: str = VIP) -> NamedProbe:
    return NamedProbe(vip, 443, outside.certificate.decode(), name=f"{name}.example.com")


@contextmanager
def clients(bed: Bed, outside: Authority) -> Iterator[list[Probe]]:
    """Of the API and an application at the first VIP, and of the other application at the second."""
    api = Probe(VIP, 6443, bed.ssh("cp1", "cat /etc/kubernetes/pki/ca.crt"))
    probes = [api, application(outside, "shop"), application(outside, "billing", SECOND)]
    with ExitStack() as stack:
        yield [stack.enter_context(probing(probe)) for probe in probes]


def holder(bed: Bed, vip: str) -> list[str]:
    """The load balancers that have it."""
    shown = bed.on_all(f"ip -4 -oneline address show to {vip}/32", ["lb1", "lb2"])
    return [name for name, said in shown.items() if said]


def test_a_second_run_is_empty(bed: Bed) -> None:
    assert bed.plan() == {}
    assert (holder(bed, VIP), holder(bed, SECOND)) == (["lb1"], ["lb2"])
    bed.run("status").expect(0, "healthy", "VIP")


def test_each_name_has_its_certificate_at_every_vip(bed: Bed, outside: Authority) -> None:
    serials = {name: {application(outside, name, vip).serial() for vip in (VIP, SECOND)} for name in NAMES}
    assert all(len(found) == 1 for found in serials.values())
    assert serials["shop"] != serials["billing"]
    with pytest.raises(ssl.SSLError, match=r"(?i)unrecognized"):
        application(outside, "nobody").serial()
    probe = application(outside, "shop")
    probe.ask()
    assert probe.failures() == []
    assert '"application":"shop"' in bed.ssh("lb1", f"grep /health {LOG} | tail -1")


def test_a_renewed_certificate_breaks_no_request(bed: Bed, outside: Authority) -> None:
    probe = application(outside, "shop")
    before = probe.serial()
    renew(bed.folder, outside)
    with probe.connection() as line, clients(bed, outside) as probes:
        line.settimeout(60)
        line.sendall(
            b"POST /health HTTP/1.1\r\nHost: shop.example.com\r\nContent-Length: 2\r\nConnection: close\r\n\r\n1"
        )
        bed.run("up").expect(0)
        wait_until(lambda: probe.serial() != before, seconds=20, what="another certificate")
        line.sendall(b"2")
        assert b" 200 " in line.recv(200)
    broken = [request.error for one in probes for request in one.failures() if "Timeout" not in request.error]
    assert broken == [], "a busy machine's clients may wait too long; nobody may be refused or cut off"
    assert bed.plan() == {}


def test_a_load_balancer_without_power(bed: Bed, outside: Authority) -> None:
    with clients(bed, outside) as probes:
        time.sleep(2)
        since = time.monotonic()
        bed.lab.power_off("lb1")
        shown = f"ip -4 -oneline address show to {VIP}/32"
        wait_until(lambda: bed.ssh("lb2", shown) != "", seconds=20, what="lb2 has the VIP")
        time.sleep(4)
    bed.note("a load balancer without power: " + "; ".join(f"{one.port}: {one.silence():.2f} s" for one in probes))
    assert all(one.silence() < LOST_POWER_SECONDS for one in probes), [one.summary(since) for one in probes]
    bed.lab.power_on("lb1")
    bed.lab.wait_ssh(["lb1"])
    wait_until(lambda: holder(bed, VIP) == ["lb1"], seconds=60, what="the preferred one has it again")


def test_load_balancers_hand_over_before_they_are_booted_anew(bed: Bed, outside: Authority) -> None:
    with clients(bed, outside) as probes:
        since = time.monotonic()
        bed.run("reboot", "--limit", "load-balancer").expect(0)
    bed.note("load balancers rebooted: " + "; ".join(f"{one.port}: {one.silence():.2f} s" for one in probes))
    assert all(one.silence() < HAND_OVER_SECONDS for one in probes), [one.summary(since) for one in probes]
    bed.run("verify").expect(0, "tests passed")


def test_an_application_without_a_service_is_named(bed: Bed) -> None:
    bed.kubectl("delete service billing")
    try:
        bed.run("verify").expect(7, f"https://billing.example.com at {VIP} (w1): 502: no worker answers for it")
    finally:
        bed.ssh(
            "cp1", "kubectl apply -f -", said=SERVICE.replace("NAME", "billing").replace("PORT", str(NAMES["billing"]))
        )
    bed.run("verify").expect(0, "tests passed")
