"""Checkpoints: complete or absent, verified before anything is loaded."""

from vlm_uec.checkpoint.store import Contents, find_checkpoint, load_state, save_checkpoint

__all__ = ["Contents", "find_checkpoint", "load_state", "save_checkpoint"]
