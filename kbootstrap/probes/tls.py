"""TLS, where there is one with a client certificate that is only in memory."""

import ssl
from tempfile import NamedTemporaryFile

from kbootstrap.probes.spec import Credentials


def context(credentials: Credentials) -> ssl.SSLContext:
    """What connections are opened with. OpenSSL reads keys from files only: ours is private, and gone at once.

    Whom to trust may be a server's own certificate, whoever has issued it.
    """
    made = ssl.create_default_context(cadata=credentials.authority)
    made.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    if not credentials.certificate:
        return made
    with NamedTemporaryFile() as file:  # mode 0600
        file.write(credentials.certificate.encode() + b"\n" + credentials.key.encode())
        file.flush()
        made.load_cert_chain(file.name)
    return made
