"""A boot is told from every other: by the kernel's id on a machine, by the start of PID 1 as well in a container."""

from __future__ import annotations

from pathlib import Path

from brakeline.agent.clock import boot_id

KERNEL = "06764853-9792-4c3d-aeaa-7853b84217a6"


def proc(root: Path, pid1_started_ticks: int | None) -> Path:
    (root / "sys/kernel/random").mkdir(parents=True)
    (root / "sys/kernel/random/boot_id").write_text(KERNEL + "\n")
    if pid1_started_ticks is not None:
        (root / "1").mkdir()
        before = " ".join(["S"] + ["0"] * 18)
        (root / "1/stat").write_text(f"1 (a name) with ) S) {before} {pid1_started_ticks} 0 0\n")
    return root


def test_on_a_machine_it_is_the_kernels(tmp_path: Path) -> None:
    assert boot_id(proc(tmp_path, 2)) == KERNEL


def test_containers_of_one_host_and_boots_of_one_container_differ(tmp_path: Path) -> None:
    seen = {boot_id(proc(tmp_path / str(ticks), ticks)) for ticks in (500_000, 500_001, 700_000)}
    assert len(seen) == 3
    assert KERNEL not in seen
    assert all(len(one) == len(KERNEL) for one in seen)


def test_where_pid_1_is_hidden_the_kernels_id_must_do(tmp_path: Path) -> None:
    assert boot_id(proc(tmp_path, None)) == KERNEL
