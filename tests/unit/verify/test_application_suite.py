"""The suite about applications: its shell is really run, with a stand-in for curl on each host."""

import base64
import hashlib
import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from kbootstrap.model.applications import Application
from kbootstrap.model.cluster import Cluster
from kbootstrap.pki.create import create_pki
from kbootstrap.pki.issue import issue
from kbootstrap.pki.spec import CertificateSpec
from kbootstrap.verify.catalogue import cluster_suites
from kbootstrap.verify.report import CLUSTER, Outcome
from tests.golden.sites import TOPOLOGIES
from tests.local_host import LocalConnection
from tests.unit.verify.world import failed_tests, outcomes_of

SUITE = "cluster/test_applications.py"
CURL = """\
#!/bin/sh
for word; do url=$word; done
echo "$*" >>"$ASKED"
case $url in {cases} *) echo "nobody expected $url" >&2; exit 99 ;; esac
"""
GOOD: Mapping[str, str] = {
    "https://shop.example.com/": "printf 401",
    "http://shop.example.com/": "printf 308",
    "http://notes.example.com/": "printf 200",
    "http://kbootstrap-verify.old.example.com/": "printf 503",
}


@dataclass
class World:
    """The cluster, and what curl says."""

    cluster: Cluster
    folder: Path

    def outcomes(self, **answers: str) -> list[Outcome]:
        """With other answers than good ones, by URL without what is around the name."""
        said = {**GOOD, **{url: answers[key] for url in GOOD for key in answers if key in url.replace("://", "_")}}
        cases = " ".join(f"{url}) {answer} ;;" for url, answer in said.items())
        (self.folder / "curl").write_text(CURL.format(cases=cases))
        (self.folder / "curl").chmod(0o755)
        return outcomes_of(CLUSTER, [SUITE], {"w1": LocalConnection("w1")}, cluster=self.cluster)  # type: ignore[dict-item]

    @property
    def asked(self) -> str:
        return (self.folder / "asked").read_text()


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    now = datetime.now(UTC)
    authority = create_pki("outside", now, 365).kubernetes
    spec = CertificateSpec("shop", names=("shop.example.com",), server=True)
    certificate, _ = issue(authority, spec, now, 90)
    (tmp_path / "shop.crt").write_bytes(certificate)
    applications = {
        "shop": {
            "server_names": ["shop.example.com"],
            "certificate": tmp_path / "shop.crt",
            "key": "k",
            "node_port": 1,
        },
        "notes": {"protocol": "http", "server_names": ["notes.example.com"], "node_port": 2},
        "old": {"protocol": "http", "server_names": ["*.old.example.com"], "node_port": 3},
        "queue": {"protocol": "tcp", "port": 1, "node_port": 4},
    }
    bare = TOPOLOGIES["load-balancers"]
    parsed = {name: Application.model_validate(one) for name, one in applications.items()}
    # 127.0.0.1 in place of the VIP: where nobody listens at port 1, and curl is a stand-in.
    endpoint = bare.settings.endpoint.model_copy(update={"vip": "127.0.0.1"})
    settings = bare.settings.model_copy(update={"applications": parsed, "endpoint": endpoint})
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    monkeypatch.setenv("ASKED", str(tmp_path / "asked"))
    return World(replace(bare, settings=settings), tmp_path)


def test_only_clusters_with_applications_have_it(world: World) -> None:
    assert SUITE in cluster_suites(world.cluster)
    assert SUITE not in cluster_suites(TOPOLOGIES["vip"])


def test_any_answer_of_an_application_is_good_but_silence_is_not(world: World) -> None:
    """Nobody listens for `queue` here."""
    assert failed_tests(world.outcomes()) == {"test_answers[queue]"}


def test_the_key_must_be_that_of_the_inventory(world: World) -> None:
    world.outcomes()
    certificate = x509.load_pem_x509_certificate((world.folder / "shop.crt").read_bytes())
    key = certificate.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    pin = base64.b64encode(hashlib.sha256(key).digest()).decode()
    assert f"--insecure --pinnedpubkey sha256//{pin} --resolve shop.example.com:443:127.0.0.1" in world.asked


@pytest.mark.parametrize(
    ("asked", "answer", "found"),
    [
        ("https_shop", "printf 000; exit 90", "it has another key than the inventory's certificate"),
        ("https_shop", "printf 502", "502: no worker answers for it"),
        ("https_shop", "printf 000; exit 7", "nobody listens there"),
        ("http_shop", "printf 200", "200 instead of 308"),
        ("http_notes", "printf 000; exit 28", "no answer in time"),
        ("http_notes", "printf 504", "504: no worker answers for it"),
        ("http_notes", "exit 99", "the question ended with 99"),
    ],
)
def test_what_is_wrong_is_told(world: World, asked: str, answer: str, found: str) -> None:
    name = asked.partition("_")[2]
    outcomes = world.outcomes(**{asked: answer})
    assert failed_tests(outcomes) == {"test_answers[queue]", f"test_answers[{name}]"}
    [finding] = [one.finding for one in outcomes if one.finding and one.test == f"test_answers[{name}]"]
    assert f"{name}.example.com at 127.0.0.1 (w1): {found}" in (finding.found or "")
