#!/bin/sh
# The rest of a base root ($1) whose hosts are containers. Run by mmdebstrap as a customize hook.
set -eu
root=$1

# What a real host's kernel gives and a container's does not: shared mounts, and writable cgroup v1 controllers
# (a plain remount answers EBUSY), which systemd looks for only when it begins.
cat >"$root/etc/systemd/system/kbootstrap-lab.service" <<'CONF'
[Unit]
Description=Make mounts shared and cgroup controllers writable, as on a machine
DefaultDependencies=no
Before=sysinit.target

[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=mount --make-rshared /
ExecStart=sh -c 'for d in /sys/fs/cgroup/*/; do ! mountpoint -q "$d" || mount -o remount,bind,rw "$d"; done'
ExecStart=systemctl --no-block daemon-reexec

[Install]
WantedBy=sysinit.target
CONF
systemctl --quiet --root="$root" enable kbootstrap-lab.service

# Go's runtime sleeps 20 µs at a time while a program is at work. In a virtual machine each of those wake-ups leaves the
# guest. With some fifty such programs on two cores this leaves twice as much to everything else (an idle cluster: 900
# instead of 5,200 timer interrupts a second).
mkdir -p "$root/etc/systemd/system.conf.d"
printf '[Manager]\nTimerSlackNSec=2ms\n' >"$root/etc/systemd/system.conf.d/kbootstrap-lab.conf"

# The kernel is the machine's: a host sets only what it has of its own.
sed -i '/^-\?net\./!d' "$root"/usr/lib/sysctl.d/*.conf

# Modules that are part of the kernel are known to modprobe by this list, which comes with a kernel's package.
release=$(uname -r)
if [ ! -d "/lib/modules/$release" ]; then
    mkdir -p "$root/lib/modules/$release"
    {
        for module in /sys/module/*; do echo "kernel/${module##*/}.ko"; done
        [ ! -d /proc/sys/net/bridge ] || echo kernel/br_netfilter.ko # without parameters it is not in /sys
    } >"$root/lib/modules/$release/modules.builtin"
    touch "$root/lib/modules/$release/modules.order"
    chroot "$root" depmod "$release"
fi
