"""A reward by a hash of the response, so that an untrained model has right and wrong responses."""

from hashlib import blake2b

from vlm_uec.types import Problem

RIGHT_HASHES = 40  # of 256


def reward(response: str, problem: Problem) -> float:
    """1.0 for about one response in six."""
    return float(blake2b(f"{problem.id}\n{response}".encode(), digest_size=1).digest()[0] < RIGHT_HASHES)
