"""Becoming root through the real sudo, for a user who exists only in the mount namespace of the test's sshd."""

import hashlib
import os
import traceback
from collections.abc import Callable
from pathlib import Path

import pytest

from kbootstrap.errors import CommandFailed, KbootstrapError, Unreachable
from kbootstrap.model.cluster import Host, Sudo
from kbootstrap.transport.ssh import connect
from tests.unit.transport.conftest import QUICK, Server, refusal

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="a mount namespace and a user of its own need root")

USER = "kbtest"
PASSWORD = "correct horse"
HASHED = "$6$kbootstrap$MkxmqMuMA7t4cNb4FQ7Jl5s9NE0dwmIbAwTOXAfw9TSw.wjOSnxCYc7yqky7RLR6/OC1wbruIMcEDfy3YJoZk1"

MakeSudoer = Callable[[str], Host]

IN_NAMESPACE = """\
for name in passwd shadow sudoers; do mount --bind "$0/$name" "/etc/$name" || exit 1; done
mount -t tmpfs none /var/log || exit 1
exec "$@"
"""


@pytest.fixture
def make_sudoer(make_server: Callable[..., Server], tmp_path: Path) -> Callable[..., Host]:
    """A host that one logs in to as an ordinary user, with these lines in its sudoers."""

    def make(*sudoers: str, sudo: Sudo = Sudo.NOPASSWD, shell: str = "/bin/bash") -> Host:
        etc = tmp_path / "etc"
        etc.mkdir()
        _file(etc / "passwd", Path("/etc/passwd").read_text() + f"{USER}:x:4242:4242::/tmp:{shell}\n", 0o644)
        _file(etc / "shadow", Path("/etc/shadow").read_text() + f"{USER}:{HASHED}:20000:0:99999:7:::\n", 0o640)
        _file(etc / "sudoers", "".join(f"{line}\n" for line in ("root ALL=(ALL:ALL) ALL", *sudoers)), 0o440)
        wrapper = ["unshare", "--mount", "--propagation", "private", "sh", "-c", IN_NAMESPACE, etc]
        # sshd would read the file as the user, who may not enter the test's directory.
        options = {"AuthorizedKeysCommand": f"/bin/cat {tmp_path}/sshd0/authorized_keys"}
        server = make_server(wrapper=wrapper, AuthorizedKeysCommandUser="root", **options)
        return server.host(user=USER, sudo=sudo)

    return make


def _file(path: Path, content: str, mode: int) -> None:
    path.write_text(content)
    path.chmod(mode)


def refused(host: Host, password: str = PASSWORD) -> KbootstrapError:
    """Why connecting fails; the password is nowhere in it."""
    error = refusal(host, sudo_password=lambda _: password)
    assert isinstance(error, Unreachable)
    assert error.host == "cp1"
    assert password not in repr([error.message, error.output, error.hint, *traceback.format_exception(error)])
    return error


BIG = os.urandom(3_000_000)


@pytest.mark.parametrize("defaults", ["!use_pty", "use_pty", "log_input,log_output", "secure_path=/usr/bin"])
@pytest.mark.parametrize("sudo", [Sudo.NOPASSWD, Sudo.PASSWORD])
def test_commands_run_as_root_with_their_input_whole(
    make_sudoer: Callable[..., Host], sudo: Sudo, defaults: str
) -> None:
    tag = "NOPASSWD: " if sudo is Sudo.NOPASSWD else ""
    host = make_sudoer(f"Defaults {defaults}", f"{USER} ALL=(ALL) {tag}ALL", sudo=sudo)
    connection = connect(host, timeouts=QUICK, sudo_password=lambda _: PASSWORD)
    assert connection.run("id -u; echo $LC_ALL; exit 3").stdout == b"0\nC\n"
    assert connection.run_script("cat\nid -u\nexit 4\n").exit_code == 4
    # The digest, not the input back: sudo 1.9.13 with log_output may lose the end of a large output.
    assert connection.run("sha256sum", stdin=BIG).text.split()[0] == hashlib.sha256(BIG).hexdigest()
    with connection.hold("echo held; exec cat >/dev/null") as answer:
        assert answer == "held"
    connection.close()


