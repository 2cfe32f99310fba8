"""Verification of final answers against the ground truth."""

from vlm_uec.verifier.verify import VERDICT_KINDS, Verdict, VerdictKind, verify

__all__ = ["VERDICT_KINDS", "Verdict", "VerdictKind", "verify"]
