"""Verification of final answers against the ground truth."""

from vlm_uec.verifier.arguments import InvalidArgument
from vlm_uec.verifier.strictness import Strictness
from vlm_uec.verifier.verify import VERDICT_KINDS, Verdict, VerdictKind, verify

__all__ = ["VERDICT_KINDS", "InvalidArgument", "Strictness", "Verdict", "VerdictKind", "verify"]
