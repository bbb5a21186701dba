from hypothesis import given
from hypothesis import strategies as st

from kbootstrap.components.service import Service, flags


def unit(command: tuple[str, ...] = ("/bin/x",), **environment: str) -> str:
    service = Service("x", "man:x", command, limit_nofile=1024, environment=environment)
    return service.file("x.service").content.decode()


def test_flags_of_the_inventory_win_and_come_in_place() -> None:
    assert flags({"a": True, "b": 1}, {"c": "x", "b": "2"}) == ("--a=true", "--b=2", "--c=x")


def test_what_systemd_would_expand_is_escaped() -> None:
    text = unit(("/bin/x", "--a=50%", "--b=$HOME", '--c=a "b"', "--d=\\"))
    assert "--a=50%%" in text
    assert "--b=$$HOME" in text
    assert '"--c=a \\"b\\""' in text
    assert "--d=\\\\" in text


def test_in_an_environment_a_dollar_is_a_dollar() -> None:
    assert "Environment=A=$x" in unit(A="$x")
    assert 'Environment="A=b c"' in unit(A="b c")


def test_a_unit_starts_again_for_ever() -> None:
    text = unit()
    assert "Restart=always" in text
    assert "StartLimitIntervalSec=0" in text


@given(st.text(alphabet=st.characters(blacklist_categories=("Cs", "Cc")) | st.just("\n"), min_size=1))
def test_a_word_never_breaks_out_of_its_line(word: str) -> None:
    lines = unit(("/bin/x", word)).split("\n")
    start = next(number for number, line in enumerate(lines) if line.startswith("ExecStart="))
    assert lines[start] == "ExecStart=/bin/x \\"
    assert lines[start + 2].startswith("Restart=")
