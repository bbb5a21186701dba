"""The playbooks that come with the package, and names that nobody knows in others."""

import re
from pathlib import Path

import pytest

from kbootstrap.checks.catalogue import CHECKS
from kbootstrap.engine.playbook import Phase
from kbootstrap.engine.selectors import SELECTORS
from kbootstrap.errors import InvalidInput, Problem
from kbootstrap.resources import folder
from kbootstrap.workflows.guards.catalogue import GUARDS
from kbootstrap.workflows.leaders import LEADERS
from kbootstrap.workflows.playbooks import WORKERS, builtin, in_batches, load_playbook
from tests.golden.sites import TOPOLOGIES

NAMES = sorted(path.stem for path in folder("playbooks").glob("*.yml"))
ROLLOUTS = ("upgrade", "downgrade", "reboot")


@pytest.mark.parametrize("name", NAMES)
def test_every_playbook_that_comes_with_the_package_loads(name: str) -> None:
    assert builtin(name).name == name
    assert builtin(name).description
    for cluster in TOPOLOGIES.values():
        load_playbook(folder("playbooks") / f"{name}.yml", cluster)


def test_there_are_playbooks() -> None:
    assert {"up", *ROLLOUTS} <= set(NAMES)


def test_every_name_is_explained() -> None:
    text = (folder("playbooks").parent / "docs" / "playbooks.md").read_text()
    rows = {name for line in text.splitlines() if line.startswith("| ") for name in re.findall("`([^`]+)`", line)}
    assert {*GUARDS, *CHECKS, *LEADERS, *SELECTORS, *Phase.model_fields} <= rows


def test_the_examples_that_are_explained_are_playbooks(tmp_path: Path) -> None:
    text = (folder("playbooks").parent / "docs" / "playbooks.md").read_text()
    examples = re.findall(r"```yaml\n(.*?)```", text, re.DOTALL)
    assert len(examples) == 2
    for example in examples:
        (tmp_path / "own.yml").write_text(example)
        assert load_playbook(tmp_path / "own.yml", TOPOLOGIES["vip"]).phases


def problems(text: str, tmp_path: Path) -> list[Problem]:
    file = tmp_path / "own.yml"
    file.write_text(f"name: own\nphases:\n  - phase: one\n    {text}\n")
    with pytest.raises(InvalidInput) as caught:
        load_playbook(file, TOPOLOGIES["vip"])
    return list(caught.value.problems)


@pytest.mark.parametrize(
    ("text", "said", "known"),
    [
        ("around: [drained, drain]", "there is no guard 'drain'", GUARDS),
        ("gates: [node-redy]", "there is no check 'node-redy'", CHECKS),
        ("checks: [node-redy]", "there is no check 'node-redy'", CHECKS),
        ("last: leader", "there is no order 'leader'", LEADERS),
    ],
)
def test_an_unknown_name_is_refused_with_those_that_are_known(
    text: str, said: str, known: dict[str, object], tmp_path: Path
) -> None:
    [problem] = problems(text, tmp_path)
    assert said in problem.message
    assert problem.hint == f"known: {', '.join(known)}"
    assert problem.line == 4


def test_every_unknown_name_is_told(tmp_path: Path) -> None:
    found = problems("around: [one, drained, two]\n    gates: [three]\n    hosts: nobody", tmp_path)
    assert {problem.message.split("'")[1] for problem in found} == {"one", "two", "three", "nobody"}


@pytest.mark.parametrize("text", ["around: {a: b}", "ahead: perhaps", "rolling: 2", "arround: [drained]"])
def test_a_wrong_value_is_refused_in_its_place(text: str, tmp_path: Path) -> None:
    [problem] = problems(text, tmp_path)
    assert problem.line == 4


def test_guards_and_gates_have_an_effect_where_they_stand() -> None:
    """Only a rolling phase goes host by host: elsewhere they would protect nobody."""
    for name in NAMES:
        for phase in builtin(name).phases:
            if phase.around or phase.gates or phase.last:
                assert phase.rolling, (name, phase.phase)


@pytest.mark.parametrize("name", NAMES)
def test_no_real_server_of_lvs_is_worked_on_while_it_gets_connections(name: str) -> None:
    """What may interrupt it: the unit with its VIP is started anew (see test_lvs.py), or the whole host is."""
    for phase in builtin(name).phases:
        on_control_planes = phase.hosts in ("all", "control-plane")
        if on_control_planes and {"lvs", "reboot"} & set(phase.components):
            assert "out-of-lvs" in phase.around, phase.phase


@pytest.mark.parametrize("name", ROLLOUTS)
def test_workers_go_in_batches_and_nobody_else(name: str) -> None:
    book = in_batches(builtin(name), "20%")
    assert {phase.phase: phase.serial for phase in book.phases if phase.serial} == {WORKERS: "20%"}
    assert [phase.phase for phase in book.phases] == [phase.phase for phase in builtin(name).phases]


def test_nothing_of_an_upgrade_is_left_out_on_the_way_back() -> None:
    there, back = ({part for phase in builtin(name).phases for part in phase.components} for name in ROLLOUTS[:2])
    assert there - back == {"etcd"}
    assert back <= there


@pytest.mark.parametrize("name", ROLLOUTS[:2])
def test_an_apiserver_that_was_left_stopped_or_broken_does_not_keep_a_run_from_going_on(name: str) -> None:
    """Nothing but the rollout itself would start it again: `up` refuses another version."""
    phases = {phase.phase: phase for phase in builtin(name).phases}
    before = next(phase for phase in phases.values() if phase.always)
    assert "apiserver-ready" not in before.checks
    assert phases["apiservers"].checks == ("apiserver-ready",)
