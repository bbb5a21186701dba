"""The script of a task: what it reports, and that it stops at the first failure."""

from kbootstrap.checks.check import Check
from kbootstrap.engine.script import finished, task_script
from kbootstrap.facts.fact import scaled
from kbootstrap.steps.step import Change
from tests.local_host import shell


def change(script: str) -> Change:
    return Change("some change", script, "fingerprint")


def made(*scripts: str) -> tuple[list[int], bool]:
    script = task_script([change(text) for text in scripts], "", "marker")
    result = shell(script.text)
    numbers = [finished(line, "marker") for line in result.text.splitlines()]
    return [number for number in numbers if number is not None], result.ok


def test_every_change_is_reported_when_it_is_made() -> None:
    assert made("true", "echo hello", "cd /") == ([0, 1, 2], True)


def test_nothing_is_done_after_a_failure() -> None:
    assert made("true", "false; echo on", "true") == ([0], False)


def test_an_unset_variable_is_a_failure() -> None:
    assert made("echo $NOT_SET_ANYWHERE") == ([], False)


def test_a_change_cannot_eat_the_script_nor_leave_variables_behind() -> None:
    assert made("cat; X=1", 'test -z "${X:-}"') == ([0, 1], True)


def test_changes_on_slow_hosts_have_more_time() -> None:
    waiting = change(f"echo {scaled(3)}")
    waits = [shell(task_script([waiting], "", "marker", scale=scale).text).text.split()[0] for scale in (1.0, 2.5)]
    assert waits == ["3", "8"]


def test_gentle_work_leaves_processors_to_others() -> None:
    niceness = [shell(task_script([change("nice")], "", "marker", gentle=gentle).text).text for gentle in (False, True)]
    usual, gentle = (int(text.split()[0]) for text in niceness)
    assert usual < gentle == 19


def test_a_change_cannot_pretend_to_be_another() -> None:
    assert finished("marker-not 1", "marker") is None
    assert finished("marker x", "marker") is None


def test_a_check_waits_until_its_probe_succeeds(tmp_path: object) -> None:
    counter = f"{tmp_path}/tries"
    probe = f'echo x >>{counter}; [ "$(wc -l <{counter})" -ge 3 ]'
    assert shell(Check("third-try", probe, deadline=20, interval=0.01).script()).ok


def test_a_probe_that_watches_by_itself_is_never_told_to_wait_for_ever() -> None:
    """kubectl takes a negative timeout for a week."""
    result = shell(Check("watching", "sleep 2; echo $(remaining); false", deadline=1, interval=0.01).script())
    assert (result.ok, result.text.split()) == (False, ["1"])


def test_a_check_gives_up_at_its_deadline_and_repeats_the_probes_last_words() -> None:
    result = shell(Check("never", "echo the reason; false", deadline=1, interval=0.05).script())
    assert not result.ok
    assert result.text == "the reason"
