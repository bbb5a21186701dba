"""What the prober is told: all it needs for one run, as JSON through its standard input."""

import json
from base64 import b64encode
from dataclasses import asdict, dataclass, field
from typing import Any, Self

RATE = 50.0
"""Requests of a probe per second: a gap of 20 ms is seen."""

PATIENCE = 5.0
"""Seconds after which a request without an answer has failed: longer than any outage that a drill allows."""

CENSUS_SECONDS = 0.25
"""Between two looks at the application's replicas."""


KEPT = 8
"""Connections of a probe that keeps them: behind a proxy they lead to every apiserver, so each one's end is seen."""

MANY = 15_000
"""Objects of a writing probe, after which it writes more seldom: five minutes' at full rate, some 10 MB in etcd."""

THINNED = 10


@dataclass(frozen=True, slots=True)
class Target:
    """Where requests go, and how reasons of failures name it."""

    host: str
    port: int
    name: str = ""


@dataclass(frozen=True, slots=True)
class Credentials:
    """What TLS needs, PEM: whom to trust and under which name, and who asks (nobody without a certificate)."""

    server_name: str
    authority: str
    certificate: str = ""
    key: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class Probe:
    """One kind of request, sent `rate` times a second, to its targets in turn.

    With `kept` on as many connections in turn that are kept open (for each target), else each on a new one. With a
    `body` it is a POST; `{name}` in the body stands for a name that no other request has (see `object_name`), and
    `{key}` for `prefix` and that name in base64, as etcd's gateway takes keys. After `many` of those the rate falls to
    a tenth, as the cluster has to keep all of them until the end. `credentials` are others than the run's. Where it is
    not `strict`, what the application says is its own affair, and only a proxy's word that nobody answers is a failure.
    """

    name: str
    targets: tuple[Target, ...]
    path: str
    kept: int = 0
    secure: bool = True
    body: str = ""
    rate: float = RATE
    many: int = MANY
    prefix: str = ""
    credentials: Credentials | None = None
    strict: bool = True

    def interval(self, serial: int) -> float:
        """Seconds from a request to the next."""
        return (THINNED if self.body and serial >= self.many else 1) / self.rate

    def content(self, serial: int) -> bytes:
        """The body of request number `serial`; empty for a GET."""
        name = object_name(self.name, serial)
        key = b64encode(f"{self.prefix}{name}".encode()).decode()
        return self.body.replace("{name}", name).replace("{key}", key).encode()

    @classmethod
    def from_value(cls, value: dict[str, Any]) -> Self:
        credentials = value["credentials"]
        targets = tuple(Target(**target) for target in value["targets"])
        return cls(**{**value, "targets": targets, "credentials": credentials and Credentials(**credentials)})


@dataclass(frozen=True, slots=True)
class Census:
    """A list of pods (its path in the API), counted every `interval` seconds."""

    target: Target
    path: str
    interval: float = CENSUS_SECONDS


@dataclass(frozen=True, slots=True)
class Watch:
    """A list (its path in the API) that is watched. A server that is silent for `patience` seconds is given up.

    HTTP/2 clients of Kubernetes ping after 5 s where they are told to (HTTP2_READ_IDLE_TIMEOUT_SECONDS).
    """

    target: Target
    path: str
    patience: float = 5.0


@dataclass(frozen=True, slots=True)
class Spec:
    """A whole run. `samples` is the file that they are written to; `patience` is in seconds."""

    samples: str
    credentials: Credentials
    probes: tuple[Probe, ...]
    census: Census | None = None
    watch: Watch | None = None
    patience: float = PATIENCE

    def to_json(self) -> str:
        """One line."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str | bytes) -> Self:
        value = json.loads(text)
        census, watch = value["census"], value["watch"]
        return cls(
            samples=value["samples"],
            credentials=Credentials(**value["credentials"]),
            probes=tuple(Probe.from_value(probe) for probe in value["probes"]),
            census=census and Census(Target(**census["target"]), census["path"], census["interval"]),
            watch=watch and Watch(Target(**watch["target"]), watch["path"], watch["patience"]),
            patience=value["patience"],
        )


def object_name(probe: str, serial: int) -> str:
    """The name of the object that a probe's request number `serial` (from 0) creates."""
    return f"{probe}-{serial:07d}"
