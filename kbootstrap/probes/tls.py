"""TLS with a client certificate that is only in memory."""

import ssl
from tempfile import NamedTemporaryFile

from kbootstrap.probes.spec import Credentials


def context(credentials: Credentials) -> ssl.SSLContext:
    """What connections are opened with. OpenSSL reads keys from files only: ours is private, and gone at once."""
    made = ssl.create_default_context(cadata=credentials.authority)
    with NamedTemporaryFile() as file:  # mode 0600
        file.write(credentials.certificate.encode() + b"\n" + credentials.key.encode())
        file.flush()
        made.load_cert_chain(file.name)
    return made
