"""What clients reach of the applications at the virtual IPs, asked for from hosts of the cluster."""

import base64
import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from shlex import quote

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from kbootstrap.model.applications import HTTP_PORT, HTTPS_PORT, Application
from kbootstrap.model.cluster import Cluster
from kbootstrap.verify.asking import ANSWER_SECONDS
from kbootstrap.verify.everywhere import Everywhere
from kbootstrap.verify.layout import is_real_server

MOVED = "308"
NOBODY = ("502", "504")
"""What Nginx says when no worker accepts a connection, or none answers (its ngx_http_proxy_module)."""
TROUBLE = {
    "7": "nobody listens there",
    "28": "no answer in time",
    "35": "TLS is refused",
    "90": "it has another key than the inventory's certificate",
}
"""By what curl ended with (its manual, exit codes)."""


@dataclass(frozen=True, slots=True)
class Request:
    """A command that prints the status of an answer; which one is wanted, where only one is right."""

    command: str
    wanted: str = ""


def test_answers(hosts: Everywhere, cluster: Cluster, application: str) -> None:
    """The application answers at every virtual IP, with the inventory's key."""
    asked = dict(_requests(cluster, cluster.settings.applications[application]))
    script = "\n".join(
        f"said=$({request.command}); printf '%s\\t%s %s\\n' {quote(label)} \"$said\" $?"
        for label, request in asked.items()
    )
    # Those that LVS hands connections on to would reach themselves.
    outside = [host.name for host in cluster.hosts if not is_real_server(cluster, host)]
    wrong = {
        f"{label} ({host})": trouble
        for host, said in hosts.run(script, outside).items()
        for label, trouble in _troubles(said, asked)
    }
    assert wrong == {}, (
        "on a load balancer: journalctl -u kube-edge-nginx; in the cluster: is the NodePort's Service there?"
    )


def _requests(cluster: Cluster, application: Application) -> Iterator[tuple[str, Request]]:
    seconds = cluster.settings.timeouts.scaled(ANSWER_SECONDS)
    curl = partial(_curl, seconds)
    for vip in cluster.vips:
        if application.port is not None:
            opened = f"timeout {seconds} bash -c ': </dev/tcp/{vip}/{application.port}' 2>/dev/null"
            yield f"{vip}:{application.port}", Request(opened)
        for name in application.server_names:
            host = name.replace("*", "kbootstrap-verify")
            if application.protocol == "https":
                yield f"https://{host} at {vip}", Request(curl("https", host, vip, HTTPS_PORT, *_pinned(application)))
            if application.protocol == "http":
                yield f"http://{host} at {vip}", Request(curl("http", host, vip, HTTP_PORT))
            elif application.redirect:
                yield f"http://{host} at {vip}", Request(curl("http", host, vip, HTTP_PORT), MOVED)


def _curl(seconds: int, scheme: str, host: str, vip: object, port: int, *options: str) -> str:
    words = ("--silent", "--output", "/dev/null", "--max-time", str(seconds), "--write-out", "%{http_code}", *options)
    return f"curl {' '.join(map(quote, words))} --resolve {host}:{port}:{vip} {scheme}://{host}/"


def _pinned(application: Application) -> tuple[str, ...]:
    """Hosts may not know who issued it: `validate` and `up` look at the chain. The key must be right."""
    assert application.certificate is not None
    certificate = x509.load_pem_x509_certificate(application.certificate.read_bytes())
    key = certificate.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return "--insecure", "--pinnedpubkey", f"sha256//{base64.b64encode(hashlib.sha256(key).digest()).decode()}"


def _troubles(said: str, asked: dict[str, Request]) -> Iterator[tuple[str, str]]:
    answers = dict(line.split("\t", 1) for line in said.splitlines() if "\t" in line)
    if not answers:
        yield next(iter(asked)), said
    for label, answer in answers.items():
        status, _, ended = answer.rpartition(" ")
        wanted = asked[label].wanted
        if ended != "0":
            yield label, TROUBLE.get(ended, f"the question ended with {ended}")
        elif status in NOBODY:
            yield label, f"{status}: no worker answers for it"
        elif wanted and status != wanted:
            yield label, f"{status} instead of {wanted}"
