"""The server's own loop: it hears trainers' ranks, steps the engine, and answers. Knows no vLLM."""

from __future__ import annotations

import itertools
import queue
import socket
import sys
import threading
import time
import traceback
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import torch

from vlm_uec.rollout.vllm.messages import Backend, Drawn, Order
from vlm_uec.rollout.vllm.protocol import Message, Wire, WireError
from vlm_uec.rollout.vllm.weights import BANNED, Assembly, checksum_of_ids, digest_of

BEAT_S = 1.0
WAITING = 8  # messages read ahead; with a push's pieces that is half a GiB


class Peer:
    """A rank of a trainer. A thread writes to it, so that a slow one does not hold up the engine."""

    def __init__(self, wire: Wire, number: int) -> None:
        self._wire, self.number = wire, number
        self.owed: set[str] = set()  # tickets
        self.refused = False
        self._answers: queue.SimpleQueue[Message | None] = queue.SimpleQueue()
        threading.Thread(target=self._write, daemon=True).start()

    def answer(self, head: dict[str, Any], tensors: dict[str, torch.Tensor] | None = None) -> None:
        self._answers.put(Message(head, tensors or {}))

    def leave(self) -> None:
        self._answers.put(None)

    def read(self, events: queue.Queue[tuple[Peer, Message | None]]) -> None:
        """Hands on what comes, and None at the end."""
        with suppress(WireError):
            while (message := self._wire.receive()) is not None:
                events.put((self, message))
        events.put((self, None))

    def _write(self) -> None:
        with suppress(WireError):
            while (message := self._answers.get()) is not None:
                self._wire.send(message.head, message.tensors)
        self._wire.close()


class Push:
    """A peer's weights on their way in: whole again only at the end, and then with their checksums."""

    def __init__(self, peer: Peer, backend: Backend, banned: Sequence[int]) -> None:
        self.peer, self._backend = peer, backend
        self._name = ""
        self._assembly: Assembly | None = None
        self.checksums = {BANNED: checksum_of_ids(banned)}
        backend.begin(banned)

    def take(self, message: Message) -> None:
        head = message.head
        if "name" in head:
            self._name = str(head["name"])
            self._assembly = Assembly(str(head["dtype"]), tuple(map(int, head["shape"])))
        if self._assembly is None:
            raise ValueError("a piece of no weight")
        tensor = self._assembly.add(message.tensors["piece"])
        if tensor is not None:
            self._assembly = None
            self.checksums[self._name] = self._backend.load(self._name, tensor)

    def finish(self) -> dict[str, str]:
        if self._assembly is not None:
            raise ValueError(f"{self._name} came in part")
        self._backend.finish()
        return self.checksums


