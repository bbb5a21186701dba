"""The cluster's own secrets on every control-plane host, and elsewhere what is needed to trust them."""

from pathlib import PurePosixPath

from kbootstrap.components.site import Site
from kbootstrap.pki import paths
from kbootstrap.pki.files import pki_files
from kbootstrap.steps.file import Directory, File
from kbootstrap.steps.step import Step

SECRET_MODE = 0o600
MARKS = PurePosixPath("/var/lib/kbootstrap")
"""The first thing on a host: what has it is kbootstrap's to take off again."""


def authorities(site: Site) -> list[Step]:
    """The authorities, the service-account key and the EncryptionConfiguration; the authorities' keys only where
    certificates are signed and secrets encrypted.

    All are masked, certificates too: a plan for a cluster that has no keys yet makes new ones each time it is made,
    and must have the same fingerprint each time.

    Healthy when every control-plane host has the same files.
    """
    encrypt = site.cluster.settings.kube_apiserver.encryption == "secretbox"
    folders = [Directory(folder) for folder in (MARKS, paths.KUBERNETES, paths.PKI, paths.ETCD_CA_CERTIFICATE.parent)]
    if site.host.is_control_plane:
        files = [
            File(file.path, file.content, SECRET_MODE if file.secret else 0o644, secret=True)
            for file in pki_files(site.pki, encrypt=encrypt)
        ]
    else:
        files = [
            File(paths.CA_CERTIFICATE, site.pki.kubernetes.certificate, secret=True),
            File(paths.ETCD_CA_CERTIFICATE, site.pki.etcd.certificate, secret=True),
        ]
    return [*folders, *files]
