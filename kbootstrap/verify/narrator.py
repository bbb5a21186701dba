"""Turns what pytest reports into outcomes that people can read: what was expected, what was found, and where."""

import inspect
from collections.abc import Callable, Generator, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field, replace

import pytest

from kbootstrap.errors import KbootstrapError
from kbootstrap.verify.backend import Log
from kbootstrap.verify.report import Finding, Outcome, Verdict, failed

SHOWN_OUTPUT = 2000
"""Characters of a command's output in a finding: the end, where errors stand."""

SHOWN_VALUE = 500
"""Characters of a value in a finding."""

_MEANING = {
    "==": "{}",
    "is": "{}",
    "!=": "anything but {}",
    "in": "one of {}",
    "not in": "none of {}",
    "<=": "at most {}",
    ">=": "at least {}",
    "<": "less than {}",
    ">": "more than {}",
}


@dataclass(slots=True, eq=False)
class Narrator:
    """A pytest plugin that tells outcomes, and keeps pytest itself quiet."""

    subject: str
    log: Log
    tell: Callable[[Outcome], None]
    _compared: tuple[str, object, object] | None = None
    _told: list[BaseException] = field(default_factory=list)
    """What went wrong before tests could begin: pytest says the same again for every test that needs the same."""

    @pytest.hookimpl(trylast=True)
    def pytest_configure(self, config: pytest.Config) -> None:
        config.pluginmanager.unregister(name="terminalreporter")

    def pytest_runtest_logstart(self) -> None:
        self.log.last, self._compared = None, None

    def pytest_assertrepr_compare(self, op: str, left: object, right: object) -> None:
        """Keeps the two sides of a comparison that did not hold: they are what people want to see."""
        self._compared = (op, left, right)

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(
        self, item: pytest.Item, call: pytest.CallInfo[None]
    ) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        report = yield
        if (report.when == "call" or not report.passed) and not _is_empty(call):
            self.tell(self._outcome(item, report, call))
        return report

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        if report.failed:
            message = str(report.longrepr).strip().splitlines()[-1]
            self.tell(failed(self.subject, "session", f"{report.nodeid} can be loaded", Finding(message)))

    def pytest_internalerror(self, excinfo: pytest.ExceptionInfo[BaseException]) -> bool:
        self.tell(failed(self.subject, "session", "pytest runs through", Finding(excinfo.exconly(tryshort=True))))
        return True

    def _outcome(self, item: pytest.Item, report: pytest.TestReport, call: pytest.CallInfo[None]) -> Outcome:
        verdict, finding = Verdict(report.outcome), None
        if call.excinfo is not None:
            verdict, finding = self._judged(verdict, call.excinfo.value, in_setup=report.when == "setup")
        return Outcome(
            subject=self.subject,
            suite=suite_name(item),
            test=item.name if report.when != "teardown" else f"{item.name}:teardown",
            title=title(item) if report.when != "teardown" else f"after it, everything is put back: {title(item)}",
            verdict=verdict,
            seconds=round(call.duration, 3),
            finding=finding,
        )

    def _judged(self, verdict: Verdict, error: BaseException, *, in_setup: bool) -> tuple[Verdict, Finding]:
        if any(error is told for told in self._told):
            return Verdict.SKIPPED, Finding("what it needs is not there; a test before says so")
        if in_setup and verdict is Verdict.FAILED:
            self._told.append(error)
        return verdict, self._finding(error)

    def _finding(self, error: BaseException) -> Finding:
        match error:
            case pytest.skip.Exception():
                return Finding(error.msg or "left out")
            case pytest.fail.Exception():
                return self._explained(error.msg or "failed")
            case AssertionError():
                return self._assertion(str(error))
            case KbootstrapError():
                return replace(Finding.of(error), message=str(error), output=_tail(error.output or ""))
            case _:
                return self._explained(f"the test could not be carried out: {_named(error)}")

    def _assertion(self, text: str) -> Finding:
        """`text` is the message of the assertion, then pytest's own explanation in terms of Python."""
        message = text.partition("\nassert ")[0]
        if message.startswith("Unexpected exit code"):  # testinfra's own
            return self._explained("a command failed")
        if message.startswith("assert "):
            message = "it is not as it should be"
        if self._compared is None:
            return self._explained(message)
        op, left, right = self._compared
        return self._explained(message, _MEANING.get(op, f"{op} {{}}").format(shown(right)), shown(left))

    def _explained(self, message: str, expected: str | None = None, found: str | None = None) -> Finding:
        """With the latest command; and with its output where that was not interpreted already."""
        last = self.log.last
        if last is None:
            return Finding(message, expected, found)
        first, more, _ = last.command.partition("\n")
        command = f"{first} …" if more else first
        if found is not None:
            return Finding(message, expected, found, command)
        output = "\n".join(part for part in (last.text, last.errors) if part) or f"(exit code {last.exit_code})"
        return Finding(message, command=command, output=_tail(output))


def _is_empty(call: pytest.CallInfo[None]) -> bool:
    """Whether this stands for a test that is to run for each of something of which there is none."""
    error = call.excinfo.value if call.excinfo else None
    return isinstance(error, pytest.skip.Exception) and (error.msg or "").startswith("got empty parameter set")


def suite_name(item: pytest.Item) -> str:
    """`hosts/test_control_plane.py` → `control-plane`."""
    return item.path.stem.removeprefix("test_").replace("_", "-")


def title(item: pytest.Item) -> str:
    """The first line of the test's docstring, and what it was parametrized with."""
    function = getattr(item, "function", None)
    says = (inspect.getdoc(function) or item.name).partition("\n")[0].rstrip(".")
    callspec = getattr(item, "callspec", None)
    return f"{says}: {callspec.id}" if callspec is not None else says


def shown(value: object) -> str:
    """A value for people."""
    if isinstance(value, str):
        text = value if value else "nothing"
    elif isinstance(value, Mapping):
        text = ", ".join(f"{key}: {shown(item)}" for key, item in value.items()) or "nothing"
    elif isinstance(value, AbstractSet):
        text = ", ".join(sorted(shown(item) for item in value)) or "nothing"
    elif isinstance(value, list | tuple):
        text = ", ".join(shown(item) for item in value) or "nothing"
    else:
        text = str(value)
    return text if len(text) <= SHOWN_VALUE else f"{text[:SHOWN_VALUE]} …"


def _named(error: BaseException) -> str:
    first = str(error).strip().partition("\n")[0]
    return f"{type(error).__name__}: {first}" if first else type(error).__name__


def _tail(output: str) -> str | None:
    output = output.strip()
    return (output if len(output) <= SHOWN_OUTPUT else f"… {output[-SHOWN_OUTPUT:]}") or None
