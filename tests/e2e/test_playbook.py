"""A user's own playbook, run by the same machinery."""

import json

from tests.e2e.bed import CHANGES, Bed

PLAYBOOK = """\
name: sysadmin
phases:
  - phase: tuning
    hosts: worker
    steps:
      - sysctl: {net.ipv4.tcp_syn_retries: "5"}
      - file: {path: /etc/motd, content: "a worker of our cluster\\n"}
      - file: {path: /etc/agent.token, content: "Unmistakable-4711", mode: "0600", secret: true}
  - phase: agent
    hosts: all
    serial: 1
    steps:
      - template: {path: /etc/agent.conf, source: agent.conf.j2}
      - template: {path: /etc/systemd/system/agent.service, source: agent.service}
      - unit: {name: agent.service, inputs: [/etc/agent.conf, /etc/systemd/system/agent.service]}
      - command: {title: register it, run: touch /var/lib/registered, unless: test -e /var/lib/registered}
    checks: []
  - phase: still-well
    hosts: first-control-plane
    checks: [endpoint-ready, nodes-ready]
    always: true
"""
UNIT = "[Service]\nExecStart=/bin/sleep infinity\n[Install]\nWantedBy=multi-user.target\n"
REMOVE = """\
systemctl disable --now --quiet agent
rm -f /etc/motd /etc/agent.token /etc/agent.conf /etc/systemd/system/agent.service /var/lib/registered
rm -f /etc/sysctl.d/91-sysadmin-*.conf /var/lib/kbootstrap/stamps/agent.service
systemctl daemon-reload"""


def test_a_playbook_is_planned_run_and_then_has_nothing_to_do(shared: Bed) -> None:
    playbook = shared.folder / "sysadmin.yml"
    playbook.write_text(PLAYBOOK)
    (shared.folder / "agent.conf.j2").write_text("name={{ host.name }}\ncluster={{ cluster.name }}\n")
    (shared.folder / "agent.service").write_text(UNIT)
    try:
        planned = shared.run("playbook", "plan", str(playbook)).expect(CHANGES, "/etc/motd", "register it")
        ran = shared.run("playbook", "run", str(playbook), "--json").expect()
        assert "Unmistakable" not in planned.text + ran.text
        events = [json.loads(line) for line in ran.out.splitlines()]
        changed = {(event["host"], event["title"]) for event in events if event["event"] == "ChangeMade"}
        assert {host for host, title in changed if title == "update /etc/motd"} == {"w1", "w2"}
        agents = [event["host"] for event in events if event["event"] == "PhaseStarted" and event["phase"] == "agent"]
        assert sorted(agents) == sorted(shared.spec.hosts)
        assert shared.ssh("cp2", "cat /etc/agent.conf; systemctl is-active agent") == "name=cp2\ncluster=e2e-ha\nactive"
        assert shared.ssh("w1", "stat -c %a /etc/agent.token; sysctl -n net.ipv4.tcp_syn_retries") == "600\n5"

        shared.run("playbook", "plan", str(playbook)).expect(0, "Nothing to change")
        shared.run("playbook", "run", str(playbook)).expect(0, "Nothing to change")

        shared.ssh("w2", "echo changed >>/etc/agent.conf")
        shared.run("playbook", "run", str(playbook)).expect(0, "2 changes in")  # the file, and its unit
    finally:
        shared.on_all(REMOVE)


def test_a_mistake_in_a_playbook_is_shown_with_its_line(shared: Bed) -> None:
    playbook = shared.folder / "wrong.yml"
    playbook.write_text(PLAYBOOK.replace("serial: 1", "seriel: 1"))
    refused = shared.run("playbook", "run", str(playbook)).expect(3, "wrong.yml:11:", "seriel")
    assert "Traceback" not in refused.text


def test_a_step_that_fails_names_its_host_and_what_it_said(shared: Bed) -> None:
    playbook = shared.folder / "failing.yml"
    step = "command: {title: frobnicate, run: 'echo no such luck >&2; exit 3', unless: 'false'}"
    playbook.write_text(f"name: failing\nphases:\n  - phase: only\n    hosts: w1\n    steps:\n      - {step}\n")
    failed = shared.run("playbook", "run", str(playbook)).expect(1, "w1: could not frobnicate", "no such luck")
    assert "Traceback" not in failed.text
