"""The sections of an inventory about what clients outside reach through the load balancers."""

import re
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, WithJsonSchema, model_validator

from kbootstrap.model.fields import AddressRange, DnsLabel, Port, Refused, ScalarText, dns_name
from kbootstrap.model.section import Section

HTTP_PORT = 80
HTTPS_PORT = 443

_BODY_SIZE = re.compile(r"\d+[kmg]?")
_HEADER = re.compile(r"[A-Za-z][A-Za-z0-9-]*")
_SOLVER = re.compile(r"([a-z0-9]([a-z0-9.-]*[a-z0-9])?):(\d{1,5})")


def server_name(text: str) -> str:
    """A name that clients ask for; `*.` in front stands for any one label."""
    dns_name(text.removeprefix("*."))
    return text


def header_name(text: str) -> str:
    """The name of a header of HTTP."""
    if _HEADER.fullmatch(text) is None:
        raise Refused(f"{text!r} is no header", "letters, digits and '-', such as X-Frame-Options")
    return text


def header_value(text: str) -> str:
    """What a header says, on one line. Nginx's variables would be expanded, and its quoting ended."""
    if not text.isprintable() or any(char in text for char in "\\$"):
        raise Refused(f"{text!r} cannot be a header's value", "printable, without '$' and '\\'")
    return text


def solver(text: str) -> str:
    """Where something listens: `host:port`."""
    match = _SOLVER.fullmatch(text)
    if match is None or not 1 <= int(match[3]) <= 65535:
        raise Refused(f"{text!r} is no place to ask", "write host:port, such as 198.18.0.5:8080")
    return text


ServerName = Annotated[str, AfterValidator(server_name)]
HeaderName = Annotated[str, AfterValidator(header_name)]
HeaderValue = Annotated[ScalarText, AfterValidator(header_value)]
BodySize = Annotated[
    str, Field(pattern=f"^{_BODY_SIZE.pattern}$"), WithJsonSchema({"type": "string", "pattern": _BODY_SIZE.pattern})
]


class IngressController(Section):
    """An ingress controller that you run in the cluster, at a NodePort of its own: one for all, or one a namespace."""

    node_port: Port = Field(description="of its Service, inside network.node_ports")
    protocol: Literal["http", "https"] = Field("http", description="what it speaks there")


class Application(Section):
    """What clients outside reach at the load balancers' virtual IPs, and where it is in the cluster."""

    protocol: Literal["https", "http", "tcp"] = Field("https", description="towards clients")
    server_names: tuple[ServerName, ...] = Field((), description="names that clients ask for; *.NAME is for any label")
    certificate: Path | None = Field(None, description="PEM on the control machine: its own, then those in between")
    key: Path | None = Field(None, description="PEM on the control machine, which only you can read")
    port: Port | None = Field(None, description="where clients find it; only for tcp")
    node_port: Port | None = Field(None, description="of its Service, inside network.node_ports")
    ingress: DnsLabel | None = Field(None, description="instead of node_port: a name in ingress_controllers")
    backend: Literal["http", "https"] = Field("http", description="what it speaks at its node_port")
    redirect: bool = Field(True, description="from http to https")
    websockets: bool = Field(True, description="connections may be upgraded")
    body_size: BodySize = Field("10m", description="the largest request, as Nginx writes it; 0: any")
    timeout_seconds: Annotated[int, Field(ge=1)] = Field(
        60, description="silence after which a request, a WebSocket or a tcp connection is given up"
    )
    allowed_sources: tuple[AddressRange, ...] = Field((), description="who may come; default: everybody")
    headers: dict[HeaderName, HeaderValue] = Field({}, description="added to answers; an empty one takes a default out")
    acme_solver: Annotated[str, AfterValidator(solver)] | None = Field(
        None, description="host:port that answers /.well-known/acme-challenge/ on port 80"
    )

    @model_validator(mode="after")
    def _fits_its_protocol(self) -> Self:
        needed = {
            "https": ("server_names", "certificate", "key"),
            "http": ("server_names",),
            "tcp": ("port",),
        }[self.protocol]
        of_others = {
            "https": ("port",),
            "http": ("port", "certificate", "key"),
            "tcp": ("server_names", "certificate", "key", "ingress", "headers", "acme_solver"),
        }[self.protocol]
        for key in needed:
            if not getattr(self, key):
                raise Refused(f"protocol {self.protocol} needs {key!r}", "docs/load-balancers.md has examples")
        for key in of_others:
            if getattr(self, key):
                raise Refused(f"{key!r} does not go with protocol {self.protocol}", "leave it out")
        if (self.node_port is None) == (self.ingress is None):
            raise Refused("an application is behind a node_port or an ingress", "say one of the two")
        return self