class Service:
    """Serves any number of peers from one engine."""

    def __init__(self, backend: Backend, key: bytes) -> None:
        self._backend, self._key = backend, key
        self._events: queue.Queue[tuple[Peer, Message | None]] = queue.Queue(WAITING)
        self._orders: dict[str, tuple[Peer, int]] = {}
        self._push: Push | None = None
        self._digest: str | None = None  # of the weights that orders may be drawn from
        self._checksums: dict[str, str] = {}  # as told of them; none: nobody's, or doubted by whose they are
        self._got_on = 0  # times that tokens were drawn
        self._numbers = itertools.count()
        self._beat = time.monotonic()

    def listen(self, listener: socket.socket) -> None:
        """Lets peers in, from now on, by a thread of its own."""
        threading.Thread(target=self._accept, args=(listener,), daemon=True).start()

    def run(self) -> None:
        """For ever: hears, steps, answers. An error of the engine itself ends it."""
        while True:
            self._hear()
            if self._backend.busy:
                for done in self._backend.step():
                    self._got_on += 1
                    if done is not None:
                        self._answer(*done)
            self._tell_of_life()

    def _accept(self, listener: socket.socket) -> None:
        while True:
            connection, address = listener.accept()
            threading.Thread(target=self._let_in, args=(connection, address), daemon=True).start()

    def _let_in(self, connection: socket.socket, address: tuple[str, int]) -> None:
        try:
            wire = Wire(connection, self._key, server=True)
        except WireError as error:
            print(f"{address[0]}: not let in: {error}", file=sys.stderr, flush=True)
            return
        Peer(wire, next(self._numbers)).read(self._events)

    def _hear(self) -> None:
        """All that waits; where there is nothing else to do, for the next."""
        with suppress(queue.Empty):
            if not self._backend.busy:
                self._handle(*self._events.get(timeout=BEAT_S))
            while True:
                self._handle(*self._events.get_nowait())

    def _handle(self, peer: Peer, message: Message | None) -> None:
        if message is None:
            self._drop(peer)
        elif not peer.refused:
            try:
                self._do(peer, message)
            except Exception as error:
                # Told to whoever caused it, whose run ends with it; the server is there for the next one.
                traceback.print_exc()
                peer.refused = True
                peer.answer({"error": f"{type(error).__name__}: {error}"})

    def _do(self, peer: Peer, message: Message) -> None:
        match message.head.get("do"):
            case "facts":
                peer.answer({"facts": self._backend.facts, "weights": self._checksums})
            case "begin":
                self._begin(peer, message)
            case "piece":
                self._pushing(peer).take(message)
            case "finish":
                self._finish(peer)
            case "forget":
                # Orders go on: whose turn it is to find the same should not be told something else.
                self._checksums = {}
            case "sample":
                self._sample(peer, message)
            case other:
                raise ValueError(f"{other!r} is nothing that this server does")

    def _begin(self, peer: Peer, message: Message) -> None:
        if self._orders:
            raise ValueError("somebody else samples from this server: one trainer at a time")
        # Nobody's until they are whole, whatever happens on the way.
        self._push, self._digest, self._checksums = None, None, {}
        self._push = Push(peer, self._backend, [int(one) for one in message.head["banned"]])

    def _pushing(self, peer: Peer) -> Push:
        if self._push is None or self._push.peer is not peer:
            raise ValueError("no weights were announced, or somebody else's came in between")
        return self._push

    def _finish(self, peer: Peer) -> None:
        self._checksums = self._pushing(peer).finish()
        self._digest, self._push = digest_of(self._checksums), None
        peer.answer({"weights": self._checksums})

    def _sample(self, peer: Peer, message: Message) -> None:
        head, tensors = message.head, message.tensors
        if self._digest is None or head["weights"] != self._digest:
            raise ValueError("its weights are not the policy's: stale, or another trainer's")
        order = Order(
            prompt=tensors["prompt"],
            features=tensors["features"],
            grid=tensors["grid"],
            n=int(head["n"]),
            seed=int(head["seed"]),
            temperature=float(head["temperature"]),
            top_p=float(head["top_p"]),
            max_tokens=int(head["max_tokens"]),
            ends=tuple(map(int, head["ends"])),
        )
        number = int(head["number"])
        ticket = f"{peer.number}-{number}"
        self._backend.add(ticket, order)
        self._orders[ticket] = peer, number
        peer.owed.add(ticket)

    def _answer(self, ticket: str, group: Sequence[Drawn]) -> None:
        peer, number = self._orders.pop(ticket)
        peer.owed.discard(ticket)
        peer.answer(
            {"number": number, "lengths": [len(drawn.tokens) for drawn in group]},
            {
                "tokens": torch.tensor([token for drawn in group for token in drawn.tokens]),
                "logprobs": torch.tensor([value for drawn in group for value in drawn.logprobs]),
            },
        )

    def _drop(self, peer: Peer) -> None:
        """A peer that has gone wants nothing any more, and the rest of its weights does not come."""
        if self._push is not None and self._push.peer is peer:
            self._push = None
        if peer.owed:
            self._backend.abort(sorted(peer.owed))
        for ticket in peer.owed:
            del self._orders[ticket]
        peer.owed.clear()
        peer.leave()

    def _tell_of_life(self) -> None:
        """With what shows whether the engine gets on: it may live and do nothing."""
        now = time.monotonic()
        if now - self._beat >= BEAT_S:
            self._beat = now
            for peer in {peer for peer, _ in self._orders.values()}:
                peer.answer({"alive": self._got_on})
