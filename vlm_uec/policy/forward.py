"""The policy as one module whose forward *is* the packed, shared-prompt forward.

ZeRO-3 hangs its bookkeeping on the top module, so everything a pass needs (vision tower, text model,
head) runs inside this `forward`, on every rank, with or without pictures.
"""

from __future__ import annotations

from contextlib import nullcontext

import torch
from torch import nn
from transformers import Qwen2_5_VLForConditionalGeneration

from vlm_uec.data.collator import PackedBatch, visible
from vlm_uec.policy.head import LogProbHead, logits_of


class Policy(nn.Module):
    """Scores packed rows; `decode_logits` and `embed_prompt` serve the sampler on gathered weights."""

    def __init__(
        self, model: Qwen2_5_VLForConditionalGeneration, banned: torch.Tensor, *, freeze_vision: bool
    ) -> None:
        """`banned` [V] bool: ids that are neither sampled nor counted in any log-prob or entropy."""
        super().__init__()
        self.model = model
        self.head = LogProbHead(model.lm_head.weight, banned)
        self.freeze_vision = freeze_vision
        self.image_pad_id: int = model.config.image_token_id
        for parameter in model.model.visual.parameters():
            parameter.requires_grad_(not freeze_vision)

    def forward(self, batch: PackedBatch) -> tuple[torch.Tensor, torch.Tensor]:
        """Log-probs [T] and exact entropies [T] (t = 1, allowed ids) of the batch's targets, fp32."""
        embeddings = self.embed(batch.input_ids, batch.patches, batch.grid)
        mask = visible(batch.row, batch.segment)[None, None]
        output = self.model.model.language_model(
            inputs_embeds=embeddings[None],
            position_ids=batch.positions[:, None],
            attention_mask={"full_attention": mask},
            use_cache=False,
        )
        return self.head(output.last_hidden_state[0, batch.predictors], batch.targets)

    def embed(self, input_ids: torch.Tensor, patches: torch.Tensor, grid: torch.Tensor) -> torch.Tensor:
        """Input embeddings [L, H]: tokens [L] with picture features in the placeholders' places."""
        embeddings = self.model.model.language_model.embed_tokens(input_ids)
        with torch.no_grad() if self.freeze_vision else nullcontext():
            features = self._picture_features(patches, grid).to(embeddings.dtype)
        if len(patches) == 0:
            # Touched all the same: ranks with pictures wait for this tower's gather.
            return embeddings + 0.0 * features.sum()
        return embeddings.masked_scatter((input_ids == self.image_pad_id)[:, None], features)

    def logits(self, hidden: torch.Tensor) -> torch.Tensor:
        """Logits [S, V] fp32 of hidden states [S, H]."""
        return logits_of(hidden, self.head.weight)

    def _picture_features(self, patches: torch.Tensor, grid: torch.Tensor) -> torch.Tensor:
        visual = self.model.model.visual
        if len(patches) == 0:
            merge = visual.spatial_merge_size
            patches = patches.new_zeros(merge * merge, patches.shape[1])
            grid = grid.new_tensor([[1, merge, merge]])
        return visual(patches.to(visual.dtype), grid_thw=grid).pooler_output
