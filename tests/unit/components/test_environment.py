"""The environment of daemons, as the inventory says it."""

from collections.abc import Callable, Sequence
from dataclasses import replace

import pytest

from kbootstrap.components.etcd import etcd
from kbootstrap.components.kube_apiserver import kube_apiserver
from kbootstrap.components.service import unit_path
from kbootstrap.components.site import Site
from kbootstrap.model.settings import ApiServer, Etcd
from kbootstrap.steps.file import File
from kbootstrap.steps.step import Step
from tests.golden.sites import TOPOLOGIES, site


@pytest.mark.parametrize(
    ("component", "unit"),
    [(etcd, "etcd.service"), (kube_apiserver, "kube-apiserver.service")],
    ids=["etcd", "kube-apiserver"],
)
def test_it_is_in_the_unit(component: Callable[[Site], Sequence[Step]], unit: str) -> None:
    cluster = TOPOLOGIES["vip"]
    more = {"etcd": Etcd(environment={"GOGC": "200"}), "kube_apiserver": ApiServer(environment={"GOGC": "200"})}
    cluster = replace(cluster, settings=cluster.settings.model_copy(update=more))
    [file] = [
        step for step in component(site(cluster, "cp1")) if isinstance(step, File) and step.path == unit_path(unit)
    ]
    assert b"\nEnvironment=GOGC=200\n" in file.content


@pytest.mark.parametrize("name", ["", "A B", "1A", "A=B"])
def test_a_name_that_is_none(name: str) -> None:
    with pytest.raises(ValueError, match="environment"):
        Etcd.model_validate({"environment": {name: "1"}})
