"""The policy as one module whose `forward` scores packed rows.

ZeRO-3 attaches its hooks to the top module, so all trained parts (vision tower, text model, head) run inside
this `forward`, on every rank, with or without images.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import nn
from transformers.models.qwen2_5_vl.modeling_qwen2_5_vl import get_vision_window_index

from vlm_uec.model.attention import RowAttention, install_attention, packed_attention
from vlm_uec.model.feature_cache import FeatureCache
from vlm_uec.model.head import LogProbHead, compute_logits
from vlm_uec.model.load import NOTHING_FROZEN, FrozenParts, Model, text_model, vision_tower
from vlm_uec.model.packing import PackedBatch
from vlm_uec.types import EncodedPrompt


class Policy(nn.Module):
    """Scores packed rows; the sampler uses `embed`, `hidden_states` and `logits` on gathered weights."""

    def __init__(self, model: Model, banned: torch.Tensor, frozen: FrozenParts = NOTHING_FROZEN) -> None:
        """`banned` [V] bool: ids that are excluded from sampling, log-probs and entropies."""
        super().__init__()
        self.model = model
        install_attention(self.text, self.tower)
        self.head = LogProbHead(model.lm_head.weight, banned)
        self.frozen = frozen
        self._features = FeatureCache()
        for name, parameter in self.tower.named_parameters() if self.tower is not None else ():
            part = frozen.projector if name.startswith("merger.") else frozen.tower
            if part:
                parameter.requires_grad_(False)

    # Properties, because a module stored twice would be in the state dict twice.
    @property
    def text(self) -> Any:
        return text_model(self.model)

    @property
    def tower(self) -> Any:
        """None for a text-only model."""
        return vision_tower(self.model)

    def forward(self, batch: PackedBatch) -> tuple[torch.Tensor, torch.Tensor]:
        """Log-probs [T] and exact entropies [T] (t = 1, allowed ids) of the batch's targets, fp32."""
        embeddings = self._embed_batch(batch)
        hidden = self.hidden_states(embeddings, batch.position_ids, packed_attention(batch))
        return self.head(hidden.index_select(0, batch.predictors), batch.targets)

    def _embed_batch(self, batch: PackedBatch) -> torch.Tensor:
        if self.tower is None:
            return self.embed(batch.input_ids, self._no_features(0))
        if batch.features is None:
            features = self.image_features(batch.pixel_values, batch.image_grid_thw)
        else:
            features = self._project(batch.features)
        embeddings = self.embed(batch.input_ids, features)
        if len(batch.pixel_values) == 0:
            # The tower must run: ranks with images wait for it to gather its weights.
            embeddings = embeddings + 0.0 * features.sum()
        return embeddings

    def hidden_states(
        self, embeddings: torch.Tensor, position_ids: torch.Tensor, attention: RowAttention
    ) -> torch.Tensor:
        """Last hidden states [L, H] of embeddings [L, H] at M-RoPE positions [3, L]."""
        output = self.text(
            inputs_embeds=embeddings[None],
            # Without images the three axes are equal.
            position_ids=position_ids[:1] if self.tower is None else position_ids[:, None],
            attention_mask={"full_attention": attention},
            use_cache=False,
        )
        return output.last_hidden_state[0]

    def embed(self, input_ids: torch.Tensor, features: torch.Tensor) -> torch.Tensor:
        """Input embeddings [L, H]: tokens [L], with features [image tokens, H] at the image tokens."""
        embeddings = self.text.embed_tokens(input_ids)
        if self.tower is None:
            return embeddings
        is_image = (input_ids == self.model.config.image_token_id)[:, None]
        return embeddings.masked_scatter(is_image, features.to(embeddings.dtype))

    def prompt_features(self, prompt: EncodedPrompt) -> torch.Tensor:
        """Features [image tokens, H] of a prompt's images, as the text model reads them.

        Runs outside of `forward`, so the weights must be gathered.
        """
        if len(prompt.pixel_values) == 0:
            return self._no_features(self.text.config.hidden_size)
        device = self.head.weight.device
        if self.frozen.tower:
            return self._project(self.frozen_features(prompt).to(device))
        return self.image_features(prompt.pixel_values.to(device), prompt.image_grid_thw.to(device))

    def frozen_features(self, prompt: EncodedPrompt) -> torch.Tensor:
        """Output of a frozen tower for a prompt's images, computed once (`FeatureCache`), on any device.

        [image tokens, H], or, if the projector is trained, the projector's inputs [image tokens x 4, H of
        the tower]. Runs outside of `forward`, so the weights must be gathered.
        """
        if len(prompt.pixel_values) == 0:
            projected = self.tower is None or self.frozen.projector
            return self._no_features((self.text if projected else self.tower).config.hidden_size)
        if (cached := self._features.get(prompt)) is not None:
            return cached
        device = self.head.weight.device
        features = self._frozen_tower_features(
            prompt.pixel_values.to(device), prompt.image_grid_thw.to(device)
        )
        self._features.put(prompt, features)
        return features

    def has_cached_features(self, prompt: EncodedPrompt) -> bool:
        """Whether `frozen_features` can return without the weights."""
        return len(prompt.pixel_values) == 0 or self._features.get(prompt) is not None

    def logits(self, hidden: torch.Tensor) -> torch.Tensor:
        """Logits [S, V] fp32 of hidden states [S, H]."""
        return compute_logits(hidden, self.head.weight)

    def _no_features(self, width: int) -> torch.Tensor:
        """Empty features [0, width]; the width is from the config, because a sharded weight has no shape."""
        return self.head.weight.new_zeros(0, width)

    def image_features(self, pixel_values: torch.Tensor, image_grid_thw: torch.Tensor) -> torch.Tensor:
        """Features [image tokens, H] of patches [N, 1176]; of a blank image if there are no patches."""
        visual = self.tower
        if len(pixel_values) == 0:
            merge = visual.spatial_merge_size
            pixel_values = pixel_values.new_zeros(merge * merge, pixel_values.shape[1])
            image_grid_thw = image_grid_thw.new_tensor([[1, merge, merge]])
        if self.frozen.tower:
            return self._project(self._frozen_tower_features(pixel_values, image_grid_thw))
        return visual(pixel_values.to(visual.dtype), grid_thw=image_grid_thw).pooler_output

    @torch.no_grad()
    def _frozen_tower_features(
        self, pixel_values: torch.Tensor, image_grid_thw: torch.Tensor
    ) -> torch.Tensor:
        """Output of the frozen parts of the tower, in the order of the image tokens."""
        visual = self.tower
        output = visual(pixel_values.to(visual.dtype), grid_thw=image_grid_thw)
        if self.frozen.projector:
            return output.pooler_output
        # Before the projector, tokens are ordered by attention window.
        windows, _ = get_vision_window_index(
            image_grid_thw,
            spatial_merge_size=visual.spatial_merge_size,
            window_size=visual.window_size,
            patch_size=visual.patch_size,
        )
        patches_per_token = visual.spatial_merge_size**2
        tokens = output.last_hidden_state.unflatten(0, (-1, patches_per_token))
        return tokens[windows.argsort()].flatten(0, 1)

    def _project(self, features: torch.Tensor) -> torch.Tensor:
        """Features of `_frozen_tower_features`, as the text model reads them."""
        if self.frozen.projector:
            return features
        if len(features) == 0:
            # The projector must run: under ZeRO-3, ranks with images wait for it to gather its weights.
            visual = self.tower
            width = visual.config.hidden_size
            features = features.new_zeros(visual.spatial_merge_size**2, width)
        return self.tower.merger(features)
