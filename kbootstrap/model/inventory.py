"""The inventory: what the user writes, section by section. What it means is worked out in `resolve`."""

from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import BeforeValidator, Field, GetJsonSchemaHandler, WithJsonSchema, model_validator
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

from kbootstrap.model.cluster import HostKeys, Role, Sudo, Taint
from kbootstrap.model.fields import (
    Address,
    DnsLabel,
    DnsName,
    FreeForm,
    JumpHost,
    LabelKey,
    LabelValue,
    NonEmpty,
    Port,
    Refused,
    ReleasedVersion,
    label_key,
    label_value,
)
from kbootstrap.model.section import Section
from kbootstrap.model.settings import Endpoint, Tuning

_EFFECTS = ("NoSchedule", "PreferNoSchedule", "NoExecute")
# What the kubelet may say about its own node inside Kubernetes' name spaces (NodeRestriction admission).
_KUBELET_DOMAINS = ("kubelet.kubernetes.io", "node.kubernetes.io")
_KUBELET_LABELS = frozenset(
    (
        "kubernetes.io/arch",
        "kubernetes.io/hostname",
        "kubernetes.io/os",
        "topology.kubernetes.io/region",
        "topology.kubernetes.io/zone",
        "failure-domain.beta.kubernetes.io/region",
        "failure-domain.beta.kubernetes.io/zone",
        "beta.kubernetes.io/arch",
        "beta.kubernetes.io/instance-type",
        "beta.kubernetes.io/os",
    )
)
_SOURCES = "write prompt, {env: NAME} or {file: PATH}"


def parse_taint(value: object) -> Taint:
    """Reads `key=value:Effect` or `key:Effect`, as kubectl writes taints."""
    if isinstance(value, Taint):
        return value
    if not isinstance(value, str):
        raise Refused("a taint is one text", "such as dedicated=gpu:NoSchedule")
    left, colon, effect = value.rpartition(":")
    if not colon or effect not in _EFFECTS:
        raise Refused(f"{value!r} is no taint", f"key=value:Effect, the effect one of {', '.join(_EFFECTS)}")
    key, _, text = left.partition("=")
    return Taint(label_key(key), label_value(text), effect)


def _own_label(key: str) -> str:
    domain = label_key(key).rpartition("/")[0]
    if domain == "node-role.kubernetes.io":
        raise Refused(f"{key!r} cannot be set: kbootstrap labels the roles itself", "use a domain of your own")
    reserved = any(domain == name or domain.endswith(f".{name}") for name in ("kubernetes.io", "k8s.io"))
    allowed = any(domain == name or domain.endswith(f".{name}") for name in _KUBELET_DOMAINS)
    if reserved and not allowed and key not in _KUBELET_LABELS:
        raise Refused(f"{key!r} is a label that a kubelet may not set on its node", "use a domain of your own")
    return key


def _listed(value: object) -> object:
    return [part.strip() for part in value.split(",")] if isinstance(value, str) else value


NodeLabelKey = Annotated[LabelKey, BeforeValidator(lambda key: _own_label(key) if isinstance(key, str) else key)]
TaintText = Annotated[
    Taint,
    BeforeValidator(parse_taint),
    WithJsonSchema({"type": "string", "pattern": rf"^[^:]+:({'|'.join(_EFFECTS)})$"}),
]
JumpHosts = Annotated[
    tuple[JumpHost, ...],
    BeforeValidator(_listed),
    WithJsonSchema({"type": ["string", "array"], "items": {"type": "string"}}),
]


class PasswordEntry(Section):
    """Where a password is: in an environment variable or a file, or asked for. Never the password itself."""

    env: NonEmpty | None = Field(None, description="name of an environment variable")
    file: Path | None = Field(None, description="a file that only you can read")

    @model_validator(mode="before")
    @classmethod
    def _accept_prompt(cls, written: object) -> object:
        if isinstance(written, str) and written != "prompt":
            raise Refused("a password does not belong in an inventory", _SOURCES)
        return {} if written == "prompt" else written

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        if self.env is not None and self.file is not None:
            raise Refused("a password has one source", _SOURCES)
        return self

    @classmethod
    def __get_pydantic_json_schema__(cls, core: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        return {"anyOf": [{"const": "prompt"}, handler(core)]}

    @property
    def asked_for(self) -> bool:
        """Whether the person at the terminal has it."""
        return self.env is None and self.file is None


class SshEntry(Section):
    """How to log in. What is not said comes from the groups, from `ssh` at the top, or is the default."""

    user: NonEmpty | None = Field(None, description="who logs in; default: root")
    port: Port | None = Field(None, description="of sshd; default: 22")
    identity_file: Path | None = Field(None, description="private key; default: the agent's and your own")
    agent: bool | None = Field(None, description="whether the SSH agent's keys are tried; default: true")
    config_file: Path | None = Field(
        None, description="OpenSSH client configuration; default: ~/.ssh/config and the system's"
    )
    known_hosts: Path | None = Field(
        None, description="file of known host keys; default: ~/.ssh/known_hosts and the system's"
    )
    host_keys: HostKeys | None = Field(
        None, description="what becomes of unknown host keys: strict (default) refuses, accept-new remembers"
    )
    jump: JumpHosts | None = Field(
        None, description="hosts to go through, outermost first: [user@]host[:port], or an inventory host's name"
    )
    sudo: Sudo | None = Field(
        None, description="how to become root; default: none for root, nopasswd for everybody else"
    )
    sudo_password: PasswordEntry | None = Field(
        None, description="where sudo's password comes from; implies sudo: password; default: prompt"
    )

    @model_validator(mode="after")
    def _password_is_used(self) -> Self:
        if self.sudo_password is not None and self.sudo not in (None, Sudo.PASSWORD):
            raise Refused(f"sudo: {self.sudo} needs no sudo_password", "leave one of the two out")
        return self


class HostDefaults(Section):
    """What a group can say for its hosts and a host for itself."""

    roles: tuple[Role, ...] = Field((), description="added to those of the host's groups")
    labels: dict[NodeLabelKey, LabelValue] = Field({}, description="of the node in Kubernetes")
    taints: tuple[TaintText, ...] = Field((), description="of the node, each key=value:Effect")
    ssh: SshEntry = SshEntry()
    vars: FreeForm = Field({}, description="values of your own, for the templates of your playbooks")


class GroupEntry(HostDefaults):
    """Hosts that have something in common. The group `all` has every host."""

    hosts: tuple[NonEmpty, ...] = Field((), description="names; `*` and `?` stand for any characters")


class HostEntry(HostDefaults):
    """One machine."""

    address: Address = Field(description="towards the other hosts")
    ssh_address: DnsName | None = Field(None, description="where SSH finds it; default: address")


class ClusterEntry(Section):
    """What the cluster is called, its version, and how clients reach its API."""

    name: DnsLabel = Field(description="a DNS label")
    kubernetes: ReleasedVersion = Field(description="three numbers such as 1.36.4")
    endpoint: Endpoint = Endpoint()


class Inventory(Tuning):
    """A cluster: its hosts, how to log in to them, and everything that differs from the defaults."""

    apiVersion: Literal["kbootstrap/v1"] = Field(description="the format of this file")  # noqa: N815 - the field's own spelling everywhere
    cluster: ClusterEntry
    ssh: SshEntry = Field(SshEntry(), description="for all hosts")
    groups: dict[DnsLabel, GroupEntry] = Field({}, description="what hosts have in common, by group name")
    hosts: dict[DnsLabel, HostEntry] = Field(min_length=1, description="the machines, by name")
