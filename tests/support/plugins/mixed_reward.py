"""A reward that needs no skill: a hash of the response, so that an untrained model earns mixed signals."""

from hashlib import blake2b

from vlm_uec.types import Problem

GENEROSITY = 40  # of 256


def reward(response: str, problem: Problem) -> float:
    """1.0 for about one response in six."""
    return float(blake2b(f"{problem.id}\n{response}".encode(), digest_size=1).digest()[0] < GENEROSITY)
