import pytest

from kbootstrap.artifacts.artifact import ArtifactKind, ArtifactRef
from kbootstrap.artifacts.catalogue import UnknownRelease, load_catalogue, load_digests
from kbootstrap.errors import ArtifactError
from kbootstrap.model.settings import Companion
from kbootstrap.model.versions import Version

RELEASE = load_catalogue().release(Version.parse("1.36.4"))


@pytest.mark.parametrize("version", ["1.35.0", "1.35.8", "1.36.4", "1.37.1", "1.36.99"])
def test_any_patch_of_a_known_minor_has_its_companions(version: str) -> None:
    release = load_catalogue().release(Version.parse(version))
    assert release.kubernetes == version
    assert release.etcd.startswith("3.6.")


def test_an_unknown_minor_is_refused_with_the_known_ones() -> None:
    with pytest.raises(UnknownRelease) as caught:
        load_catalogue().release(Version.parse("1.21.0"))
    assert caught.value.known == ("1.35", "1.36", "1.37")
    assert "1.36" in (caught.value.hint or "")
    assert caught.value.exit_code == ArtifactError.exit_code


def test_every_version_is_three_numbers_without_a_v() -> None:
    for companions in load_catalogue().releases.values():
        for version in companions.model_dump().values():
            assert str(Version.parse(version)) == version


def test_refs_carry_kind_and_the_projects_version() -> None:
    assert RELEASE.ref("kubelet") == ArtifactRef("kubelet", "1.36.4", ArtifactKind.BINARY)
    assert RELEASE.ref("etcdutl").version == RELEASE.etcd
    assert RELEASE.ref("host-local").version == RELEASE.cni_plugins
    assert RELEASE.ref("pause").kind is ArtifactKind.IMAGE


def test_without_names_everything_but_the_optional() -> None:
    names = {ref.name for ref in RELEASE.refs()}
    assert {"kube-apiserver", "containerd-shim-runc-v2", "flanneld", "coredns"} <= names
    assert "metrics-server" not in names
    assert RELEASE.ref("metrics-server").version == RELEASE.metrics_server


def test_images_have_the_references_that_upstream_uses() -> None:
    assert [ref.name for ref in RELEASE.images()] == ["pause", "coredns", "agnhost"]
    assert RELEASE.image_reference("pause") == f"registry.k8s.io/pause:{RELEASE.pause}"
    assert RELEASE.image_reference("coredns") == f"registry.k8s.io/coredns/coredns:v{RELEASE.coredns}"
    with pytest.raises(ArtifactError, match="not an image"):
        RELEASE.image_reference("kubelet")


def test_an_unknown_name_is_refused_with_the_known_ones() -> None:
    with pytest.raises(ArtifactError, match="kublet") as caught:
        RELEASE.ref("kublet")
    assert "kubelet" in (caught.value.hint or "")


def test_every_project_can_be_built_and_every_binary_downloaded() -> None:
    for name, project in load_catalogue().projects.items():
        assert project.go or project.c, name
        assert project.image or project.download, name


def test_pinned_digests_are_of_files_that_the_catalogue_downloads() -> None:
    patterns = [project.download.file for project in load_catalogue().projects.values() if project.download]
    for address, digest in load_digests().items():
        assert len(bytes.fromhex(digest)) == 32
        assert address.split("/")[:3] in [pattern.split("/")[:3] for pattern in patterns]


def test_other_versions_can_be_wanted() -> None:
    others: dict[Companion, Version] = {"etcd": Version(3, 6, 15), "cni-plugins": Version(1, 8, 0)}
    release = load_catalogue().release(Version(1, 36, 4), others)
    assert (release.etcd, release.ref("bridge").version, release.runc) == ("3.6.15", "1.8.0", RELEASE.runc)
