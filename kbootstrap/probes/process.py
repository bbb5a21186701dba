"""Starts the prober as a process of its own, whose times this one's work does not disturb."""

import json
import select
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO

from kbootstrap.errors import CommandFailed
from kbootstrap.private import private_folder
from kbootstrap.probes.recording import Account, Recording
from kbootstrap.probes.spec import Spec

COMMAND = (sys.executable, "-P", "-m", "kbootstrap.probes")
"""Without the current folder in the module path: a program must not depend on where it is called."""

START_SECONDS = 20.0
"""A prober is there in a tenth of a second; a machine that is busy may need longer."""

END_SECONDS = 5.0
"""Beyond the patience with the last requests."""

SAMPLES = "samples.jsonl"


@contextmanager
def probing(spec: Spec, recording: Recording, folder: Path | None = None) -> Iterator[None]:
    """Probes while open; afterwards the recording is complete. The samples stay in `folder`, if one is given.

    `spec.samples` is filled in here. Raises CommandFailed when the prober does not start; when it ends early, the
    recording's account says so. It ends by itself when this process dies, because its stdin is closed then.
    """
    with private_folder() if folder is None else nullcontext(folder) as place, TemporaryFile() as complaints:
        place.mkdir(parents=True, exist_ok=True)
        file = place / SAMPLES
        process = subprocess.Popen(
            COMMAND,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=complaints,
            bufsize=0,
            start_new_session=True,  # an interrupt from the keyboard is not for it: it ends when we say so
        )
        try:
            _start(process, replace(spec, samples=str(file)), complaints)
            recording.begin(file)
            try:
                yield
            finally:
                recording.stop()
                recording.finish(_end(process, spec.patience + END_SECONDS, complaints))
        finally:
            process.kill()
            process.wait()


def _start(process: subprocess.Popen[bytes], spec: Spec, complaints: IO[bytes]) -> None:
    """Tells it what to do and waits until it does."""
    assert process.stdin is not None and process.stdout is not None  # noqa: S101 - both are pipes
    try:
        process.stdin.write(spec.to_json().encode() + b"\n")
        process.stdin.flush()
    except BrokenPipeError:
        pass  # it has ended: what it says below tells why
    readable, _, _ = select.select([process.stdout], [], [], START_SECONDS)
    if not (readable and process.stdout.readline()):
        raise CommandFailed("the prober did not start", command=" ".join(COMMAND), output=_last_words(complaints))


def _end(process: subprocess.Popen[bytes], patience: float, complaints: IO[bytes]) -> Account:
    """Lets it end, and says how it fared."""
    ended_early = process.poll() is not None
    try:
        out, _ = process.communicate(timeout=patience)  # closes its stdin
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
        return Account(problem=f"the prober did not end within {patience:.0f} s and was killed")
    if process.returncode != 0 or ended_early:
        return Account(problem=f"the prober ended early ({process.returncode}): {_last_words(complaints)}")
    return Account(**json.loads(out.splitlines()[-1]))


def _last_words(complaints: IO[bytes]) -> str:
    complaints.seek(0)
    return complaints.read().decode(errors="replace").strip()[-2000:]
