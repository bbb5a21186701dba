"""The section of an inventory that says how etcd is backed up: when, for whom, where to, and how long it is kept."""

import re
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from kbootstrap.model.fields import NonEmpty, Refused, ScalarText
from kbootstrap.model.section import Section

_RECIPIENT = re.compile(r"age1[02-9ac-hj-np-z]{58}")
"""An X25519 key: bech32 of 32 bytes (age's specification, C2SP age.md)."""
_CALENDAR = re.compile(r"[A-Za-z0-9*:,./~ _+-]+")
_OPTION = re.compile(r"[a-z0-9_]+")
_TARGET = re.compile(r"[a-z0-9]([a-z0-9-]{0,30}[a-z0-9])?")


def recipient(text: str) -> str:
    """A public key of age's."""
    if text.startswith("AGE-SECRET-KEY-"):
        raise Refused("this is a private key: whoever has it can read every backup", "age-keygen -y FILE prints age1…")
    if _RECIPIENT.fullmatch(text) is None:
        raise Refused("this is no public key of age's", "age1 and 58 characters, as age-keygen prints them")
    return text


def calendar(text: str) -> str:
    """A calendar event as systemd writes it; what it means is for the hosts' systemd to say."""
    if _CALENDAR.fullmatch(text) is None or not text.strip():
        raise Refused(f"{text!r} is no calendar event", "such as '*-*-* 00/6:00:00'; see systemd-analyze calendar")
    return text


def option_name(text: str) -> str:
    """The name of an option in rclone's configuration file."""
    if _OPTION.fullmatch(text) is None or text in ("type",):
        raise Refused(f"{text!r} is no option of rclone's", "as in its configuration file: letters, digits and '_'")
    return text


def target_name(text: str) -> str:
    """What a target is called."""
    if _TARGET.fullmatch(text) is None or text == "local":
        raise Refused(f"{text!r} cannot be a target's name", "small letters, digits, '-'; 'local' is the host itself")
    return text


def target_path(text: str) -> str:
    """A place within a target, on one line."""
    if not text.strip() or not text.isprintable() or text != text.strip() or ".." in text.split("/"):
        raise Refused(f"{text!r} is no path", "such as bucket/folder, or /srv/backups")
    return text.rstrip("/") or "/"


def one_line(text: str) -> str:
    """A value that cannot become more than one line of a configuration file."""
    if not text.isprintable():
        raise Refused("the value must be one line of text")
    return text


OptionName = Annotated[str, AfterValidator(option_name)]


class SecretSource(Section):
    """Where a secret is: in a file on the control machine. Never the secret itself."""

    file: Path = Field(description="a file that only you can read")


class Target(Section):
    """A place off the hosts, as rclone knows it: type and options are those of its configuration file."""

    type: Annotated[str, AfterValidator(option_name)] = Field(description="s3, sftp, local, or another of rclone's")
    path: Annotated[str, AfterValidator(target_path)] = Field(
        description="bucket/folder or folder; the cluster's name is appended"
    )
    options: dict[OptionName, Annotated[ScalarText, AfterValidator(one_line)]] = Field(
        {}, description="such as provider, endpoint, host, user"
    )
    secrets: dict[OptionName, SecretSource] = Field(
        {}, description="options that must not be read by others, such as secret_access_key"
    )

    @model_validator(mode="after")
    def _said_once(self) -> Self:
        twice = sorted(self.options.keys() & self.secrets.keys())
        if twice:
            raise Refused(f"{twice[0]!r} is both an option and a secret", "leave one of the two out")
        return self


class Keep(Section):
    """Which backups stay: the newest `last`, and the newest of each of so many hours, days, weeks and months."""

    last: Annotated[int, Field(ge=1, le=10_000)] = Field(3, description="newest backups")
    hourly: Annotated[int, Field(ge=0, le=10_000)] = Field(0, description="hours with a backup")
    daily: Annotated[int, Field(ge=0, le=10_000)] = Field(7, description="days with a backup")
    weekly: Annotated[int, Field(ge=0, le=10_000)] = Field(4, description="weeks (from Monday) with a backup")
    monthly: Annotated[int, Field(ge=0, le=10_000)] = Field(6, description="months with a backup")


class Backup(Section):
    """Backups of etcd and of the cluster's keys, made by every etcd host; off while there are no recipients."""

    schedule: Annotated[str, AfterValidator(calendar)] | None = Field(
        None, description="systemd calendar event, such as '*-*-* 00/6:00:00'; default: only when asked"
    )
    recipients: tuple[Annotated[str, AfterValidator(recipient)], ...] = Field(
        (), description="public keys of age; each alone can decrypt. The private keys stay off the cluster"
    )
    targets: dict[Annotated[str, AfterValidator(target_name)], Target] = Field(
        {}, description="where copies go, by a name of your choice"
    )
    keep: Keep = Keep()
    upload: Literal["all", "one"] = Field(
        "all", description="one: only the host whose etcd member leads copies its backup to the targets"
    )
    bandwidth: Annotated[str, Field(pattern=r"^([1-9]\d*[KMG]|off)$")] = Field(
        "40M", description="bytes a second, to the targets and back: etcd's members need the network too; or off"
    )
    on_failure: tuple[NonEmpty, ...] = Field((), description="units of your own to start when a scheduled one fails")
    metrics: Path = Field(
        Path("/var/lib/prometheus/node-exporter"),
        description="folder of node_exporter's textfile collector; used where it exists",
    )

    @property
    def on(self) -> bool:
        """Whether hosts can make backups at all."""
        return bool(self.recipients)

    @model_validator(mode="after")
    def _has_recipients(self) -> Self:
        if not self.recipients and (self.schedule is not None or self.targets):
            raise Refused("backups are encrypted, and nobody could decrypt them", "recipients: [age1…] (age-keygen)")
        if len(set(self.recipients)) != len(self.recipients):
            raise Refused("a recipient stands there twice")
        return self
