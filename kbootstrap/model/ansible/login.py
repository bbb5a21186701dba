"""How Ansible logs in to a host, in the words of an inventory of ours."""

from collections import Counter
from dataclasses import dataclass, field

from kbootstrap.model.ansible.groups import Variables
from kbootstrap.model.ansible.ssh_options import read_ssh_options

Entry = dict[str, object]

_LOGIN = {
    "ansible_user": "user",
    "ansible_ssh_user": "user",
    "ansible_port": "port",
    "ansible_ssh_port": "port",
    "ansible_ssh_private_key_file": "identity_file",
    "ansible_private_key_file": "identity_file",
}
_ARGUMENTS = ("ansible_ssh_args", "ansible_ssh_common_args", "ansible_ssh_extra_args")
_LOGIN_PASSWORDS = ("ansible_password", "ansible_ssh_pass", "ansible_ssh_password")
_SUDO_PASSWORDS = ("ansible_become_pass", "ansible_become_password", "ansible_sudo_pass")
_EXPECTED = {
    "ansible_become_user": ("root",),
    "ansible_become_method": ("sudo", "ansible.builtin.sudo"),
    "ansible_connection": ("ssh", "smart", "paramiko", "ansible.builtin.ssh"),
}
"""Variables that need no word as long as they say this."""
_TRUE = frozenset(("true", "yes", "on", "1"))


@dataclass(slots=True)
class Notes:
    """What could not be taken over, each counted once for every host that says it."""

    counted: Counter[str] = field(default_factory=Counter)

    def add(self, text: str) -> None:
        """Notes something."""
        self.counted[text] += 1

    def lines(self) -> list[str]:
        """One line for each, with the number of hosts where there are several."""
        return [f"{text} ({count} hosts)" if count > 1 else text for text, count in self.counted.items()]


def take_login(variables: Variables, notes: Notes) -> Entry:
    """The `ssh` of a host; what it is made of is taken out of `variables`."""
    entry: Entry = {}
    for name in _ARGUMENTS:
        found = read_ssh_options(_text(variables.pop(name, "")))
        entry |= found.entry
        for ignored in found.ignored:
            notes.add(f"{name}: {ignored!r} is not taken over")
    for name, key in _LOGIN.items():
        if name in variables:
            entry[key] = _text(variables.pop(name))
    port = entry.get("port")
    if isinstance(port, str) and port.isdecimal():
        entry["port"] = int(port)
    _take_sudo(variables, entry, notes)
    for name, expected in _EXPECTED.items():
        value = _text(variables.pop(name, expected[0]))
        if value not in expected:
            notes.add(f"{name}: {value} is not supported")
    return entry


def _take_sudo(variables: Variables, entry: Entry, notes: Notes) -> None:
    become = variables.pop("ansible_become", None)
    user = entry.get("user", "root")
    if become is not None and user != "root" and _text(become).lower() not in _TRUE:
        notes.add(f"ansible_become is off for {user}: kbootstrap needs root and will use sudo")
    for name in _LOGIN_PASSWORDS:
        if variables.pop(name, None) is not None:
            notes.add(f"{name} is not taken over: log in with a key (ssh.identity_file, or an agent)")
    for name in _SUDO_PASSWORDS:
        if variables.pop(name, None) is not None:
            entry["sudo_password"] = "prompt"  # noqa: S105 - where it comes from
            notes.add(f"{name} is not taken over: ssh.sudo_password says to ask for it, or name a variable or file")


def _text(value: object) -> str:
    return "" if value is None else str(value)
