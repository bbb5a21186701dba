"""What an inventory may say of backups."""

import pytest

from tests.unit.model.worlds import GOOD, Desk

KEY = "age1" + "q" * 58
TARGET = (
    "{type: s3, path: bucket/a, options: {endpoint: https://s3.example}, secrets: {secret_access_key: {file: key}}}"
)


def section(**said: str) -> str:
    return GOOD + "backup:\n" + "".join(f"  {key}: {value}\n" for key, value in said.items())


def test_what_is_usual(desk: Desk) -> None:
    (desk.folder / "key").write_text("secret\n")
    (desk.folder / "key").chmod(0o600)
    text = section(schedule="'*-*-* 00/6:00:00'", recipients=f"[{KEY}]", targets=f"{{offsite: {TARGET}}}")
    cluster = desk.load(text)
    backup = cluster.settings.backup
    assert backup.on
    assert backup.targets["offsite"].secrets["secret_access_key"].file == desk.folder / "key"
    assert dict(backup.keep) == {"last": 3, "hourly": 0, "daily": 7, "weekly": 4, "monthly": 6}
    assert cluster.inventory == text


def test_nothing_is_said(desk: Desk) -> None:
    assert not desk.load(GOOD).settings.backup.on


@pytest.mark.parametrize(
    ("said", "why"),
    [
        ({"schedule": "hourly"}, "nobody could decrypt them"),
        ({"targets": "{a: {type: local, path: /srv}}"}, "nobody could decrypt them"),
        ({"recipients": "[AGE-SECRET-KEY-1QQ]"}, "this is a private key"),
        ({"recipients": "[age1short]"}, "no public key of age's"),
        ({"recipients": f"[{KEY}, {KEY}]"}, "stands there twice"),
        ({"recipients": f"[{KEY}]", "schedule": "'hourly; rm -rf /'"}, "no calendar event"),
        ({"recipients": f"[{KEY}]", "targets": "{local: {type: local, path: /srv}}"}, "cannot be a target's name"),
        ({"recipients": f"[{KEY}]", "targets": "{a: {type: local, path: /srv/../etc}}"}, "is no path"),
        ({"recipients": f"[{KEY}]", "targets": "{a: {type: s3, path: b, options: {'a]b': c}}}"}, "no option of rclone"),
        ({"recipients": f"[{KEY}]", "targets": '{a: {type: s3, path: b, options: {a: "b\\nc"}}}'}, "must be one line"),
        ({"recipients": f"[{KEY}]", "keep": "{last: 0}"}, "at least 1"),
    ],
)
def test_what_is_refused(desk: Desk, said: dict[str, str], why: str) -> None:
    assert why in desk.problem(section(**said)).message


def test_backups_that_stay_on_their_hosts_are_unwise(desk: Desk) -> None:
    assert "lost with the hosts" in desk.warning(section(recipients=f"[{KEY}]"))


def test_etcd_hosts_without_the_authorities_are_told(desk: Desk) -> None:
    etcd = "".join(f"  e{n}: {{address: 198.18.0.8{n}, roles: [etcd]}}\n" for n in range(1, 4))
    backup = f"backup: {{recipients: [{KEY}], targets: {{a: {{type: local, path: /srv}}}}}}\n"
    assert "do not have the cluster's authorities" in desk.warning(GOOD + etcd + backup)


def test_a_secret_must_be_there_and_for_its_owner_alone(desk: Desk) -> None:
    text = section(recipients=f"[{KEY}]", targets=f"{{offsite: {TARGET}}}")
    assert "No such file" in desk.problem(text).message
    (desk.folder / "key").write_text("secret\n")
    (desk.folder / "key").chmod(0o644)
    assert "can be read by others" in desk.problem(text).message
