import hashlib
import os
import subprocess
import sys
import timeit
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kbootstrap.artifacts.artifact import ArtifactKind, ArtifactRef
from kbootstrap.artifacts.cache import Cache, default_cache
from kbootstrap.errors import ArtifactError

REF = ArtifactRef("kubelet", "1.36.4")


def put(cache: Cache, content: bytes, ref: ArtifactRef = REF, key: str = "key") -> Path:
    with cache.workplace("test", 5, lambda: None) as work:
        (work / "file").write_bytes(content)
        return cache.add(key, ref, work / "file").path


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=25, deadline=None)
@given(contents=st.lists(st.binary(max_size=64), min_size=1, max_size=8))
def test_what_was_added_is_found_under_its_digest(
    contents: list[bytes], tmp_path_factory: pytest.TempPathFactory
) -> None:
    cache = Cache(tmp_path_factory.mktemp("cache"))
    refs = {ArtifactRef(f"file{number}", "1.0.0"): content for number, content in enumerate(contents)}
    for ref, content in refs.items():
        put(cache, content, ref, key=ref.name)
    found = cache.find({ref: ["other", ref.name] for ref in refs})
    assert {ref: artifact.path.read_bytes() for ref, artifact in found.items()} == refs
    for ref, artifact in found.items():
        assert artifact.sha256 == hashlib.sha256(refs[ref]).hexdigest() == artifact.path.name
        assert artifact.size == len(refs[ref])


def test_the_first_known_key_wins(cache: Cache) -> None:
    put(cache, b"built", key="build")
    put(cache, b"downloaded", key="release")
    assert cache.find({REF: ["release", "build"]})[REF].path.read_bytes() == b"downloaded"
    assert cache.find({REF: ["nothing"]}) == {}


def test_files_are_ready_for_a_host_and_safe_from_accidents(cache: Cache) -> None:
    assert put(cache, b"binary").stat().st_mode & 0o777 == 0o555
    image = ArtifactRef("pause", "3.10.2", ArtifactKind.IMAGE)
    assert put(cache, b"image", image).stat().st_mode & 0o777 == 0o444


def test_an_unchanged_file_is_not_read(cache: Cache, monkeypatch: pytest.MonkeyPatch) -> None:
    put(cache, b"content")
    monkeypatch.setattr("kbootstrap.artifacts.cache.sha256_of", lambda path: pytest.fail(f"{path} was read"))
    assert REF in cache.find({REF: ["key"]})


def test_a_touched_file_is_hashed_once_and_kept(cache: Cache, monkeypatch: pytest.MonkeyPatch) -> None:
    path = put(cache, b"content")
    os.utime(path, (1, 1))
    assert REF in cache.find({REF: ["key"]})
    monkeypatch.setattr("kbootstrap.artifacts.cache.sha256_of", lambda path: pytest.fail(f"{path} was read"))
    assert REF in cache.find({REF: ["key"]})


@pytest.mark.parametrize("damage", [b"c0ntent", b"short", b""])
def test_a_changed_file_is_dropped(cache: Cache, damage: bytes) -> None:
    path = put(cache, b"content")
    path.chmod(0o644)
    path.write_bytes(damage)
    assert cache.find({REF: ["key"]}) == {}
    assert not path.exists()
    assert cache.contents() == []


def test_a_lost_file_is_not_found(cache: Cache) -> None:
    put(cache, b"content").unlink()
    assert cache.find({REF: ["key"]}) == {}


def test_verify_finds_damage_that_left_no_trace(cache: Cache) -> None:
    path = put(cache, b"content")
    good = put(cache, b"good", ArtifactRef("runc", "1.5.2"), key="other")
    before = path.stat()
    path.chmod(0o644)
    path.write_bytes(b"c0ntent")
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert REF in cache.find({REF: ["key"]}), "the damage must be invisible without hashing"
    sound = {stored.artifact.ref.name: stored.sound for stored in cache.verify()}
    assert sound == {"kubelet": False, "runc": True}
    assert cache.find({REF: ["key"]}) == {}
    assert good.exists()


def test_a_damaged_index_is_an_empty_one(cache: Cache) -> None:
    put(cache, b"content")
    (cache.root / "index.json").write_text('{"format": 1, "entries": {"key"')
    assert cache.find({REF: ["key"]}) == {}
    put(cache, b"content")
    assert REF in cache.find({REF: ["key"]})


def test_a_workplace_is_emptied_of_what_killed_processes_left(cache: Cache) -> None:
    left = cache.root / "work" / "kubernetes-1.36.4-amd64~abc"
    other = cache.root / "work" / "etcd-3.6.16-amd64~abc"
    for folder in (left, other):
        folder.mkdir(parents=True)
        (folder / "half").write_bytes(b"half")
    with cache.workplace("kubernetes-1.36.4-amd64", 1, lambda: None) as work:
        assert list(work.iterdir()) == []
        assert not left.exists()
        assert other.exists(), "another project's workplace may be in use"
    assert not work.exists()


def test_one_process_at_a_time_in_a_workplace(cache: Cache) -> None:
    holder = subprocess.Popen([sys.executable, "-c", HOLD, str(cache.root)], stdout=subprocess.PIPE, text=True)
    assert holder.stdout is not None
    assert holder.stdout.readline() == "held\n"
    waited: list[None] = []
    with pytest.raises(ArtifactError, match="another process"), cache.workplace("x", 0.3, lambda: waited.append(None)):
        pytest.fail("two at once")
    assert waited
    holder.kill()
    holder.wait()
    with cache.workplace("x", 5, lambda: None):
        pass
    holder.stdout.close()


HOLD = """
import sys, time
from pathlib import Path
from kbootstrap.artifacts.cache import Cache
with Cache(Path(sys.argv[1])).workplace("x", 5, lambda: None):
    print("held", flush=True)
    time.sleep(30)
"""


def test_xdg_cache_home_is_honoured(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert default_cache().root == tmp_path / "kbootstrap" / "artifacts"


def test_many_files_are_found_in_milliseconds(cache: Cache) -> None:
    refs = {ArtifactRef(f"file{number}", "1.0.0"): str(number) for number in range(40)}
    for ref, key in refs.items():
        put(cache, key.encode(), ref, key)
    wanted = {ref: [key] for ref, key in refs.items()}
    assert len(cache.find(wanted)) == 40
    assert min(timeit.repeat(lambda: cache.find(wanted), number=1, repeat=10)) < 0.02
