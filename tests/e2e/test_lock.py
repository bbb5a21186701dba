"""Two runs at once: the second is refused, with the name of the first; a first that was killed leaves no lock."""

import re
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager

from tests.e2e.bed import Bed
from tests.e2e.conftest import wait_until

LOCKED = 6
SLOW = """\
name: slow
phases:
  - phase: wait
    hosts: all
    steps:
      - command: {title: wait, run: sleep 60, unless: test -e /run/never}
"""


@contextmanager
def slow_run(bed: Bed) -> Iterator[subprocess.Popen[str]]:
    """A run that holds the lock of every host for a minute, unless it is killed."""
    playbook = bed.folder / "slow.yml"
    playbook.write_text(SLOW)
    with bed.start("playbook", "run", str(playbook)) as process:
        try:
            wait_until(lambda: is_locked(bed), seconds=60, what="the lock is taken")
            yield process
        finally:
            process.kill()


def is_locked(bed: Bed) -> bool:
    return lock_states(bed) == {"held"}


def is_free(bed: Bed) -> bool:
    return lock_states(bed) == {"free"}


def lock_states(bed: Bed) -> set[str]:
    return set(bed.on_all("flock --nonblock /run/kbootstrap/lock true && echo free || echo held").values())


def test_a_second_run_is_refused_with_the_firsts_owner_and_age(shared: Bed) -> None:
    with slow_run(shared):
        refused = shared.run("up").expect(LOCKED, "root@", "playbook run", "unlock")
        assert re.search(r"since \d+ s \(run \d{8}-\d{6}-", refused.text)
        assert "Traceback" not in refused.text
        shared.run("plan").expect(0)  # who only looks is not in the way


def test_the_lock_of_a_run_that_was_killed_is_free_at_once(shared: Bed) -> None:
    with slow_run(shared) as process:
        process.send_signal(signal.SIGKILL)
        process.wait()
        wait_until(lambda: is_free(shared), seconds=5, what="the lock is free")
    shared.run("up").expect(0, "Nothing to change")


def test_a_lock_can_be_broken(shared: Bed) -> None:
    with slow_run(shared) as process:
        shared.run("unlock", "--yes").expect(0, "root@", "playbook run", "Released: ")
        shared.run("up").expect(0, "Nothing to change")
        assert process.poll() is None
    shared.run("unlock", "--yes").expect(0, "Nothing is locked")


def test_the_history_has_the_runs(shared: Bed) -> None:
    shared.run("history").expect(0, "up", "ok", "playbook run", "cut short")
