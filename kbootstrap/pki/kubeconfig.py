"""Kubeconfig files: written here, and what they embed read back."""

import base64
import binascii
import json
import re
from dataclasses import dataclass, field

_EMBEDDED = re.compile(rb'^ +(server|[a-z-]+-data): "?([^"\s]+)"?$', re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Credentials:
    """What a kubeconfig embeds; empty where it has none."""

    server: str
    authority: bytes
    certificate: bytes
    key: bytes = field(repr=False)


def kubeconfig_text(
    *, server_url: str, cluster_name: str, user: str, authority: bytes, certificate: bytes, key: bytes
) -> str:
    """A kubeconfig with one context; `authority` is the certificate of the cluster's, all three are PEM.

    Every value is quoted as JSON, which YAML includes. Equal arguments give equal text.
    """
    cluster, name, context = (json.dumps(text) for text in (cluster_name, user, f"{user}@{cluster_name}"))
    return f"""\
apiVersion: v1
kind: Config
clusters:
  - name: {cluster}
    cluster:
      server: {json.dumps(server_url)}
      certificate-authority-data: {_encoded(authority)}
users:
  - name: {name}
    user:
      client-certificate-data: {_encoded(certificate)}
      client-key-data: {_encoded(key)}
contexts:
  - name: {context}
    context:
      cluster: {cluster}
      user: {name}
current-context: {context}
"""


def embedded(text: bytes) -> Credentials:
    """What a kubeconfig with one context embeds; lenient: what cannot be read is empty."""
    found = {name.decode(): value for name, value in _EMBEDDED.findall(text)}
    return Credentials(
        server=found.get("server", b"").decode(errors="replace"),
        authority=_decoded(found.get("certificate-authority-data", b"")),
        certificate=_decoded(found.get("client-certificate-data", b"")),
        key=_decoded(found.get("client-key-data", b"")),
    )


def _encoded(pem: bytes) -> str:
    return base64.b64encode(pem).decode()


def _decoded(text: bytes) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except binascii.Error:
        return b""
