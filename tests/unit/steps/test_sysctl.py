from pathlib import PurePosixPath

from kbootstrap.facts.fact import Facts
from kbootstrap.facts.paths import ABSENT, PathStat, PathState
from kbootstrap.facts.sysctls import SysctlValue, proc_path
from kbootstrap.steps.step import Change
from kbootstrap.steps.sysctl import Sysctls

PATH = PurePosixPath("/etc/sysctl.d/x.conf")
STEP = Sysctls(PATH, {"net.ipv4.ip_forward": "1", "fs.files": "100"}, at_least=frozenset({"fs.files"}))


def change(forward: str | None, files: str | None, *, written: bool = True) -> Change | None:
    stat = PathStat("file", 0o644, "root", "root", STEP.file.content) if written else ABSENT
    seen = Facts({PathState(PATH): stat, SysctlValue("net.ipv4.ip_forward"): forward, SysctlValue("fs.files"): files})
    return STEP.diff(seen, frozenset())


def test_nothing_to_do() -> None:
    assert change("1", "100") is None


def test_drift_of_a_live_value_is_noticed_and_only_that_is_set() -> None:
    due = change("0", "100")
    assert due is not None
    assert due.diff == "net.ipv4.ip_forward: 0 -> 1"
    assert "fs.files" not in due.script
    assert due.paths == frozenset()


def test_a_limit_may_be_higher_but_not_lower() -> None:
    assert change("1", "101") is None
    due = change("1", "99")
    assert due is not None
    assert "fs.files=100" in due.script


def test_what_the_host_does_not_have_is_left_alone() -> None:
    assert change(None, None) is None


def test_a_new_file_also_sets_what_a_module_may_have_brought_since() -> None:
    due = change(None, "100", written=False)
    assert due is not None
    assert "net.ipv4.ip_forward=1" in due.script
    assert due.paths == {PATH}


def test_values_are_read_with_blanks_between() -> None:
    wanted, other = SysctlValue("net.ipv4.ip_local_port_range"), SysctlValue("not.there")
    output = b"/proc/sys/net/ipv4/ip_local_port_range:32768\t60999\n"
    assert SysctlValue.parse([wanted, other], output) == {wanted: "32768 60999", other: None}


def test_slashes_in_a_key_are_dots_of_an_interface() -> None:
    assert proc_path("net.ipv4.conf.eth0/1.forwarding") == "/proc/sys/net/ipv4/conf/eth0.1/forwarding"
