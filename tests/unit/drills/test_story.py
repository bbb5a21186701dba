"""What is said of a drill beside its measured outages."""

from kbootstrap.drills.result import Jitter
from kbootstrap.drills.story import busy


def test_a_cluster_that_was_slow_before_is_named() -> None:
    calm, slow = Jitter("api-new", 0.004, 0.03, 0.9), Jitter("write-new", 0.1, 0.41, 0.5)
    (said,) = busy((calm, slow))
    assert "answers of write-new took 0.41 s and more" in said


def test_of_a_calm_one_nothing_is_said() -> None:
    assert busy((Jitter("api-new", 0.004, 0.25, 0.9),)) == []
    assert busy(()) == []
