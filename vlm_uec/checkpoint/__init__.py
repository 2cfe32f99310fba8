"""Checkpoints: complete or absent, and verified before loading."""

from vlm_uec.checkpoint.store import Contents, find_checkpoint, load_state, save_checkpoint

__all__ = ["Contents", "find_checkpoint", "load_state", "save_checkpoint"]