@pytest.mark.parametrize("shell", ["/bin/dash", "/bin/bash"])
def test_the_password_does_not_reach_a_command_when_sudo_does_not_want_it(
    make_sudoer: Callable[..., Host], shell: str
) -> None:
    host = make_sudoer(f"{USER} ALL=(ALL) NOPASSWD: ALL", sudo=Sudo.PASSWORD, shell=shell)
    connection = connect(host, timeouts=QUICK, sudo_password=lambda _: PASSWORD)
    assert connection.run("cat", stdin=b"input").stdout == b"input"
    assert connection.run("cat").stdout == b""
    assert connection.run_script("cat; id -u").stdout == b"0\n"
    with connection.hold("cat -u & sleep 0.2; echo held; wait") as answer:
        assert answer == "held"
    connection.close()


def test_a_password_is_in_no_process_list(make_sudoer: Callable[..., Host]) -> None:
    host = make_sudoer(f"{USER} ALL=(ALL) ALL", sudo=Sudo.PASSWORD)
    connection = connect(host, timeouts=QUICK, sudo_password=lambda _: PASSWORD)
    listing = connection.run_script("cat /proc/[0-9]*/cmdline /proc/[0-9]*/environ").stdout
    assert PASSWORD.encode() not in listing
    connection.close()


@pytest.mark.parametrize("use_pty", ["use_pty", "!use_pty"])
def test_a_command_past_its_time_is_ended(make_sudoer: Callable[..., Host], use_pty: str) -> None:
    host = make_sudoer(f"Defaults {use_pty}", f"{USER} ALL=(ALL) NOPASSWD: ALL")
    connection = connect(host, timeouts=QUICK)
    with pytest.raises(CommandFailed, match=r"did not end within 0\.5 s"):
        connection.run("sleep 987.1; true", timeout=0.5)
    assert connection.run("pgrep -f '^sleep 987[.]1'").exit_code == 1
    connection.close()


def test_a_wrong_password_is_said_once(make_sudoer: Callable[..., Host]) -> None:
    host = make_sudoer("Defaults logfile=/var/log/sudo.log", f"{USER} ALL=(ALL) ALL", sudo=Sudo.PASSWORD)
    error = refused(host, "battery staple")
    assert "does not accept the password" in error.message
    assert "1 incorrect password attempt" in (error.output or "")


@pytest.mark.parametrize(
    ("sudoers", "sudo", "message", "hint"),
    [
        (f"{USER} ALL=(ALL) ALL", Sudo.NOPASSWD, "sudo wants a password", "sudo: password"),
        ("# nobody", Sudo.PASSWORD, "may not run everything", "add to its sudoers"),
        (f"{USER} ALL=(ALL) /bin/true", Sudo.PASSWORD, "may not run everything", "add to its sudoers"),
        (f"Defaults requiretty\n{USER} ALL=(ALL) NOPASSWD: ALL", Sudo.NOPASSWD, "requiretty", "!requiretty"),
        (f"{USER} ALL=(ALL) NOPASSWD: ALL", Sudo.NONE, "not root", "sudo: nopasswd"),
    ],
)
def test_says_why_it_cannot_become_root(
    make_sudoer: Callable[..., Host], sudoers: str, sudo: Sudo, message: str, hint: str
) -> None:
    error = refused(make_sudoer(sudoers, sudo=sudo))
    assert message in error.message
    assert hint in (error.hint or "")


def test_a_password_that_is_missing_is_said(make_sudoer: Callable[..., Host]) -> None:
    error = refusal(make_sudoer(f"{USER} ALL=(ALL) ALL", sudo=Sudo.PASSWORD))
    assert "none that can be used was given" in error.message
