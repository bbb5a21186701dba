"""Two HTTPS applications at the edge, each with a certificate of its own, and how tests ask for them."""

import socket
import ssl
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from kbootstrap.pki.authority import Authority
from kbootstrap.pki.create import create_pki
from kbootstrap.pki.issue import issue
from kbootstrap.pki.spec import CertificateSpec
from tests.e2e.bed import Bed
from tests.e2e.probe import PATIENCE, Probe, Request

NAMES = {"shop": 30080, "billing": 30081}
"""The applications, and their NodePorts."""

PROBES = tuple(f"edge.{name}" for name in sorted(NAMES))
"""What the tool calls its probes of them, in the order of its reports."""

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
      affinity:
        podAntiAffinity:
          preferredDuringSchedulingIgnoredDuringExecution:
            - weight: 100
              podAffinityTerm: {topologyKey: kubernetes.io/hostname, labelSelector: {matchLabels: {app: web}}}
      containers:
        - name: web
          image: IMAGE
          imagePullPolicy: IfNotPresent
          args: [-conf, /etc/coredns/Corefile]
          readinessProbe: {httpGet: {path: /health, port: 8080}, periodSeconds: 1}
          lifecycle: {preStop: {sleep: {seconds: 5}}}
          volumeMounts: [{name: corefile, mountPath: /etc/coredns}]
      volumes: [{name: corefile, configMap: {name: corefile}}]
---
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata: {name: web}
spec: {minAvailable: 1, selector: {matchLabels: {app: web}}}
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


def outside_authority() -> Authority:
    """Who issues the applications' certificates."""
    return create_pki("outside", datetime.now(UTC), 365).kubernetes


def in_inventory() -> dict[str, Any]:
    """The applications, as an inventory has them; their files are beside it."""
    return {
        name: {
            "server_names": [f"{name}.example.com"],
            "certificate": f"{name}.crt",
            "key": f"{name}.key",
            "node_port": port,
        }
        for name, port in NAMES.items()
    }


def renew(folder: Path, outside: Authority) -> None:
    """Certificates and keys, as somebody puts them beside the inventory."""
    for name in NAMES:
        spec = CertificateSpec(name, names=(f"{name}.example.com",), server=True)
        certificate, key = issue(outside, spec, datetime.now(UTC), 90)
        (folder / f"{name}.crt").write_bytes(certificate)
        (folder / f"{name}.key").write_bytes(key)
        (folder / f"{name}.key").chmod(0o600)


def deploy(bed: Bed) -> None:
    """Two pods that answer, and a Service for each name."""
    image = bed.kubectl("-n kube-system get deployment coredns -o jsonpath='{.spec.template.spec.containers[0].image}'")
    bed.ssh("cp1", "kubectl apply -f -", said=APPLICATION.replace("IMAGE", image) + "".join(map(service, NAMES)))
    bed.ssh("cp1", "kubectl rollout status deployment/web --timeout=120s", timeout=130)


def service(name: str) -> str:
    """An application's Service."""
    return SERVICE.replace("NAME", name).replace("PORT", str(NAMES[name]))


def application(outside: Authority, name: str, vip: str) -> NamedProbe:
    return NamedProbe(vip, 443, outside.certificate.decode(), name=f"{name}.example.com")
