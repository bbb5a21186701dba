"""An etcd and an apiserver of the real binaries on this machine's loopback, and real backups of them. Needs no root."""

import http.client
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from kbootstrap.artifacts.artifact import ArtifactRef
from kbootstrap.artifacts.cache import default_cache
from kbootstrap.artifacts.catalogue import load_catalogue
from kbootstrap.artifacts.obtain import obtain
from kbootstrap.artifacts.source import SourceSettings
from kbootstrap.model.versions import Version
from kbootstrap.pki.create import create_pki
from kbootstrap.pki.files import pki_files
from kbootstrap.private import private_folder
from kbootstrap.workflows.rehearsal.apiserver import Api, start_apiserver
from kbootstrap.workflows.rehearsal.etcd import NAME, Member, Programs, _answers, _credentials
from kbootstrap.workflows.rehearsal.scratch import LOOPBACK, Scratch, free_ports, wait
from tests.unit.workflows.restore.backups import CLUSTER, Maker

KUBERNETES = "1.36.4"


def programs() -> tuple[Programs, str]:
    """The real ones, and etcd's version."""
    release = load_catalogue().release(Version.parse(KUBERNETES))
    names = {"etcd": "etcd", "etcdctl": "etcdctl", "etcdutl": "etcdutl", "apiserver": "kube-apiserver"}
    wanted: dict[str, ArtifactRef] = {field: release.ref(name) for field, name in names.items()}
    found = obtain(list(wanted.values()), SourceSettings(), default_cache())
    return Programs(**{field: found[ref].path for field, ref in wanted.items()}), release.etcd


@dataclass(frozen=True, slots=True)
class SmallCluster:
    """A control plane without hosts."""

    scratch: Scratch
    programs: Programs
    etcd: str
    maker: Maker
    member: Member
    api: Api

    def post(self, path: str, body: dict[str, Any]) -> None:
        """Makes an object."""
        line = http.client.HTTPSConnection(LOOPBACK, self.api.port, context=self.api.tls)
        line.request("POST", path, json.dumps(body), {"Content-Type": "application/json"})
        answer = line.getresponse()
        assert answer.status == http.HTTPStatus.CREATED, answer.read()
        line.close()

    def secret(self, name: str) -> None:
        self.post("/api/v1/namespaces/default/secrets", {"metadata": {"name": name}, "stringData": {"password": name}})

    def backup(self) -> Maker:
        """What makes real backups of the present state."""
        snapshot = self.scratch.folder / "snapshot.db"
        snapshot.unlink(missing_ok=True)
        self.member.ask(self.scratch, "snapshot", "save", str(snapshot))
        said = self.scratch.run((self.programs.etcdutl, "snapshot", "status", snapshot, "--write-out=json"), seconds=60)
        status = json.loads(said)
        hashed = json.loads(self.member.ask(self.scratch, "endpoint", "hashkv", f"--rev={status['revision']}"))
        facts = {
            "revision": status["revision"],
            "keys": status["totalKey"],
            "hash": status["hash"],
            "hashkv": {
                "revision": status["revision"],
                "hash": hashed[0]["HashKV"]["hash"],
                "compact_revision": hashed[0]["HashKV"].get("compact_revision", 0),
                "members": {},
            },
            "etcd": self.etcd,
            "kubernetes": KUBERNETES,
        }
        return replace(self.maker, database=snapshot.read_bytes(), facts=facts)


@contextmanager
def small_cluster(folder: Path) -> Iterator[SmallCluster]:
    """One that runs; backups go to `folder`."""
    tools, etcd = programs()
    pki = create_pki(CLUSTER, datetime.now(UTC), 3650)
    keys = {file.path: file.content for file in pki_files(pki)}
    with private_folder() as place:
        scratch = Scratch(place)
        client, peer = (f"https://{LOOPBACK}:{port}" for port in free_ports(2))
        member = _credentials(scratch, pki, client, tools.etcdctl)
        scratch.start(
            "etcd",
            (tools.etcd, f"--name={NAME}", f"--data-dir={place}/data", f"--listen-client-urls={client}",
             f"--advertise-client-urls={client}", f"--listen-peer-urls={peer}",
             f"--initial-advertise-peer-urls={peer}", f"--initial-cluster={NAME}={peer}",
             f"--cert-file={member.certificate}", f"--key-file={member.key}",
             f"--trusted-ca-file={member.authority}", "--client-cert-auth", f"--peer-cert-file={member.certificate}",
             f"--peer-key-file={member.key}", f"--peer-trusted-ca-file={member.authority}", "--unsafe-no-fsync"),
        )  # fmt: skip
        wait(scratch, "etcd", lambda: _answers(scratch, member), seconds=60)
        api = start_apiserver(scratch, tools.apiserver, keys, pki, member)
        try:
            yield SmallCluster(scratch, tools, etcd, Maker(folder, pki=pki), member, api)
        finally:
            scratch.stop()
