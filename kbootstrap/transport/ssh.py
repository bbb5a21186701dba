"""Connections to hosts over SSH: `connect` for one, `connect_all` for many at once.

Light to import: paramiko and Fabric, a quarter of a second, are loaded by the first connection.
"""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

from kbootstrap.errors import KbootstrapError
from kbootstrap.model.cluster import Host, Sudo
from kbootstrap.transport.connection import Connection
from kbootstrap.transport.timeouts import Timeouts

PARALLEL = 50
"""Connections that are opened at once."""

SudoPassword = Callable[[Host], str]
"""Where the sudo password of a host comes from; asked only for hosts whose sudo wants one."""


def connect(host: Host, *, timeouts: Timeouts | None = None, sudo_password: SudoPassword | None = None) -> Connection:
    """A connection to `host`, logged in and proven to be root's.

    Raises Unreachable, with the remedy in its hint, or InvalidInput when the user's SSH configuration is wrong.
    """
    connected = connect_all([host], timeouts=timeouts, sudo_password=sudo_password)[host.name]
    if isinstance(connected, KbootstrapError):
        raise connected
    return connected


def connect_all(
    hosts: Sequence[Host], *, timeouts: Timeouts | None = None, sudo_password: SudoPassword | None = None
) -> dict[str, Connection | KbootstrapError]:
    """Connects to all hosts at once; for each, in the order given, the connection or why there is none.

    Passwords are asked for one after the other, before anything is opened.
    """
    from kbootstrap.transport.dial import Dialer  # noqa: PLC0415 - see the module's docstring
    from kbootstrap.transport.session import SshConnection  # noqa: PLC0415

    dialer = Dialer(timeouts or Timeouts())
    passwords = {host.name: sudo_password(host) for host in hosts if sudo_password and host.ssh.sudo is Sudo.PASSWORD}

    def attempt(host: Host) -> Connection | KbootstrapError:
        connection = SshConnection(host, dialer, passwords.get(host.name))
        try:
            connection.open()
        except KbootstrapError as error:
            return error
        return connection

    with ThreadPoolExecutor(max_workers=PARALLEL, thread_name_prefix="connect") as pool:
        return dict(zip((host.name for host in hosts), pool.map(attempt, hosts), strict=True))
