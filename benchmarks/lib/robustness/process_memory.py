"""Memory of the current process, from Linux's /proc/self."""

from __future__ import annotations

from pathlib import Path


def process_memory(name: str) -> int:
    """Bytes: VmSize mapped, VmRSS resident, VmHWM resident at the peak."""
    for line in Path("/proc/self/status").read_text(encoding="utf-8").splitlines():
        if line.startswith(f"{name}:"):
            return int(line.split()[1]) * 1024
    raise RuntimeError(f"/proc/self/status has no {name}")


def reset_peak() -> None:
    """Sets VmHWM back to VmRSS, see proc(5)."""
    Path("/proc/self/clear_refs").write_text("5")
