"""Lets torchvision be imported if its binary operators do not load.

No CPU build of torchvision is installed. On a CPU machine a CUDA build fails when it registers fake versions
of two operators that its binary would have declared. They are declared here and never called.
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
