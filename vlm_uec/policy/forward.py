"""The policy as one module whose forward *is* the packed, shared-prompt forward.

ZeRO-3 hangs its bookkeeping on the top module, so everything that is trained (vision tower, text model,
head) runs inside this `forward`, on every rank, with or without pictures.
"""

from __future__ import annotations

from contextlib import nullcontext

import torch
from torch import nn
from transformers import Qwen2_5_VLForConditionalGeneration

from vlm_uec.data.collator import PackedBatch
from vlm_uec.policy.attention import RowAttention, attention_over, use_group_attention
from vlm_uec.policy.features import FeatureCache
from vlm_uec.policy.head import LogProbHead, logits_of
from vlm_uec.types import EncodedPrompt


class Policy(nn.Module):
    """Scores packed rows; `embed`, `read` and `logits` serve the sampler on gathered weights."""

    def __init__(
        self, model: Qwen2_5_VLForConditionalGeneration, banned: torch.Tensor, *, freeze_vision: bool
    ) -> None:
        """`banned` [V] bool: ids that are neither sampled nor counted in any log-prob or entropy."""
        super().__init__()
        use_group_attention(model)
        self.model = model
        self.head = LogProbHead(model.lm_head.weight, banned)
        self.freeze_vision = freeze_vision
        self._features = FeatureCache()
        self.image_pad_id: int = model.config.image_token_id
        for parameter in model.model.visual.parameters():
            parameter.requires_grad_(not freeze_vision)

    def forward(self, batch: PackedBatch) -> tuple[torch.Tensor, torch.Tensor]:
        """Log-probs [T] and exact entropies [T] (t = 1, allowed ids) of the batch's targets, fp32."""
        features = self.see(batch.patches, batch.grid) if batch.features is None else batch.features
        embeddings = self.embed(batch.input_ids, features)
        if len(batch.patches) == 0:
            # Touched all the same: ranks with pictures wait for this tower's gather.
            embeddings = embeddings + 0.0 * features.sum()
        hidden = self.read(embeddings, batch.positions, attention_over(batch))
        return self.head(hidden.index_select(0, batch.predictors), batch.targets)

    def read(
        self, embeddings: torch.Tensor, positions: torch.Tensor, attention: RowAttention
    ) -> torch.Tensor:
        """Last hidden states [L, H] of embeddings [L, H] at M-RoPE positions [3, L]."""
        output = self.model.model.language_model(
            inputs_embeds=embeddings[None],
            position_ids=positions[:, None],
            attention_mask={"full_attention": attention},
            use_cache=False,
        )
        return output.last_hidden_state[0]

    def embed(self, input_ids: torch.Tensor, features: torch.Tensor) -> torch.Tensor:
        """Input embeddings [L, H]: tokens [L] with picture features [image tokens, H] in their places."""
        embeddings = self.model.model.language_model.embed_tokens(input_ids)
        places = (input_ids == self.image_pad_id)[:, None]
        return embeddings.masked_scatter(places, features.to(embeddings.dtype))

    def picture_features(self, prompt: EncodedPrompt) -> torch.Tensor:
        """Features [image tokens, H] of a prompt's pictures; a frozen tower's are kept (`FeatureCache`).

        Outside of `forward`: the weights must be whole.
        """
        weight = self.head.weight
        if len(prompt.patches) == 0:
            # The width is the config's: a sharded weight has none.
            return weight.new_zeros(0, self.model.model.language_model.config.hidden_size)
        if self.freeze_vision and (known := self._features.get(prompt)) is not None:
            return known.to(weight.device)
        features = self.see(prompt.patches.to(weight.device), prompt.grid.to(weight.device))
        if self.freeze_vision:
            self._features.put(prompt, features)
        return features

    def knows(self, prompt: EncodedPrompt) -> bool:
        """Whether `picture_features` needs no weights."""
        return len(prompt.patches) == 0 or self._features.get(prompt) is not None

    def logits(self, hidden: torch.Tensor) -> torch.Tensor:
        """Logits [S, V] fp32 of hidden states [S, H]."""
        return logits_of(hidden, self.head.weight)

    def see(self, patches: torch.Tensor, grid: torch.Tensor) -> torch.Tensor:
        """The tower's features [image tokens, H] of patches [N, 1176]; of a blank picture where none are."""
        visual = self.model.model.visual
        if len(patches) == 0:
            merge = visual.spatial_merge_size
            patches = patches.new_zeros(merge * merge, patches.shape[1])
            grid = grid.new_tensor([[1, merge, merge]])
        with torch.no_grad() if self.freeze_vision else nullcontext():
            return visual(patches.to(visual.dtype), grid_thw=grid).pooler_output
