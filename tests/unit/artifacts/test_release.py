import errno
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kbootstrap.artifacts import release as release_module
from kbootstrap.artifacts.artifact import ArtifactKind, ArtifactRef
from kbootstrap.artifacts.cache import Cache
from kbootstrap.artifacts.obtain import obtain
from kbootstrap.artifacts.release import find_digest
from kbootstrap.artifacts.source import Origin, SourceSettings
from kbootstrap.artifacts.transfer import Patience, Unavailable, fetch
from kbootstrap.errors import ArtifactError
from kbootstrap.events import Event, Progress
from tests.unit.artifacts.publisher import (
    ETCD,
    KUBERNETES,
    RUNC,
    Misbehaviour,
    Publisher,
    archive,
    corrupted,
    dripping,
    failing,
    hanging,
    truncated,
)

KUBELET = ArtifactRef("kubelet", "1.36.4")
RUNC_REF = ArtifactRef("runc", "1.5.2")
CONTENT = b"\x7fELF kubelet" * 1000


@pytest.fixture(autouse=True)
def no_pins(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(release_module, "load_digests", dict)


@pytest.fixture
def kubelet(publisher: Publisher) -> str:
    path = f"{KUBERNETES}/kubelet"
    publisher.publish(path, CONTENT)
    return path


def test_a_published_file_arrives_and_is_not_fetched_twice(
    publisher: Publisher, impatient: SourceSettings, cache: Cache, kubelet: str
) -> None:
    events: list[Event] = []
    artifact = obtain([KUBELET], impatient, cache, events.append)[KUBELET]
    assert artifact.path.read_bytes() == CONTENT
    assert artifact.reference is None
    assert Progress("kubelet 1.36.4", len(CONTENT), len(CONTENT)) in events
    assert obtain([KUBELET], impatient, cache)[KUBELET] == artifact
    assert publisher.asked[kubelet] == 1


def test_files_of_an_archive_come_from_one_download(
    publisher: Publisher, impatient: SourceSettings, cache: Cache
) -> None:
    content = archive({f"etcd-v3.6.16-linux-amd64/{name}": name.encode() for name in ("etcd", "etcdctl", "README.md")})
    path = f"{ETCD}/etcd-v3.6.16-linux-amd64.tar.gz"
    publisher.publish(path, content)
    digest = publisher.files.pop(f"{path}.sha256").decode()
    publisher.files[f"{ETCD}/SHA256SUMS"] = f"{'0' * 64}  other.tar.gz\n{digest}  {Path(path).name}\n".encode()
    wanted = [ArtifactRef("etcd", "3.6.16"), ArtifactRef("etcdctl", "3.6.16")]
    found = obtain(wanted, impatient, cache)
    assert [found[ref].path.read_bytes() for ref in wanted] == [b"etcd", b"etcdctl"]
    assert publisher.asked[path] == 1
    with pytest.raises(ArtifactError, match="does not contain etcdutl"):
        obtain([ArtifactRef("etcdutl", "3.6.16")], impatient, cache)


@pytest.mark.parametrize(
    ("misbehaviour", "said"),
    [
        (truncated, "ended after 6000 of 12000 bytes"),
        (corrupted, "instead of"),
        (failing(99), "503"),
        (failing(99, 403), "403"),
    ],
)
def test_a_file_that_does_not_come_right_is_an_error_and_not_kept(
    publisher: Publisher, impatient: SourceSettings, cache: Cache, kubelet: str, misbehaviour: Misbehaviour, said: str
) -> None:
    publisher.misbehaving[kubelet] = misbehaviour
    with pytest.raises(ArtifactError, match=said) as caught:
        obtain([KUBELET], impatient, cache)
    assert "kubelet" in str(caught.value)
    assert caught.value.hint
    assert cache.contents() == []
    assert not list((cache.root / "work").iterdir())
    del publisher.misbehaving[kubelet]
    assert obtain([KUBELET], impatient, cache)[KUBELET].path.read_bytes() == CONTENT


def test_a_server_that_hangs_is_given_up(
    publisher: Publisher, impatient: SourceSettings, cache: Cache, kubelet: str
) -> None:
    publisher.misbehaving[kubelet] = hanging
    with pytest.raises(Unavailable, match=r"kubelet: nothing came for 0\.3 s"):
        obtain([KUBELET], replace(impatient, stall_timeout=0.3), cache)
    assert cache.contents() == []


def test_a_server_that_drips_is_given_up(
    publisher: Publisher, impatient: SourceSettings, cache: Cache, kubelet: str
) -> None:
    publisher.misbehaving[kubelet] = dripping
    with pytest.raises(Unavailable, match="too slowly"):
        obtain([KUBELET], replace(impatient, download_deadline=0.2), cache)


@pytest.mark.parametrize("misbehaviour", [failing(2), failing(2, 429)])
def test_passing_failures_are_tried_again(
    publisher: Publisher, impatient: SourceSettings, cache: Cache, kubelet: str, misbehaviour: Misbehaviour
) -> None:
    publisher.misbehaving[kubelet] = misbehaviour
    assert KUBELET in obtain([KUBELET], impatient, cache)
    assert publisher.asked[kubelet] == 3


def test_what_is_missing_is_asked_for_once(publisher: Publisher, impatient: SourceSettings, cache: Cache) -> None:
    with pytest.raises(Unavailable, match="404"):
        obtain([KUBELET], impatient, cache)
    assert publisher.asked == {f"{KUBERNETES}/kubelet.sha256": 1}


def test_a_file_without_a_published_digest_is_not_taken(
    publisher: Publisher, impatient: SourceSettings, cache: Cache, kubelet: str
) -> None:
    publisher.files[f"{kubelet}.sha256"] = b"<html>not found</html>"
    with pytest.raises(ArtifactError, match="has no SHA-256"):
        obtain([KUBELET], impatient, cache)
    assert publisher.asked[kubelet] == 0


def test_a_pinned_digest_is_what_counts(
    publisher: Publisher,
    impatient: SourceSettings,
    cache: Cache,
    kubelet: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(release_module, "load_digests", lambda: {kubelet: "0" * 64})
    with pytest.raises(ArtifactError, match="instead of 0000"):
        obtain([KUBELET], impatient, cache)
    assert publisher.asked[f"{kubelet}.sha256"] == 0


def test_nobody_there(impatient: SourceSettings, cache: Cache) -> None:
    with pytest.raises(Unavailable, match="refused"):
        obtain([KUBELET], replace(impatient, mirror="http://127.0.0.1:1"), cache)


def test_a_full_disk_is_named(
    impatient: SourceSettings, cache: Cache, kubelet: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def onto_full_disk(url: str, target: Path, patience: Patience, watch: Callable[[int, int | None], None]) -> str:
        return fetch(url, Path("/dev/full"), patience, watch)

    monkeypatch.setattr(release_module, "fetch", onto_full_disk)
    with pytest.raises(ArtifactError, match=r"kubernetes 1\.36\.4: no space left in") as caught:
        obtain([KUBELET], impatient, cache)
    assert isinstance(caught.value.__cause__, OSError)
    assert caught.value.__cause__.errno == errno.ENOSPC
    assert "XDG_CACHE_HOME" in (caught.value.hint or "")


def test_images_are_left_to_the_hosts(impatient: SourceSettings, cache: Cache, kubelet: str) -> None:
    pause = ArtifactRef("pause", "3.10.2", ArtifactKind.IMAGE)
    assert set(obtain([KUBELET, pause], impatient, cache)) == {KUBELET}


def test_only_the_cache(impatient: SourceSettings, cache: Cache, publisher: Publisher, kubelet: str) -> None:
    only = replace(impatient, origin=Origin.CACHE)
    with pytest.raises(ArtifactError, match=r"not in the cache: kubelet 1\.36\.4"):
        obtain([KUBELET], only, cache)
    assert publisher.asked == {}
    obtain([KUBELET], impatient, cache)
    assert KUBELET in obtain([KUBELET], only, cache)


def test_the_first_failure_stops_the_rest(
    publisher: Publisher, impatient: SourceSettings, cache: Cache, kubelet: str
) -> None:
    publisher.publish(f"{RUNC}/runc.amd64", b"runc")
    digest = publisher.files.pop(f"{RUNC}/runc.amd64.sha256").decode()
    publisher.files[f"{RUNC}/runc.sha256sum"] = f"{digest}  runc.amd64\n{'1' * 64}  runc.arm64\n".encode()
    publisher.misbehaving[kubelet] = corrupted
    with pytest.raises(ArtifactError, match="kubelet"):
        obtain([KUBELET, RUNC_REF], impatient, cache)


def test_an_unwritable_cache_is_a_plain_error(impatient: SourceSettings, tmp_path: Path, kubelet: str) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(ArtifactError, match="file"):
        obtain([KUBELET], impatient, Cache(tmp_path / "file" / "cache"))


def test_digests_that_github_publishes() -> None:
    assets = [
        {"name": "flannel.tar.gz", "digest": f"sha256:{'AB' * 32}"},
        {"name": "old.tar.gz", "digest": None},
        {"name": "odd.tar.gz", "digest": "sha512:00"},
    ]
    text = json.dumps({"assets": assets})
    assert find_digest(text, "flannel.tar.gz") == "ab" * 32
    for name in ("old.tar.gz", "odd.tar.gz", "another.tar.gz"):
        assert find_digest(text, name) is None
    for strange in ("{", "{}", '{"assets": [1]}', '{"assets": null}'):
        assert find_digest(strange, "flannel.tar.gz") is None


@given(digest=st.binary(min_size=32, max_size=32), name=st.sampled_from(["kubelet", "runc.amd64", "a-1.tgz"]))
def test_digests_are_found_in_every_published_form(digest: bytes, name: str) -> None:
    text, other = digest.hex(), "f" * 64
    assert find_digest(text, name) == text
    assert find_digest(f"{text.upper()}\n", name) == text
    assert find_digest(f"{other}  other\n{text}  {name}\n", name) == text
    assert find_digest(f"{text} *./{name}\n", name) == text
    assert find_digest(f"{text}  another\n", name) is None
    assert find_digest(f"{text}  {name}.asc\n", name) is None
    assert find_digest("", name) is None
