"""A kube-apiserver on restored data: what it can read of them. It reaches nothing but its own etcd."""

import http.client
import json
import ssl
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from ipaddress import IPv4Address
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import quote

from kbootstrap.pki import paths
from kbootstrap.pki.authority import Pki
from kbootstrap.pki.issue import issue
from kbootstrap.pki.spec import CertificateSpec
from kbootstrap.private import private_folder
from kbootstrap.workflows.rehearsal.etcd import CERTIFICATE_DAYS, Member
from kbootstrap.workflows.rehearsal.scratch import LOOPBACK, Place, Scratch, wait
from kbootstrap.workflows.restore.faults import Unproven

USER = CertificateSpec("kbootstrap-rehearsal", ("system:masters",), client=True)

START_SECONDS = 240.0
"""An emulated host took 72 s."""
ANSWER_SECONDS = 60.0
PAGE = 500
"""Objects in one answer, as kubectl asks for them."""

_UNREADABLE = "unable to transform key"
"""What the apiserver says of a value that no key of its EncryptionConfiguration decrypts (apiserver, etcd3/store)."""

COUNTED: Mapping[str, str] = {
    "namespaces": "/api/v1/namespaces",
    "nodes": "/api/v1/nodes",
    "pods": "/api/v1/pods",
    "services": "/api/v1/services",
    "configmaps": "/api/v1/configmaps",
    "secrets": "/api/v1/secrets",
    "persistentvolumes": "/api/v1/persistentvolumes",
    "deployments": "/apis/apps/v1/deployments",
    "statefulsets": "/apis/apps/v1/statefulsets",
    "customresourcedefinitions": "/apis/apiextensions.k8s.io/v1/customresourcedefinitions",
}

_NOWHERE = """\
apiVersion: apiserver.k8s.io/v1beta1
kind: EgressSelectorConfiguration
egressSelections:
  - name: cluster
    connection:
      proxyProtocol: HTTPConnect
      transport: {uds: {udsName: SOCKET}}
"""
"""Webhooks, aggregated APIs and kubelets in the restored data are those of the running cluster: all of that traffic
goes to a socket that does not exist."""


@dataclass(frozen=True, slots=True)
class Api:
    """An administrator's way to the scratch apiserver."""

    port: int
    tls: ssl.SSLContext

    def get(self, path: str) -> tuple[int, bytes]:
        """Status and body of an answer. Raises OSError or HTTPException when there is none."""
        line = http.client.HTTPSConnection(LOOPBACK, self.port, timeout=ANSWER_SECONDS, context=self.tls)
        try:
            line.request("GET", path)
            answer = line.getresponse()
            return answer.status, answer.read()
        finally:
            line.close()

    def is_ready(self) -> bool:
        """Whether it says that it is. Raises Unproven when it never will: it waits for Secrets that it cannot read."""
        try:
            if self.get("/readyz")[0] == http.HTTPStatus.OK:
                return True
            status, body = self.get(f"{COUNTED['secrets']}?limit=1")
        except (OSError, http.client.HTTPException):
            return False
        if status == http.HTTPStatus.INTERNAL_SERVER_ERROR and _UNREADABLE in _message(body):
            raise Unproven("the apiserver cannot read the Secrets with these keys", output=_message(body))
        return False

    def page(self, path: str) -> dict[str, Any]:
        """A list. Raises Unproven with the apiserver's own words."""
        try:
            status, body = self.get(path)
        except (OSError, http.client.HTTPException) as error:
            raise Unproven(f"the apiserver does not answer for {path}: {error}") from error
        if status != http.HTTPStatus.OK:
            raise Unproven(f"the apiserver cannot read {path}", output=_message(body))
        value: dict[str, Any] = json.loads(body)
        return value

    def count(self, path: str) -> int:
        """How many objects there are."""
        page = self.page(f"{path}?limit=1")
        return len(page["items"]) + int(page["metadata"].get("remainingItemCount", 0))

    def names(self, path: str) -> Iterator[str]:
        """Every object, read whole; yields its name."""
        following = ""
        while True:
            page = self.page(f"{path}?limit={PAGE}{following}")
            yield from (item["metadata"]["name"] for item in page["items"])
            token = page["metadata"].get("continue")
            if not token:
                return
            following = f"&continue={quote(token)}"


def _message(body: bytes) -> str:
    try:
        return str(json.loads(body)["message"])
    except (ValueError, LookupError, TypeError):
        return body.decode(errors="replace")


def start_apiserver(
    scratch: Place, program: Path, keys: Mapping[PurePosixPath, bytes], pki: Pki, member: Member
) -> Api:
    """Starts it with the backup's keys (the files, and what they mean). Raises Unproven."""
    (port,) = scratch.ports(1)
    serving = CertificateSpec("kube-apiserver", addresses=(IPv4Address(LOOPBACK),), server=True)
    certificate, key = _issued(scratch, "serving", pki, serving)
    authority = scratch.write("ca.crt", pki.kubernetes.certificate)
    nowhere = _NOWHERE.replace("SOCKET", str(scratch.path("nowhere.sock")))
    arguments = {
        "bind-address": LOOPBACK,
        "advertise-address": LOOPBACK,
        "secure-port": port,
        "etcd-servers": member.url,
        "etcd-cafile": member.authority,
        "etcd-certfile": member.certificate,
        "etcd-keyfile": member.key,
        "encryption-provider-config": scratch.write("encryption.yaml", keys[paths.ENCRYPTION_CONFIG]),
        "tls-cert-file": certificate,
        "tls-private-key-file": key,
        "client-ca-file": authority,
        "anonymous-auth": "false",
        "authorization-mode": "RBAC",
        "service-account-issuer": "https://rehearsal.invalid",
        "service-account-key-file": scratch.write("sa.pub", pki.service_account.public),
        "service-account-signing-key-file": scratch.write("sa.key", pki.service_account.private),
        "endpoint-reconciler-type": "none",
        "egress-selector-config-file": scratch.write("egress.yaml", nowhere.encode()),
        "disable-admission-plugins": "MutatingAdmissionWebhook,ValidatingAdmissionWebhook",
        "watch-cache": "false",  # it would read everything before it is ready
        "v": 1,
    }
    scratch.start("kube-apiserver", (program, *(f"--{name}={value}" for name, value in arguments.items())))
    api = Api(scratch.reach(port), _client(pki))
    wait(scratch, "kube-apiserver", api.is_ready, seconds=START_SECONDS)
    return api


def _issued(scratch: Place, name: str, pki: Pki, spec: CertificateSpec) -> tuple[Path, Path]:
    certificate, key = issue(pki.kubernetes, spec, datetime.now(UTC), CERTIFICATE_DAYS)
    return scratch.write(f"{name}.crt", certificate), scratch.write(f"{name}.key", key)


def _client(pki: Pki) -> ssl.SSLContext:
    """Who asks from here; ssl reads its certificate from files only."""
    context = ssl.create_default_context(cadata=pki.kubernetes.certificate.decode())
    with private_folder() as folder:
        context.load_cert_chain(*_issued(Scratch(folder), "client", pki, USER))
    return context


def read_objects(api: Api) -> dict[str, int]:
    """How many objects of each kind there are; every Secret is read, so decrypted. Raises Unproven."""
    secrets = sum(1 for _ in api.names(COUNTED["secrets"]))
    namespaces = set(api.names(COUNTED["namespaces"]))
    if "kube-system" not in namespaces:
        raise Unproven(f"there is no namespace kube-system, only {', '.join(sorted(namespaces)) or 'none'}")
    return {**{kind: api.count(path) for kind, path in COUNTED.items()}, "secrets": secrets}
