"""The stand-in for a host: it must not answer more than a test declared."""

import re

import pytest

from kbootstrap.errors import CommandFailed, Unreachable
from kbootstrap.transport.connection import Connection
from tests.fakes import FakeConnection, Ran, UndeclaredCommand, Written


def test_answers_what_was_declared_and_records_it() -> None:
    fake = FakeConnection()
    host: Connection = fake
    fake.expect("uname -r", "6.1\n")
    fake.expect(re.compile(r"systemctl restart .*"), exit_code=1, stderr="no such unit")
    assert host.run("uname -r").text == "6.1"
    assert host.run("systemctl restart etcd", stdin=b"x").errors == "no such unit"
    assert fake.ran == [Ran("uname -r"), Ran("systemctl restart etcd", b"x")]


def test_rejects_what_was_not_declared() -> None:
    fake = FakeConnection()
    fake.expect("true")
    for undeclared in (
        lambda: fake.run("false"),
        lambda: fake.run_script("true; false"),
        lambda: fake.hold("cat").__enter__(),
        lambda: fake.serve_locally(80).__enter__(),
        lambda: fake.tunnel("10.0.0.1", 6443).__enter__(),
    ):
        with pytest.raises(UndeclaredCommand):
            undeclared()


def test_answers_in_the_order_declared_and_keeps_the_last() -> None:
    fake = FakeConnection()
    fake.expect("ready", exit_code=1)
    fake.expect("ready", exit_code=0)
    assert [fake.run("ready").exit_code for _ in range(3)] == [1, 0, 0]


def test_can_lose_its_connection() -> None:
    fake = FakeConnection()
    fake.expect("reboot", error=Unreachable("lost", host="cp1"))
    with pytest.raises(Unreachable):
        fake.run("reboot")
    fake.close()
    with pytest.raises(UndeclaredCommand):
        fake.run("reboot")


def test_keeps_files() -> None:
    fake = FakeConnection(files={"/etc/hostname": b"cp1"})
    fake.put(b"secret", "/etc/key")
    assert (fake.get("/etc/hostname"), fake.get("/etc/key")) == (b"cp1", b"secret")
    assert fake.written == {"/etc/key": Written(b"secret", 0o600)}
    with pytest.raises(CommandFailed):
        fake.get("/etc/none")


def test_holds_commands_and_passes_on_lines() -> None:
    fake = FakeConnection(ports={8080: 40000})
    fake.expect("lock", "held\nmore\n")
    with fake.hold("lock") as answer:
        assert (answer, fake.held) == ("held", ["lock"])
    lines: list[str] = []
    fake.run("lock", on_line=lines.append)
    assert (lines, fake.held) == (["held", "more"], [])
    with fake.serve_locally(8080) as port:
        assert port == 40000
