"""For `.venv-vllm` on a machine without a CPU build of torchvision, which vLLM imports but does not use here.

The CUDA build fails while it registers fake versions of two operators that its binary would have declared.
`make test-vllm` copies this file there; Python runs it at startup.
"""

import torch

FRAGMENT = torch.library.Library("torchvision", "FRAGMENT")
for name in ("nms", "qnms"):
    FRAGMENT.define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
