"""What the Vagrantfile does not say and a test needs: Vagrant merges it from its own home folder."""

from pathlib import Path

from kbootstrap.lab.qemu import accelerator
from tests.vagrant.box import Box

_VAGRANTFILE = """\
Vagrant.configure("2") do |config|
  config.vm.guest = :debian
  config.vm.boot_timeout = 900
  config.vm.provider "libvirt" do |libvirt|
    {processor}
    libvirt.kernel = "{box.kernel}"
    libvirt.initrd = "{box.initrd}"
    libvirt.cmd_line = "root=/dev/vda rw console=ttyS0 net.ifnames=0 mitigations=off quiet"
    libvirt.disk_driver :cache => "unsafe"
    libvirt.graphics_type = "none"
    libvirt.video_type = "none"
    libvirt.management_network_name = "vagrant-management"
    libvirt.management_network_address = "198.18.65.0/24"
  end
end
"""
_KVM = 'libvirt.driver = "kvm"'
_TRANSLATOR = """\
libvirt.driver = "qemu"
    libvirt.cpu_mode = "maximum"
    libvirt.emulator_path = "{emulator}\""""

_EMULATOR = f"""\
#!/bin/sh
# libvirt cannot say how the translator is to work.
for word; do
  shift
  [ "$word" != tcg ] || word={accelerator.TCG}
  set -- "$@" "$word"
done
exec qemu-system-x86_64 "$@"
"""


def write(home: Path, box: Box, *, emulated: bool) -> None:
    """Into Vagrant's home folder."""
    emulator = home / "emulator"
    write_program(emulator, _EMULATOR)
    processor = _TRANSLATOR.format(emulator=emulator) if emulated else _KVM
    (home / "Vagrantfile").write_text(_VAGRANTFILE.format(box=box, processor=processor))


def write_program(path: Path, text: str) -> None:
    """A file that can be run."""
    path.write_text(text)
    path.chmod(0o755)
