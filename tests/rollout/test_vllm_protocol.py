"""What goes between trainer and vLLM server: framed, bounded, proved by a key, and never run as code."""

from __future__ import annotations

import json
import pickle
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress

import pytest
import torch

from vlm_uec.rollout.vllm import protocol as wire_module
from vlm_uec.rollout.vllm.protocol import MAX_TENSOR_BYTES, Wire, WireError

KEY = b"a secret"


@pytest.fixture
def sockets() -> Iterator[tuple[socket.socket, socket.socket]]:
    listener = socket.create_server(("127.0.0.1", 0))
    ours = socket.create_connection(listener.getsockname())
    theirs, _ = listener.accept()
    yield ours, theirs
    for one in (ours, theirs, listener):
        one.close()


def _beside(work: Callable[[], object]) -> threading.Thread:
    def quietly() -> None:
        with suppress(WireError, OSError):
            work()

    thread = threading.Thread(target=quietly, daemon=True)
    thread.start()
    return thread


def _pair(sockets: tuple[socket.socket, socket.socket]) -> tuple[Wire, Wire]:
    made: list[Wire] = []
    thread = _beside(lambda: made.append(Wire(sockets[1], KEY, server=True)))
    client = Wire(sockets[0], KEY, server=False)
    thread.join()
    return client, made[0]


def test_a_message_arrives_as_it_was_sent(sockets: tuple[socket.socket, socket.socket]) -> None:
    client, server = _pair(sockets)
    tensors = {
        "ids": torch.tensor([3, 1, 2**40]),
        "half": torch.tensor([[1.5, -2.0]], dtype=torch.bfloat16).t(),
        "none": torch.zeros(0, 7),
    }
    client.send({"do": "sample", "text": "Ä\n"}, tensors)
    message = server.receive(5)
    assert message is not None
    assert message.head == {"do": "sample", "text": "Ä\n"}
    assert {name: tensor.dtype for name, tensor in message.tensors.items()} == {
        name: tensor.dtype for name, tensor in tensors.items()
    }
    assert all(torch.equal(message.tensors[name], tensor) for name, tensor in tensors.items())


def test_a_quiet_line_is_no_message_and_no_error(sockets: tuple[socket.socket, socket.socket]) -> None:
    client, _ = _pair(sockets)
    assert client.receive(0.0) is None


def test_the_end_of_the_other_side_is_noticed_at_once(sockets: tuple[socket.socket, socket.socket]) -> None:
    client, server = _pair(sockets)
    server.close()
    with pytest.raises(WireError, match="closed"):
        client.receive(5)


@pytest.mark.parametrize("server", [True, False])
def test_a_peer_with_another_key_is_turned_away(
    sockets: tuple[socket.socket, socket.socket], server: bool
) -> None:
    _beside(lambda: Wire(sockets[1], b"another secret", server=not server))
    with pytest.raises(WireError, match=r"different keys|closed|reset"):
        Wire(sockets[0], KEY, server=server)


def test_a_proof_cannot_be_sent_back_to_who_gave_it(sockets: tuple[socket.socket, socket.socket]) -> None:
    """A stranger repeats whatever it hears: the server's own nonce and proof."""

    def echo() -> None:
        while heard := sockets[1].recv(4096):
            sockets[1].sendall(heard)

    _beside(echo)
    with pytest.raises(WireError, match="different keys"):
        Wire(sockets[0], KEY, server=True)


def test_a_web_browser_is_told_nothing(sockets: tuple[socket.socket, socket.socket]) -> None:
    sockets[1].sendall(b"GET / HTTP/1.1\r\nHost: here\r\n\r\n" + b" " * 64)
    with pytest.raises(WireError, match="another protocol"):
        Wire(sockets[0], KEY, server=True)


def test_a_silent_stranger_is_not_waited_for(
    sockets: tuple[socket.socket, socket.socket], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(wire_module, "GREETING_S", 0.05)
    with pytest.raises(WireError, match="timed out"):
        Wire(sockets[0], KEY, server=True)


class _Trap:
    """A pickle that would fail the test where anything unpickles it."""

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return pytest.fail, ("unpickled",)


def _frame(head: bytes, packed: bytes = b"") -> bytes:
    return struct.pack(">QQ", len(head), len(packed)) + head + packed


@pytest.mark.parametrize(
    ("sent", "told"),
    [
        (_frame(b"[1, 2]"), "no JSON object"),
        (_frame(b"{not json"), "property name"),
        (_frame(b"[" * 10_000), "recursion|Expecting"),
        (_frame(b'"\xff"'), "decode"),
        (_frame(b"{}", pickle.dumps(_Trap())), "header|Error"),
        (_frame(b"{}", struct.pack("<Q", 2**60) + b"{}"), "header|Error"),
        (struct.pack(">QQ", 2**63, 0), "too long"),
        (struct.pack(">QQ", 2, MAX_TENSOR_BYTES + 1), "too long"),
        (_frame(json.dumps({"a": 1}).encode())[:-3], "closed"),
    ],
    ids=["list", "text", "deep", "bytes", "pickle", "huge tensors' head", "endless", "too large", "cut"],
)
def test_what_is_no_message_is_refused_in_words(
    sockets: tuple[socket.socket, socket.socket], sent: bytes, told: str
) -> None:
    client, _ = _pair(sockets)
    sockets[1].sendall(sent)
    sockets[1].close()
    with pytest.raises(WireError, match=told):
        client.receive(5)
