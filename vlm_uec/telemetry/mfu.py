"""Model FLOPs utilisation of the update, on accelerators whose peak is known."""

from __future__ import annotations

import torch

# Dense bf16 TFLOP/s from the vendors' data sheets.
PEAK_TFLOPS = {"H100": 989, "H200": 989, "H20": 148, "A100": 312, "A800": 312, "L40S": 362, "B200": 2250}


def peak_flops() -> float | None:
    """FLOP/s of this rank's accelerator; None on a CPU or an unknown accelerator."""
    if not torch.cuda.is_available():
        return None
    name = torch.cuda.get_device_name()
    known = [peak for part, peak in PEAK_TFLOPS.items() if part in name.split()]
    return known[0] * 1e12 if known else None


def update_mfu(parameters: int, unique_tokens: int, seconds: float, ranks: int) -> float | None:
    """6 FLOPs per parameter and token (Kaplan et al. 2020, arXiv 2001.08361, section 2.1; without attention)
    divided by the ranks' peak. Shared prompt tokens count once; recomputation does not count."""
    peak = peak_flops()
    if peak is None or not unique_tokens or seconds <= 0:
        return None
    return 6 * parameters * unique_tokens / (seconds * ranks * peak)
