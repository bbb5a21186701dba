"""Applications by name: asked for as users do, each with the certificate of the inventory and no other."""

from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import pytest

from kbootstrap.events import Event, Note
from kbootstrap.model.applications import Application
from kbootstrap.pki.issue import issue
from kbootstrap.pki.spec import CertificateSpec
from kbootstrap.probes.spec import Credentials, Probe, Target
from kbootstrap.workflows import edge_probes
from kbootstrap.workflows.ways import Ways
from tests.golden.sites import TOPOLOGIES
from tests.unit.probes.server import NOW, Reaction, Server, answer, serving


class Loopback(Ways):
    """The edge is this machine."""

    def __init__(self, server: Server, applications: dict[str, Application]) -> None:
        cluster = TOPOLOGIES["load-balancers"]
        settings = cluster.settings.model_copy(update={"applications": applications})
        super().__init__(replace(cluster, settings=settings), {}, "", ExitStack())
        self.server = server

    def to_edge(self, port: int) -> Target:
        return self.server.target


def shop(certificate: Path) -> Application:
    """Made without a look at its files: `validate` has done that."""
    return Application.model_construct(protocol="https", server_names=("*.shop.example",), certificate=certificate)


def plain() -> Application:
    return Application.model_construct(protocol="http", server_names=("notes.example",), certificate=None)


def made(server: Server, **applications: Application) -> tuple[list[Probe], list[str]]:
    """The probes, and what was told of those that there are not."""
    told: list[Event] = []
    found = list(edge_probes.probes(Loopback(server, applications), 50, told.append))
    return found, [event.text for event in told if isinstance(event, Note)]


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    return tmp_path / "shop.crt"


@pytest.mark.parametrize("status", ["200 OK", "404 Not Found", "503 Busy"])
def test_whatever_an_application_says_it_is_there(tmp_path: Path, status: str) -> None:
    with serving(tmp_path, lambda _: Reaction(answer(status)), plain=True) as server:
        [probe], told = made(server, notes=plain())
    assert (probe.name, probe.rate, probe.strict, told) == ("edge.notes", 50, False, [])
    assert server.asked[0].host == "notes.example"


@pytest.mark.parametrize("status", ["502 Bad Gateway", "504 Gateway Time-out"])
def test_one_that_no_worker_answers_for_is_told_and_left_out(tmp_path: Path, status: str) -> None:
    with serving(tmp_path, lambda _: Reaction(answer(status, b"")), plain=True) as server:
        assert made(server, notes=plain()) == ([], [f"the application notes is not probed: status {status[:3]}"])


def test_the_certificate_must_be_the_inventory_s(tmp_path: Path, certificate: Path) -> None:
    """Nobody knows who has issued it, and that is as it should be."""
    with serving(tmp_path, names=(), server_names=("*.shop.example",), anybody=True) as server:
        certificate.write_bytes(server.certificate)
        [probe], told = made(server, shop=shop(certificate))
        assert told == []
        assert probe.credentials == Credentials("kbootstrap-probe.shop.example", certificate.read_text())
        other, _ = issue(server.authority, CertificateSpec("x", names=("*.shop.example",), server=True), NOW, 1)
        certificate.write_bytes(other)
        probes, [why] = made(server, shop=shop(certificate))
    assert probes == []
    assert "its certificate is refused" in why


def test_all_of_them_together_send_at_the_rate(tmp_path: Path) -> None:
    with serving(tmp_path, plain=True) as server:
        probes, _ = made(server, one=plain(), two=plain(), queue=Application.model_construct(protocol="tcp"))
    assert {probe.name: probe.rate for probe in probes} == {"edge.one": 25, "edge.two": 25}
