"""Runs a compiler: output line by line, a deadline, a readable error."""

import subprocess
import threading
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from kbootstrap.errors import ArtifactError

_KEPT_LINES = 40
"""Lines of output that an error carries: compilers say the cause last."""


def run_tool(
    argv: Sequence[str | Path],
    folder: Path,
    environment: Mapping[str, str],
    deadline: float,
    *,
    subject: str,
    heard: Callable[[str], None] = lambda _line: None,
    hint: str | None = None,
) -> str:
    """Runs a program to its end and answers its standard output; `heard` gets each line of standard error.

    Raises ArtifactError if it fails or takes longer than `deadline` seconds. If `heard` raises, it is killed.
    """
    command = " ".join(str(part) for part in argv)
    try:
        process = subprocess.Popen(
            argv, cwd=folder, env=environment, text=True, errors="replace",
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip
    except OSError as error:
        raise ArtifactError(f"{subject}: cannot run {argv[0]}: {error.strerror}", command=command, hint=hint) from error
    late = threading.Timer(deadline, process.kill)
    late.start()
    with process:
        try:
            output, tail = _listen(process, heard)
        finally:
            timed_out = not late.is_alive()
            late.cancel()
            process.kill()
    if process.returncode != 0:
        raise _failure(subject, command, tail, hint, deadline if timed_out else None)
    return output


def _listen(process: subprocess.Popen[str], heard: Callable[[str], None]) -> tuple[str, str]:
    """Standard output, and the end of standard error."""
    assert process.stdout is not None and process.stderr is not None  # noqa: S101 - both are pipes
    chunks: list[str] = []
    reader = threading.Thread(target=chunks.extend, args=(process.stdout,), daemon=True)
    reader.start()
    tail: deque[str] = deque(maxlen=_KEPT_LINES)
    for line in process.stderr:
        tail.append(line)
        heard(line.rstrip())
    reader.join()
    process.wait()
    return "".join(chunks), "".join(tail)


def _failure(subject: str, command: str, output: str, hint: str | None, deadline: float | None) -> ArtifactError:
    if deadline is not None:
        return ArtifactError(
            f"{subject}: took longer than {deadline:.0f} s and was stopped", command=command, output=output
        )
    if "no space left on device" in output.lower():
        hint = "the disk is full: make room in the cache's and Go's folders (`go env GOCACHE GOMODCACHE TMPDIR`)"
    return ArtifactError(f"{subject}: the build failed", command=command, output=output, hint=hint)
