"""What a virtual machine boots from, and who runs its instructions."""

from dataclasses import replace
from pathlib import Path

import pytest

from kbootstrap.errors import LabError
from kbootstrap.lab.qemu import accelerator, virtual_machine
from kbootstrap.lab.spec import Hardware, standard


def machine(folder: Path) -> virtual_machine.VirtualMachine:
    lab = standard(load_balancers=1, vm=["lb1"])
    (folder / "lb1/upper").mkdir(parents=True)
    return virtual_machine.VirtualMachine(lab, "lb1", folder / "lb1", folder / "base", "tcg", Hardware(memory=1024))


def base(folder: Path) -> None:
    (folder / "base/boot").mkdir(parents=True)
    for name in ("vmlinuz-6.1.0-1", "initrd.img-6.1.0-1", "config-6.1.0-1"):
        (folder / "base/boot" / name).touch()


def test_it_boots_the_kernel_of_its_base(tmp_path: Path) -> None:
    base(tmp_path)
    environment = dict(machine(tmp_path).boot().environment)
    assert environment.pop("LAB_PROCESSOR").startswith("max,-")
    assert environment == {
        "LAB_KERNEL": f"{tmp_path}/base/boot/vmlinuz-6.1.0-1",
        "LAB_INITRD": f"{tmp_path}/base/boot/initrd.img-6.1.0-1",
        "LAB_ACCEL": "tcg",
        "LAB_MEMORY": "1024",
        "LAB_CPUS": "1",
    }


def test_only_an_emulated_one_weighs_more_and_has_less_of_a_processor(tmp_path: Path) -> None:
    base(tmp_path)
    emulated = machine(tmp_path)
    real = replace(emulated, accelerator=accelerator.KVM)
    assert (real.boot().weight, real.boot().environment["LAB_PROCESSOR"]) == (1, "max")
    assert emulated.boot().weight > 1


def test_a_base_without_a_kernel_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(LabError, match="no vmlinuz"):
        machine(tmp_path).boot()


def test_its_disk_has_its_address_and_its_own_files_over_the_base(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    commands: list[list[str]] = []
    monkeypatch.setattr(virtual_machine, "run", lambda argv, **_: commands.append(argv))
    lb1 = machine(tmp_path)
    lb1.make_disk()
    assert "Address=198.18.0.91/24" in (lb1.upper / "etc/systemd/network/eth0.network").read_text()
    assert (lb1.upper / "etc/systemd/system/multi-user.target.wants/systemd-networkd.service").is_symlink()
    assert commands[0][-4:] == [f"{tmp_path}/base", f"{tmp_path}/lb1/upper", f"{tmp_path}/lb1/disk", "8G"]


@pytest.mark.parametrize(
    ("said", "chosen"),
    [
        ("VFS: Unable to mount root fs on unknown-block(0,0)", accelerator.KVM),
        ("KVM internal error", accelerator.TCG),
        (None, accelerator.TCG),
    ],
)
def test_kvm_is_used_where_a_kernel_runs_with_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, said: str | None, chosen: str
) -> None:
    def run(_: list[str], *, timeout: float) -> str:
        if said is None:
            raise LabError(f"no end after {timeout:g} s")
        return said

    (tmp_path / "kvm").touch()
    monkeypatch.setattr(accelerator, "_DEVICE", tmp_path / "kvm")
    monkeypatch.setattr(accelerator, "run", run)
    assert accelerator.accelerator(tmp_path / "vmlinuz") == chosen


def test_without_kvm_nothing_is_tried(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(accelerator, "_DEVICE", tmp_path / "none")
    monkeypatch.setattr(accelerator, "run", None)
    assert accelerator.accelerator(tmp_path / "vmlinuz") == accelerator.TCG
