"""A cluster's own secrets as files."""

from dataclasses import dataclass, field
from pathlib import PurePosixPath

from kbootstrap.pki import paths
from kbootstrap.pki.authority import Pki
from kbootstrap.pki.encryption import encryption_config


@dataclass(frozen=True, slots=True)
class PkiFile:
    """A file of a control-plane host."""

    path: PurePosixPath
    content: bytes = field(repr=False)
    secret: bool


def pki_files(pki: Pki, *, encrypt: bool = True) -> tuple[PkiFile, ...]:
    """All files, in the order to write them in: each private key before what is public of it.

    So a run that dies half-way leaves nothing public whose private half is lost, and `recover_pki` can complete it.
    """
    return (
        PkiFile(paths.CA_KEY, pki.kubernetes.key, secret=True),
        PkiFile(paths.CA_CERTIFICATE, pki.kubernetes.certificate, secret=False),
        PkiFile(paths.ETCD_CA_KEY, pki.etcd.key, secret=True),
        PkiFile(paths.ETCD_CA_CERTIFICATE, pki.etcd.certificate, secret=False),
        PkiFile(paths.FRONT_PROXY_CA_KEY, pki.front_proxy.key, secret=True),
        PkiFile(paths.FRONT_PROXY_CA_CERTIFICATE, pki.front_proxy.certificate, secret=False),
        PkiFile(paths.SERVICE_ACCOUNT_PRIVATE, pki.service_account.private, secret=True),
        PkiFile(paths.SERVICE_ACCOUNT_PUBLIC, pki.service_account.public, secret=False),
        PkiFile(paths.ENCRYPTION_CONFIG, encryption_config(pki, encrypt=encrypt), secret=True),
    )
