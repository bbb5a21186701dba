"""What a certificate should say."""

from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address


@dataclass(frozen=True, slots=True)
class CertificateSpec:
    """Subject, names and usages of a leaf certificate.

    To Kubernetes a client's common name is its user and its organizations are its groups. The common name has at
    most 64 characters (RFC 5280, ub-common-name).
    """

    common_name: str
    organizations: tuple[str, ...] = ()
    names: tuple[str, ...] = ()
    addresses: tuple[IPv4Address | IPv6Address, ...] = ()
    server: bool = False
    client: bool = False
