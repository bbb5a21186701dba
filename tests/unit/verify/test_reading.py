"""Reading what commands print."""

from hypothesis import given
from hypothesis import strategies as st

from kbootstrap.model.settings import Timeouts
from kbootstrap.verify.layout import ANYWHERE
from kbootstrap.verify.probes import Probe, script, unanswered
from kbootstrap.verify.reading import Listener, differing, flags, listeners, properties
from tests.local_host import shell

SS = """\
LISTEN 0      128         0.0.0.0:22         0.0.0.0:*    users:(("sshd",pid=58,fd=3))
LISTEN 0      4096      127.0.0.1:2381       0.0.0.0:*    users:(("etcd",pid=675,fd=9))
LISTEN 0      4096              *:10250            *:*    users:(("kubelet",pid=1562,fd=13))
LISTEN 0      511            [::]:80            [::]:*
LISTEN 0      511  127.0.0.53%lo:53         0.0.0.0:*
"""


def test_listeners() -> None:
    assert listeners(SS) == [
        Listener(ANYWHERE, 22, "sshd"),
        Listener("127.0.0.1", 2381, "etcd"),
        Listener(ANYWHERE, 10250, "kubelet"),
        Listener(ANYWHERE, 80, ""),
        Listener("127.0.0.53", 53, ""),
    ]


def test_properties() -> None:
    shown = properties("Id=a.service\nMainPID=1\n\nMainPID=2\nId=b.service\n")
    assert shown == {"a.service": {"Id": "a.service", "MainPID": "1"}, "b.service": {"MainPID": "2", "Id": "b.service"}}
    assert properties("") == {}


def test_flags() -> None:
    assert flags("/x/kube-apiserver\0--a=1\0--b=x=y\0--a=2\0") == {"a": "2", "b": "x=y"}


@given(st.dictionaries(st.text(), st.sampled_from(["a", "b"])))
def test_all_agree_or_some_differ(values: dict[str, str]) -> None:
    wrong = differing(values)
    assert (wrong == {}) == (len(set(values.values())) <= 1)
    assert len(wrong) <= len(values) / 2


def test_probes_are_repeated_until_answered_or_too_late() -> None:
    probes = [
        Probe("file", "good", "file:///etc/hostname", ""),
        Probe("file", "it's bad", "file:///nonsense", "x"),
    ]
    text = script(probes, Timeouts()).replace("+ 20 ))", "+ 0 ))", 1)
    output = shell(text).text
    assert unanswered(probes, "file", output).keys() == {"it's bad"}
    assert "nonsense" in unanswered(probes, "file", output)["it's bad"]


def test_a_host_that_said_nothing_reached_nothing() -> None:
    probes = [Probe("a", "b", "http://x", "y")]
    assert unanswered(probes, "a", "") == {"b": "no answer"}
    assert unanswered(probes, "a", "the connection was lost") == {"b": "the connection was lost"}
