#!/bin/sh
# Turns a fresh base root ($1) into that of a bare lab host. Run by mmdebstrap as its customize hook.
set -eu
root=$1

# Hosts have no package source of their own; each gets a host key of its own, known ahead.
: >"$root/etc/apt/sources.list"
rm -f "$root"/etc/ssh/ssh_host_*

cat >"$root/etc/ssh/sshd_config.d/lab.conf" <<'CONF'
HostKey /etc/ssh/ssh_host_ed25519_key
AuthorizedKeysFile .ssh/authorized_keys /etc/ssh/authorized_keys.d/%u
CONF

# Ordinary users refused by pam_nologin in the first moments of a boot would make "SSH answers" a lie.
mkdir -p "$root/etc/systemd/system/ssh.service.d"
cat >"$root/etc/systemd/system/ssh.service.d/lab.conf" <<'CONF'
[Unit]
After=systemd-user-sessions.service
CONF

systemctl --quiet --root="$root" set-default multi-user.target

# Not needed in a lab, and each costs boot time or wakes up fifty hosts at once.
systemctl --quiet --root="$root" mask \
    apt-daily.timer apt-daily-upgrade.timer dpkg-db-backup.timer e2scrub_all.timer e2scrub_reap.service \
    fstrim.timer modprobe@.service console-getty.service getty@.service getty-static.service systemd-pstore.service

# Two ordinary users: sudo without a password, and sudo with one (the same as the name).
chroot "$root" useradd --create-home --shell /bin/bash --uid 1000 admin
chroot "$root" useradd --create-home --shell /bin/bash --uid 1001 deploy
echo deploy:deploy | chroot "$root" chpasswd
printf '%s\n' 'admin ALL=(ALL:ALL) NOPASSWD: ALL' 'deploy ALL=(ALL:ALL) ALL' >"$root/etc/sudoers.d/lab"
chmod 0440 "$root/etc/sudoers.d/lab"

# Otherwise every first boot runs the units with ConditionNeedsUpdate= (ldconfig and others).
touch "$root/etc/.updated" "$root/var/.updated"
