"""Makes torchvision's import succeed where its binary operators do not load.

There is no CPU build of torchvision. A CUDA build fails on a CPU machine while it registers fake versions
of two operators that its binary would have declared; declared here, they are never called.
"""

from __future__ import annotations

import torch

OPERATORS = ("nms", "qnms")

try:
    import torchvision
except RuntimeError:
    FRAGMENT = torch.library.Library("torchvision", "FRAGMENT")
    for name in OPERATORS:
        FRAGMENT.define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    import torchvision  # noqa: F401
