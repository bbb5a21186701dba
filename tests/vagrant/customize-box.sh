#!/bin/sh
# Turns a fresh base root ($1) into what Vagrant expects of a box. Run by mmdebstrap as its customize hook.
set -eu
root=$1

chroot "$root" useradd --create-home --shell /bin/bash --uid 1002 vagrant
install -d -m 0700 "$root/home/vagrant/.ssh"
install -m 0600 /usr/share/rubygems-integration/*/gems/vagrant-[0-9]*/keys/vagrant.pub \
  "$root/home/vagrant/.ssh/authorized_keys"
chroot "$root" chown -R vagrant:vagrant /home/vagrant/.ssh
echo 'vagrant ALL=(ALL:ALL) NOPASSWD: ALL' >"$root/etc/sudoers.d/vagrant"
chmod 0440 "$root/etc/sudoers.d/vagrant"

# Vagrant logs in through eth0, and configures the others.
printf '%s\n' '[Match]' 'Name=eth0' '' '[Network]' 'DHCP=ipv4' >"$root/etc/systemd/network/eth0.network"
ln -sf ../run/systemd/resolve/stub-resolv.conf "$root/etc/resolv.conf"

# Every machine has a name and a host key of its own.
: >"$root/etc/machine-id"
cat >"$root/etc/systemd/system/host-key.service" <<'UNIT'
[Unit]
Description=host key of a new machine
Before=ssh.service
ConditionPathExists=!/etc/ssh/ssh_host_ed25519_key

[Service]
Type=oneshot
ExecStart=/usr/bin/ssh-keygen -q -t ed25519 -N "" -f /etc/ssh/ssh_host_ed25519_key

[Install]
WantedBy=multi-user.target
UNIT
systemctl --quiet --root="$root" enable systemd-networkd.service systemd-resolved.service host-key.service
