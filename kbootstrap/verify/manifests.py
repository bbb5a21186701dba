"""The objects of the live checks: a pod on every node, and Services in front of them."""

import os
import secrets
import socket
from datetime import datetime, timedelta
from typing import Any

PREFIX = "kbootstrap-verify-"
LABEL = "kbootstrap.io/verify"
OWNER = "kbootstrap.io/owner"

APP = "web"
PORT = 8080
SERVICE_PORT = 80
CLUSTER_SERVICE = "web"
NODE_PORT_SERVICE = "web-node-port"
SECRET = "sealed"  # noqa: S105 - its name
SECRET_TEXT = "what nobody should find in etcd"  # noqa: S105 - it hides nothing

NOBODY = 65534

STALE_AFTER = timedelta(minutes=15)
"""Longer than any verification takes; a namespace that is older belongs to one that was killed."""


def owner() -> str:
    """Who made a namespace: a process of a machine."""
    return f"{socket.gethostname()}/{os.getpid()}"


def is_stale(made_by: str, made_at: datetime, now: datetime) -> bool:
    """Whether the verification that made a namespace has ended without taking it away."""
    machine, _, process = made_by.rpartition("/")
    if machine == socket.gethostname() and process.isdigit():
        return not _lives(int(process))
    return now - made_at > STALE_AFTER


def _lives(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def namespace() -> dict[str, Any]:
    """A new namespace with a name of its own."""
    metadata = {
        "name": f"{PREFIX}{secrets.token_hex(3)}",
        "labels": {LABEL: "true", "pod-security.kubernetes.io/enforce": "restricted"},
        "annotations": {OWNER: owner()},
    }
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": metadata}


def daemon_set(image: str) -> dict[str, Any]:
    """A pod on every node, whatever its taints; it may do nothing that a restricted pod may not."""
    container = {
        "name": APP,
        "image": image,
        "imagePullPolicy": "IfNotPresent",
        "args": ["netexec", f"--http-port={PORT}", "--udp-port=-1"],
        "ports": [{"containerPort": PORT}],
        "readinessProbe": {"httpGet": {"path": "/hostname", "port": PORT}, "periodSeconds": 1},
        "resources": {"requests": {"cpu": "10m", "memory": "16Mi"}},
        "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
    }
    pod = {
        "containers": [container],
        "tolerations": [{"operator": "Exists"}],
        "terminationGracePeriodSeconds": 0,
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": NOBODY,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
    }
    return {
        "apiVersion": "apps/v1",
        "kind": "DaemonSet",
        "metadata": {"name": APP},
        "spec": {
            "selector": {"matchLabels": {"app": APP}},
            "template": {"metadata": {"labels": {"app": APP}}, "spec": pod},
        },
    }


def service(name: str, kind: str) -> dict[str, Any]:
    """A Service of the given type in front of all pods."""
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": name},
        "spec": {"type": kind, "selector": {"app": APP}, "ports": [{"port": SERVICE_PORT, "targetPort": PORT}]},
    }


def secret() -> dict[str, Any]:
    """A Secret, to be looked for in etcd."""
    return {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": SECRET}, "stringData": {"text": SECRET_TEXT}}
