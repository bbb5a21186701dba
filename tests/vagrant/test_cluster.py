"""The smallest cluster on machines that Vagrant made."""

from collections.abc import Iterator

import pytest

from tests.vagrant.conftest import machines
from tests.vagrant.project import Project

pytestmark = pytest.mark.long


@pytest.fixture(scope="module", autouse=True)
def single(vagrant: Project) -> Iterator[Project]:
    with machines(vagrant, "single"):
        yield vagrant


def test_a_cluster_comes_up_and_stays_as_it_is(single: Project) -> None:
    single.kbootstrap("preflight").expect()
    single.kbootstrap("up").expect(0, "is ready")
    single.kbootstrap("plan").expect(0, "Nothing to change")
    single.kbootstrap("up").expect(0, "Nothing to change")


def test_it_is_healthy(single: Project) -> None:
    single.kbootstrap("status").expect(0, "healthy")
    single.kbootstrap("verify").expect(0, "tests passed")
