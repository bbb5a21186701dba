"""The way to a host: what the inventory and the OpenSSH configuration say together."""

from dataclasses import replace
from ipaddress import IPv4Address
from pathlib import Path

import pytest

from kbootstrap.errors import InvalidInput
from kbootstrap.model.cluster import Host, HostKeys, Ssh
from kbootstrap.transport.route import SYSTEM_KNOWN_HOSTS, Route, load_config, route

HOST = Host("cp1", IPv4Address("10.0.0.11"), frozenset())


def way(tmp_path: Path, text: str, ssh: Ssh | None = None, address: str | None = None) -> Route:
    file = tmp_path / "config"
    file.write_text(text)
    return route(replace(HOST, ssh=ssh or Ssh(), ssh_address=address), load_config(file))


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("LOGNAME", "me")
    return tmp_path


def test_without_a_configuration(tmp_path: Path) -> None:
    target = way(tmp_path, "").target
    assert (target.address, target.port, target.user, target.identity_files) == ("10.0.0.11", 22, "root", ())
    assert target.identity.entry == "10.0.0.11"
    assert target.identity.files[0] == tmp_path / ".ssh/known_hosts"
    assert set(SYSTEM_KNOWN_HOSTS) <= set(target.identity.files)


def test_the_configuration_fills_in_what_the_inventory_does_not_say(tmp_path: Path) -> None:
    text = """
        Host 10.0.0.*
            User admin
            Port 2222
            HostName inside.example.com
            IdentityFile ~/.ssh/one
            IdentityFile /keys/two
            UserKnownHostsFile ~/a ~/b
            GlobalKnownHostsFile none
            IdentitiesOnly yes
    """
    target = way(tmp_path, text).target
    assert str(target) == "admin@inside.example.com:2222"
    assert target.identity_files == (tmp_path / ".ssh/one", Path("/keys/two"))
    assert target.identity.entry == "[inside.example.com]:2222"
    assert target.identity.files == (tmp_path / "a", tmp_path / "b")
    assert not target.agent


def test_the_inventory_wins(tmp_path: Path) -> None:
    text = (
        "Host *\n User admin\n Port 1\n IdentityFile /theirs\n UserKnownHostsFile /theirs\n"
        " ProxyJump theirs\n StrictHostKeyChecking accept-new\n"
    )
    ssh = Ssh("deploy", 2200, Path("/mine"), known_hosts=Path("/known"), jump=("mine@gate:2",))
    found = way(tmp_path, text, ssh)
    assert str(found.target) == "deploy@10.0.0.11:2200"
    assert found.target.identity_files == (Path("/mine"),)
    assert found.target.identity.files == (Path("/known"),)
    assert found.target.identity.policy is HostKeys.STRICT
    assert [str(hop) for hop in found.hops] == ["mine@gate:2"]


def test_jump_hosts_have_settings_of_their_own(tmp_path: Path) -> None:
    text = "Host gate\n HostName 192.0.2.1\n User jumper\n Port 2022\n"
    found = way(tmp_path, text, Ssh(port=2200, user="deploy", jump=("gate", "other", "[fe80::1]:24", "a@b@c:1")))
    assert [str(hop) for hop in found.hops] == [
        "jumper@192.0.2.1:2022",
        "me@other:22",
        "me@fe80::1:24",
        "a@b@c:1",
    ]
    assert found.hops[0].identity.entry == "[192.0.2.1]:2022"


def test_proxy_jump_none_and_proxy_command(tmp_path: Path) -> None:
    assert way(tmp_path, "ProxyJump none\n").hops == ()
    assert [hop.address for hop in way(tmp_path, "ProxyJump a,b\n").hops] == ["a", "b"]
    assert way(tmp_path, "ProxyCommand nc %h %p %r\n", Ssh(port=2200)).proxy_command == "nc 10.0.0.11 2200 root"
    assert way(tmp_path, "ProxyCommand none\n").proxy_command is None


def test_a_host_key_alias_stands_without_a_port(tmp_path: Path) -> None:
    assert way(tmp_path, "HostKeyAlias known-as\n", Ssh(port=2200)).target.identity.entry == "known-as"


def test_the_name_to_connect_to_is_what_blocks_are_found_by(tmp_path: Path) -> None:
    assert way(tmp_path, "Host alias\n HostName 10.9.9.9\n", address="alias").target.address == "10.9.9.9"


def test_files_are_included_where_they_are_named(tmp_path: Path) -> None:
    (tmp_path / "conf.d").mkdir()
    (tmp_path / "conf.d/a").write_text("Host 10.0.0.11\n User from-a\n")
    (tmp_path / "conf.d/b").write_text("Port 2200\n")
    (tmp_path / "loop").write_text(f"Include {tmp_path}/loop\n")
    text = f"Include conf.d/* {tmp_path}/loop nowhere\nHostName here\nHost 10.0.0.99\n Include conf.d/c\n User x\n"
    assert str(way(tmp_path, text).target) == "from-a@here:2200"


@pytest.mark.parametrize("text", ["Host x\n nonsense\n", "Port many\n", "Port 70000\n", "Match nonsense\n"])
def test_what_cannot_be_read_is_an_error(tmp_path: Path, text: str) -> None:
    with pytest.raises(InvalidInput):
        way(tmp_path, text)


@pytest.mark.parametrize("jump", ["", "a:b:c", "user@", "gate:ssh", "gate:0"])
def test_a_jump_host_that_cannot_be_read_is_an_error(tmp_path: Path, jump: str) -> None:
    with pytest.raises(InvalidInput):
        way(tmp_path, "", Ssh(jump=(jump,)))


def test_a_named_configuration_must_exist_and_the_users_own_need_not(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput):
        load_config(tmp_path / "none")
    load_config(None)
