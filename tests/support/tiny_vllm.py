"""A server without vLLM: the real protocol and server loop around a policy that samples without a cache."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import Any

import torch

from tests.support.tiny import IMAGE_PAD, VISION, tiny_model
from vlm_uec.data.positions import mrope_positions
from vlm_uec.errors import Stopped
from vlm_uec.model.attention import packed_attention
from vlm_uec.model.packing import Row, pack
from vlm_uec.model.policy import Policy
from vlm_uec.rollout.sampling import Sampled, sample_tokens, uniform_stream
from vlm_uec.rollout.vllm.client import Address, VllmClient
from vlm_uec.rollout.vllm.engine import VllmEngine
from vlm_uec.rollout.vllm.messages import Completion, SamplingJob
from vlm_uec.rollout.vllm.protocol import Connection, ProtocolError
from vlm_uec.rollout.vllm.service import Service
from vlm_uec.rollout.vllm.weight_names import language_weights
from vlm_uec.rollout.vllm.weights import checksum
from vlm_uec.types import EncodedPrompt

KEY = b"a secret"


class TinyBackend:
    """Replaces vLLM: one job a step. `faults` are injected by name; see where they are checked."""

    def __init__(self, *, tied: bool = True, faults: Sequence[str] = (), max_length: int = 4096) -> None:
        model = tiny_model(
            tied=tied, seed=99
        )  # differs from the trainer's, so that a weight that is not sent is noticed
        self.policy = Policy(model, torch.zeros(model.lm_head.out_features, dtype=torch.bool), VISION)
        self.policy.eval()
        self.faults, self.max_length = set(faults), max_length
        self.jobs: dict[str, SamplingJob] = {}
        self.received: list[SamplingJob] = []
        self.aborted: list[str] = []
        self.pushes = 0

    @property
    def facts(self) -> dict[str, Any]:
        return {"dtype": "float32", "max_length": self.max_length}

    @property
    def busy(self) -> bool:
        return bool(self.jobs)

    def begin(self, banned: Sequence[int]) -> None:
        self.policy.head.banned.zero_()
        self.policy.head.banned[list(banned)] = True
        self.pushes += 1

    def load(self, name: str, tensor: torch.Tensor) -> str:
        ours = f"model.language_model.{name.removeprefix('model.')}" if name.startswith("model.") else name
        weight = self.policy.model.get_parameter(ours)
        if f"does not load {name}" in self.faults:
            return checksum(weight)
        if f"does not use {name}" not in self.faults:
            weight.data.copy_(tensor)
        return checksum(tensor)

    def finish(self) -> None: ...

    def add(self, job_id: str, job: SamplingJob) -> None:
        self.jobs[job_id] = job
        self.received.append(job)

    def abort(self, job_ids: Sequence[str]) -> None:
        self.aborted += job_ids
        for job_id in job_ids:
            del self.jobs[job_id]

    @torch.no_grad()
    def step(self) -> Iterator[tuple[str, Sequence[Completion]]]:
        # Newest first: clients must not rely on the order of results.
        job_id, job = self.jobs.popitem()
        yield job_id, [self._complete(job, index) for index in range(job.n)]

    def _complete(self, job: SamplingJob, index: int) -> Completion:
        positions = mrope_positions(job.prompt, job.grid, IMAGE_PAD, 2)
        no_pixels = torch.zeros(0, 3 * 2 * 14 * 14)
        prompt = EncodedPrompt("", job.prompt, no_pixels, job.grid, positions)
        uniforms = uniform_stream(job.seed + index, 0, "", 0, job.max_tokens)
        tokens, logprobs = list[int](), list[float]()
        while len(tokens) < job.max_tokens and not (tokens and tokens[-1] in job.end_ids):
            sampled = self._next_token(prompt, tokens, job, uniforms[len(tokens)])
            tokens.append(int(sampled.tokens))
            logprobs.append(float(sampled.behaviour_logprobs))
        return Completion(tokens, logprobs)

    def _next_token(
        self, prompt: EncodedPrompt, tokens: Sequence[int], job: SamplingJob, uniform: torch.Tensor
    ) -> Sampled:
        batch = pack([Row(prompt, (torch.tensor([*tokens, 0]),))])
        embeddings = self.policy.embed(batch.input_ids, job.features)
        hidden = self.policy.hidden_states(embeddings, batch.position_ids, packed_attention(batch))
        logits = self.policy.logits(hidden[batch.predictors[-1:]])
        temperature, top_p = torch.tensor([job.temperature]), torch.tensor([job.top_p])
        return sample_tokens(logits, self.policy.head.banned, uniform[None], temperature, top_p)


def serve(backend: TinyBackend, key: bytes = KEY) -> Address:
    """Runs the service around the backend in daemon threads of this process."""
    listener = socket.create_server(("127.0.0.1", 0))
    service = Service(backend, key)
    service.listen(listener)
    threading.Thread(target=service.run, daemon=True).start()
    return Address("127.0.0.1", listener.getsockname()[1], KEY, "its log")


class ScriptedServer:
    """Answers each kind of request with scripted messages, for every client."""

    def __init__(self, replies: dict[str, list[tuple[dict[str, Any], dict[str, torch.Tensor]]]]) -> None:
        """`replies`: by request ("facts", "sample"); a request without an entry closes the connection."""
        self._replies = replies
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.address = Address("127.0.0.1", self._listener.getsockname()[1], KEY, "its log")
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            stream, _ = self._listener.accept()
            connection = Connection(stream, KEY, server=True)
            with suppress(ProtocolError):
                while (message := connection.receive()) is not None:
                    if message.head["do"] not in self._replies:
                        break
                    for head, tensors in self._replies[message.head["do"]]:
                        connection.send(head, tensors)
            connection.close()


def interrupted_push(engine: VllmEngine, client: VllmClient, banned: Sequence[int]) -> None:
    """Replaces `VllmEngine._push`: stops between two weights that vLLM loads as one layer."""

    def first_weights() -> Iterator[tuple[str, torch.Tensor]]:
        for name, weight in language_weights(engine.policy.model):
            yield name, weight
            if name == "model.layers.1.self_attn.q_proj.weight":
                raise Stopped(15)

    client.push(first_weights(), banned)
