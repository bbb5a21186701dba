"""Kubeconfigs for people: what is in them, who can read them, and merging."""

import stat
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml

from kbootstrap.errors import CheckFailed, InvalidInput, KbootstrapError, Unreachable
from kbootstrap.facts.fact import Facts
from kbootstrap.facts.paths import ABSENT, PathStat, PathState
from kbootstrap.pki import paths
from kbootstrap.pki.certificate import inspect, issued_by
from kbootstrap.pki.issue import create_authority
from kbootstrap.pki.kubeconfig import embedded
from kbootstrap.workflows import kubeconfig as workflow
from kbootstrap.workflows.kubeconfig import Wanted, make_kubeconfig, merged, write_kubeconfig
from tests.fakes import FakeConnection
from tests.unit.workflows.hosts import cluster

CLUSTER = cluster()
NOW = datetime.now(UTC)
AUTHORITY = create_authority("kubernetes-ca", "demo", NOW, 365)
WANTED = Wanted("ada", ("readers",), timedelta(hours=8))


def on_hosts(monkeypatch: pytest.MonkeyPatch, held: dict[str, bool], failures: dict[str, KbootstrapError]) -> None:
    """Control-plane hosts that have the authority, or not."""

    @contextmanager
    def reached(*_: object) -> Iterator[tuple[dict[str, FakeConnection], dict[str, KbootstrapError]]]:
        yield {name: FakeConnection(name) for name in held}, failures

    def read(connection: FakeConnection, facts: Any) -> Facts:
        contents = {paths.CA_CERTIFICATE: AUTHORITY.certificate, paths.CA_KEY: AUTHORITY.key}
        return Facts(
            {
                PathState(path): PathStat("file", content=content) if held[connection.name] else ABSENT
                for path, content in contents.items()
            }
        )

    monkeypatch.setattr(workflow, "reached", reached)
    monkeypatch.setattr(workflow, "read", read)


def test_it_is_signed_by_the_authority_for_whom_and_how_long_was_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    on_hosts(monkeypatch, {"cp1": False, "cp2": True}, {})
    has = embedded(make_kubeconfig(CLUSTER, WANTED).encode())
    said = inspect(has.certificate)
    assert has.server == "https://198.18.0.100:6443"
    assert issued_by(has.certificate, AUTHORITY)
    assert (said.spec.common_name, said.spec.organizations, said.spec.client) == ("ada", ("readers",), True)
    assert timedelta(hours=7) < said.not_after - NOW < timedelta(hours=9)


def test_without_a_cluster_there_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    on_hosts(monkeypatch, {"cp1": False}, {})
    with pytest.raises(CheckFailed, match="authority"):
        make_kubeconfig(CLUSTER, WANTED)


def test_without_a_host_the_reasons_are_given(monkeypatch: pytest.MonkeyPatch) -> None:
    on_hosts(monkeypatch, {}, {"cp1": Unreachable("no route", host="cp1")})
    with pytest.raises(KbootstrapError, match="no control-plane host can be reached") as caught:
        make_kubeconfig(CLUSTER, WANTED)
    assert caught.value.exit_code == Unreachable.exit_code


def text(name: str, server: str = "https://a:6443") -> str:
    return yaml.safe_dump(
        {
            "clusters": [{"name": name, "cluster": {"server": server}}],
            "users": [{"name": f"{name}-user", "user": {}}],
            "contexts": [{"name": name, "context": {"cluster": name, "user": f"{name}-user"}}],
            "current-context": name,
        }
    )


def test_only_its_owner_can_read_it(tmp_path: Path) -> None:
    target = tmp_path / "new" / "config"
    write_kubeconfig("first", target)
    write_kubeconfig("second", target)
    assert target.read_text() == "second"
    assert stat.S_IMODE(target.stat().st_mode) == 0o600
    assert list(target.parent.iterdir()) == [target]


def test_a_place_that_cannot_be_written_is_a_clear_error(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(KbootstrapError, match="cannot be written"):
        write_kubeconfig("text", tmp_path / "file" / "config")


def test_merging_keeps_what_is_there_and_replaces_what_is_the_same(tmp_path: Path) -> None:
    target = tmp_path / "config"
    for name, server in (("a", "https://a:6443"), ("b", "https://b:6443"), ("a", "https://new:6443")):
        write_kubeconfig(text(name, server), target, merge=True)
    result = yaml.safe_load(target.read_text())
    assert {entry["name"]: entry["cluster"]["server"] for entry in result["clusters"]} == {
        "a": "https://new:6443",
        "b": "https://b:6443",
    }
    assert (len(result["users"]), len(result["contexts"]), result["current-context"]) == (2, 2, "a")


@pytest.mark.parametrize("existing", ["[1, 2]", "just text", "clusters: {a: b}", "{unclosed"])
def test_merging_into_something_else_is_refused(existing: str) -> None:
    with pytest.raises(InvalidInput):
        merged(existing, text("a"))


def test_merging_into_an_empty_file() -> None:
    assert yaml.safe_load(merged("", text("a")))["current-context"] == "a"
