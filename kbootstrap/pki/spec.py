"""What a certificate should say."""

from dataclasses import dataclass
from ipaddress import IPv4Address


@dataclass(frozen=True, slots=True)
class CertificateSpec:
    """Subject, names and usages of a leaf certificate."""

    common_name: str
    organizations: tuple[str, ...] = ()
    names: tuple[str, ...] = ()
    addresses: tuple[IPv4Address, ...] = ()
    server: bool = False
    client: bool = False
