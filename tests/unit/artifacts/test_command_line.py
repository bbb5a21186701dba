import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from kbootstrap.artifacts.artifact import ArtifactRef
from kbootstrap.artifacts.cache import default_cache
from kbootstrap.cli.artifacts import artifacts_app
from kbootstrap.errors import ArtifactError, InvalidInput
from tests.unit.artifacts.publisher import KUBERNETES, Publisher


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))


def run(*arguments: str) -> str:
    return CliRunner().invoke(artifacts_app, arguments, catch_exceptions=False).output


def fetch_kubelet(publisher: Publisher, *options: str) -> str:
    publisher.publish(f"{KUBERNETES}/kubelet", b"kubelet")
    fetch = ("fetch", "kubelet", "--kubernetes", "1.36.4", "--source", "release", "--mirror", publisher.address)
    return run(*fetch, *options)


def test_fetch_then_list(publisher: Publisher) -> None:
    assert "Kubernetes 1.36.4: 1 artifacts" in fetch_kubelet(publisher)
    (row,) = json.loads(run("list", "--json"))
    assert (row["name"], row["version"], row["kind"], row["sound"]) == ("kubelet", "1.36.4", "binary", True)
    assert Path(row["path"]).read_bytes() == b"kubelet"
    assert "kubelet" in run("list")


def test_verify_finds_damage(publisher: Publisher) -> None:
    fetch_kubelet(publisher)
    (row,) = json.loads(run("list", "--json"))
    path = Path(row["path"])
    path.chmod(0o644)
    path.write_bytes(b"kubelot")
    with pytest.raises(ArtifactError, match=r"damaged and dropped: kubelet 1\.36\.4"):
        run("verify")
    assert default_cache().find({ArtifactRef("kubelet", "1.36.4"): ["any"]}) == {}
    assert not path.exists()


def test_a_version_that_is_none_is_the_users_mistake() -> None:
    with pytest.raises(InvalidInput, match="no version"):
        run("fetch", "--kubernetes", "newest")


def test_an_unknown_artifact_is_the_users_mistake() -> None:
    with pytest.raises(ArtifactError, match="kublet"):
        run("fetch", "kublet")
