"""The types of single values in an inventory: what they accept, and what they say when they do not."""

import re
from ipaddress import AddressValueError, IPv4Address, IPv4Network, IPv6Address, NetmaskValueError
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field, PlainValidator, StringConstraints, WithJsonSchema

from kbootstrap.model.nodes import Plain
from kbootstrap.model.versions import Version

_LABEL = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
_QUALIFIED_NAME = re.compile(r"[A-Za-z0-9]([A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?")
_LABEL_VALUE = re.compile(r"([A-Za-z0-9]([A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?)?")
_JUMP = re.compile(r"(?:[^@\s:]+@)?(?:[^@\s:\[\],]+)(?::(\d{1,5}))?")
_DURATION = re.compile(r"(\d+(\.\d+)?(ms|s|m|h))+")


class Refused(ValueError):
    """A value that cannot be accepted, with what to write instead."""

    def __init__(self, message: str, hint: str | None = None) -> None:
        super().__init__(message)
        self.hint = hint


def dns_label(text: str) -> str:
    """A name of lower-case letters, digits and hyphens, at most 63 characters (RFC 1123)."""
    if _LABEL.fullmatch(text) is None:
        better = re.sub(r"[^a-z0-9]+", "-", text.partition(".")[0].lower()).strip("-")[:63].strip("-")
        raise Refused(
            f"{text!r} is no DNS label: lower-case letters, digits and hyphens, at most 63",
            f"for example {better!r}" if better else None,
        )
    return text


def dns_name(text: str) -> str:
    """A domain name: DNS labels joined by dots, at most 253 characters."""
    if len(text) > 253 or not all(_LABEL.fullmatch(part) for part in text.split(".")):
        raise Refused(f"{text!r} is no domain name", "lower-case labels joined by dots, such as cluster.local")
    return text


def label_key(text: str) -> str:
    """The key of a label or taint: an optional `prefix/` (a domain) and a name."""
    prefix, slash, name = text.rpartition("/")
    if slash:
        try:
            dns_name(prefix)
        except Refused:
            raise Refused(f"{text!r}: the part before '/' must be a domain name", "example.com/name") from None
    if _QUALIFIED_NAME.fullmatch(name) is None:
        raise Refused(f"{text!r} is no label key", "letters, digits, '-', '_' and '.', at most 63 characters")
    return text


def label_value(text: str) -> str:
    """The value of a label or taint; may be empty."""
    if _LABEL_VALUE.fullmatch(text) is None:
        hint = "letters, digits, '-', '_' and '.', at most 63, beginning and ending with a letter or digit"
        raise Refused(f"{text!r} is no label value", hint)
    return text


def jump_host(text: str) -> str:
    """A host to go through: `[user@]host[:port]`, or the name of a host of the inventory."""
    match = _JUMP.fullmatch(text)
    if match is None or (match[1] and not 1 <= int(match[1]) <= 65535):
        raise Refused(f"{text!r} is no jump host", "write [user@]host[:port]")
    return text


def duration(text: str) -> str:
    """A duration as Go writes it."""
    if _DURATION.fullmatch(text) is None:
        raise Refused(f"{text!r} is no duration", "a number with ms, s, m or h, such as 8h or 30m")
    return text


def flag_name(text: str) -> str:
    """The name of a command-line flag, without its dashes."""
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", text):
        raise Refused(f"{text!r} is no flag", f"write {text.lstrip('-').split('=')[0]!r}, without dashes")
    return text


def _not_empty(text: str) -> str:
    if not text.strip():
        raise Refused("this must not be empty")
    return text


def _address(value: object) -> object:
    if not isinstance(value, str):
        return value
    try:
        return IPv4Address(value)
    except AddressValueError:
        pass
    if "/" in value:
        raise Refused(f"{value!r} is a range, not an address", f"write {value.split('/')[0]}")
    try:
        IPv6Address(value)
    except AddressValueError:
        raise Refused(f"{value!r} is no IPv4 address", "four numbers from 0 to 255 joined by dots") from None
    raise Refused(f"{value!r} is an IPv6 address: only IPv4 is supported")


def _network(value: object) -> object:
    if not isinstance(value, str):
        return value
    if "/" not in value:
        raise Refused(f"{value!r} is no address range", f"write its size, such as {value}/16")
    try:
        return IPv4Network(value)
    except (AddressValueError, NetmaskValueError):
        raise Refused(f"{value!r} is no IPv4 address range", "such as 10.244.0.0/16") from None
    except ValueError:
        right = IPv4Network(value, strict=False)
        raise Refused(f"{value!r} is an address inside a range, not a range", f"write {right}") from None


def _version(value: object) -> Version:
    if isinstance(value, Version):
        return value
    if not isinstance(value, str):
        raise Refused("a version is text", "three numbers such as 1.36.4")
    return Version.parse(value)


def _free(value: object) -> object:
    """Lets YAML's own rules say what unquoted text is."""
    if isinstance(value, Plain):
        return value.resolve()
    if isinstance(value, dict):
        return {str(key): _free(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_free(item) for item in value]
    return value


_SCALAR = {"type": ["string", "number", "boolean"]}

DnsLabel = Annotated[
    str, AfterValidator(dns_label), WithJsonSchema({"type": "string", "pattern": f"^{_LABEL.pattern}$"})
]
DnsName = Annotated[str, AfterValidator(dns_name)]
LabelKey = Annotated[str, AfterValidator(label_key)]
LabelValue = Annotated[str, AfterValidator(label_value), WithJsonSchema(_SCALAR)]
JumpHost = Annotated[str, AfterValidator(jump_host)]
Duration = Annotated[
    str, AfterValidator(duration), WithJsonSchema({"type": "string", "pattern": f"^{_DURATION.pattern}$"})
]
NonEmpty = Annotated[str, AfterValidator(_not_empty)]
Address = Annotated[IPv4Address, BeforeValidator(_address)]
AddressRange = Annotated[IPv4Network, BeforeValidator(_network)]
Port = Annotated[int, Field(ge=1, le=65535)]
ScalarText = Annotated[str, WithJsonSchema(_SCALAR)]
Args = dict[Annotated[str, AfterValidator(flag_name)], ScalarText]
Environment = dict[Annotated[str, StringConstraints(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")], ScalarText]
FreeForm = Annotated[dict[str, Any], BeforeValidator(_free)]
ReleasedVersion = Annotated[
    Version, PlainValidator(_version), WithJsonSchema({"type": "string", "pattern": r"^v?\d+\.\d+\.\d+$"})
]
