"""What Ansible's extra arguments for ssh mean, as far as an inventory of ours can say it."""

import re
import shlex
from dataclasses import dataclass, field

_PROXY_COMMAND = re.compile(r"ssh\b(?P<arguments>.*)")
_WITH_VALUE = frozenset("BbcDEeFIiJLlmOopQRSWw")
"""ssh's options that take a value."""


@dataclass(slots=True)
class SshOptions:
    """The arguments that were understood, and the others."""

    entry: dict[str, object] = field(default_factory=dict)
    """Keys of an inventory's `ssh`."""
    ignored: list[str] = field(default_factory=list)


def read_ssh_options(text: str) -> SshOptions:
    """Reads arguments such as `-J admin@bastion -o StrictHostKeyChecking=no`."""
    found = SshOptions()
    words = _words(text)
    if words is None:
        found.ignored.append(text)
        return found
    for option, value in _pairs(words):
        if option == "o":
            key, _, setting = re.sub(r"\s*[=\s]\s*", "=", value.strip(), count=1).partition("=")
            _setting(key.lower(), setting, found)
        elif option == "J":
            _setting("proxyjump", value, found)
        elif option == "F":
            found.entry["config_file"] = value
        elif option == "i":
            found.entry["identity_file"] = value
        elif option == "p":
            found.entry["port"] = value
        else:
            found.ignored.append(f"-{option} {value}".strip() if option else value)
    return found


def _setting(key: str, value: str, found: SshOptions) -> None:
    """One `-o` setting."""
    jump = _jump_of(value) if key == "proxycommand" else None
    if key == "proxyjump":
        found.entry["jump"] = [part.strip() for part in value.split(",")]
    elif jump is not None:
        found.entry["jump"] = [jump]
    elif key == "stricthostkeychecking":
        found.entry["host_keys"] = "strict" if value.lower() in ("yes", "ask") else "accept-new"
    elif key == "userknownhostsfile" and value != "/dev/null":
        found.entry["known_hosts"] = value
    elif key == "identityfile":
        found.entry["identity_file"] = value
    elif key == "port":
        found.entry["port"] = value
    elif key == "user":
        found.entry["user"] = value
    else:
        found.ignored.append(f"-o {key}={value}")


def _jump_of(command: str) -> str | None:
    """The host through which `ssh -W %h:%p [user@]host` goes; None for any other command."""
    match = _PROXY_COMMAND.fullmatch(command.strip())
    words = _words(match["arguments"]) if match else None
    if words is None:
        return None
    options, host = {}, None
    for option, value in _pairs(words):
        if option:
            options[option] = value
        else:
            host = host or value
    if host is None or "W" not in options:
        return None
    user = f"{options['l']}@" if "l" in options else ""
    port = f":{options['p']}" if "p" in options else ""
    return f"{user}{host}{port}"


def _words(text: str) -> list[str] | None:
    """The words of a command line; None when a quote is not closed."""
    try:
        return shlex.split(text)
    except ValueError:
        return None


def _pairs(words: list[str]) -> list[tuple[str, str]]:
    """Each option's letter with its value, and other words with an empty letter."""
    pairs, rest = [], iter(words)
    for word in rest:
        if not word.startswith("-") or len(word) < 2:
            pairs.append(("", word))
        elif word[1] in _WITH_VALUE:
            pairs.append((word[1], word[2:] or next(rest, "")))
        else:
            pairs += [(letter, "") for letter in word[1:]]
    return pairs
