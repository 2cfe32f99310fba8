"""The protocol between trainer and vLLM server: framing, size limits, authentication, no unpickling."""

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

from vlm_uec.rollout.vllm import protocol as protocol_module
from vlm_uec.rollout.vllm.protocol import MAX_TENSOR_BYTES, Connection, ProtocolError

KEY = b"a secret"


@pytest.fixture
def sockets() -> Iterator[tuple[socket.socket, socket.socket]]:
    listener = socket.create_server(("127.0.0.1", 0))
    client = socket.create_connection(listener.getsockname())
    server, _ = listener.accept()
    yield client, server
    for one in (client, server, listener):
        one.close()


def _in_thread(work: Callable[[], object]) -> threading.Thread:
    def run() -> None:
        with suppress(ProtocolError, OSError):
            work()

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    return thread


def _pair(sockets: tuple[socket.socket, socket.socket]) -> tuple[Connection, Connection]:
    servers: list[Connection] = []
    thread = _in_thread(lambda: servers.append(Connection(sockets[1], KEY, server=True)))
    client = Connection(sockets[0], KEY, server=False)
    thread.join()
    return client, servers[0]


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


def test_receive_returns_none_if_no_message_arrives(sockets: tuple[socket.socket, socket.socket]) -> None:
    client, _ = _pair(sockets)
    assert client.receive(0.0) is None


def test_a_closed_connection_is_noticed_at_once(sockets: tuple[socket.socket, socket.socket]) -> None:
    client, server = _pair(sockets)
    server.close()
    with pytest.raises(ProtocolError, match="closed"):
        client.receive(5)


@pytest.mark.parametrize("server", [True, False])
def test_a_peer_with_another_key_is_rejected(
    sockets: tuple[socket.socket, socket.socket], server: bool
) -> None:
    _in_thread(lambda: Connection(sockets[1], b"another secret", server=not server))
    with pytest.raises(ProtocolError, match=r"different keys|closed|reset"):
        Connection(sockets[0], KEY, server=server)


def test_a_reflected_proof_is_rejected(sockets: tuple[socket.socket, socket.socket]) -> None:
    """An attacker echoes the server's own nonce and proof."""

    def echo() -> None:
        while data := sockets[1].recv(4096):
            sockets[1].sendall(data)

    _in_thread(echo)
    with pytest.raises(ProtocolError, match="different keys"):
        Connection(sockets[0], KEY, server=True)


def test_an_http_client_is_rejected(sockets: tuple[socket.socket, socket.socket]) -> None:
    sockets[1].sendall(b"GET / HTTP/1.1\r\nHost: here\r\n\r\n" + b" " * 64)
    with pytest.raises(ProtocolError, match="another protocol"):
        Connection(sockets[0], KEY, server=True)


def test_the_handshake_with_a_silent_peer_times_out(
    sockets: tuple[socket.socket, socket.socket], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(protocol_module, "HANDSHAKE_TIMEOUT_S", 0.05)
    with pytest.raises(ProtocolError, match="timed out"):
        Connection(sockets[0], KEY, server=True)


class _Trap:
    """Its pickle fails the test when it is unpickled."""

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return pytest.fail, ("unpickled",)


def _frame(head: bytes, packed: bytes = b"") -> bytes:
    return struct.pack(">QQ", len(head), len(packed)) + head + packed


@pytest.mark.parametrize(
    ("sent", "message"),
    [
        (_frame(b"[1, 2]"), "not a JSON object"),
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
def test_invalid_data_raises_a_protocol_error(
    sockets: tuple[socket.socket, socket.socket], sent: bytes, message: str
) -> None:
    client, _ = _pair(sockets)
    sockets[1].sendall(sent)
    sockets[1].close()
    with pytest.raises(ProtocolError, match=message):
        client.receive(5)
