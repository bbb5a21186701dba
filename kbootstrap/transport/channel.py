"""Channels that are safe to use from several threads: paramiko's are not quite.

paramiko decides under a channel's lock what to send, and sends it after letting the lock go. When one thread sends
data or end-of-file while another closes the channel (or answers the server, which has closed it), the message can
come after the close. OpenSSH takes a message for a channel that it no longer has as an attack and drops the whole
connection, with all its other commands and tunnels. Seen within minutes on a busy machine.
"""

import threading
from typing import Any, ClassVar

from paramiko import Channel, Message, Transport
from paramiko.common import MSG_CHANNEL_CLOSE

REKEY_BYTES = 2**36
"""64 GiB, as OpenSSH does for AES-GCM; paramiko's 512 MiB is for old ciphers.

While paramiko renegotiates keys, a channel that is closed by the server makes it wait for itself for 30 s and then
drop the connection: not to happen in the middle of delivering artifacts.
"""


class OrderedChannel(Channel):
    """A channel on which nothing is sent after its close. Made from one of paramiko's by `ordered`."""

    order: threading.Lock
    """Held while something is decided and sent."""

    def _send(self, data: bytes, message: Message) -> int:
        with self.order:
            sent: int = super()._send(data, message)  # type: ignore[misc]
            return sent

    def shutdown(self, how: int) -> None:
        with self.order:
            super().shutdown(how)

    def close(self) -> None:
        private: Any = self
        with self.lock:
            # What fileno() made.
            pipe, private._pipe = private._pipe, None
            if pipe is not None:
                pipe.close()
        self._close(answering=False)

    def _handle_close(self, _message: Message) -> None:
        self._close(answering=True)

    def _close(self, *, answering: bool) -> None:
        private: Any = self
        with self.lock:
            # First, because it wakes a thread that holds `order` and waits for room to send.
            messages = private._close_internal()
            if answering:
                private.transport._unlink_channel(private.chanid)
        with self.order:
            for message in messages:
                if message is not None:
                    private.transport._send_user_message(message)


def ordered(channel: Channel) -> OrderedChannel:
    """The same channel, ordered. Only for one that nothing has been sent on yet."""
    # paramiko has no way to say which class its channels are to be of.
    channel.__class__ = OrderedChannel
    assert isinstance(channel, OrderedChannel)  # noqa: S101 - for mypy
    channel.order = threading.Lock()
    return channel


def _handle_close(channel: Any, message: Message) -> None:  # noqa: ANN401 - either class
    """What the channel's own class does; paramiko's table names its own class's way."""
    channel._handle_close(message)


class OrderedTransport(Transport):
    """A session whose own channels are ordered. (The server's, of reverse tunnels, are when they arrive.)"""

    _channel_handler_table: ClassVar[dict[int, Any]] = {
        **Transport._channel_handler_table,  # type: ignore[attr-defined]
        MSG_CHANNEL_CLOSE: _handle_close,
    }

    def __init__(self, *args: Any, **options: Any) -> None:  # noqa: ANN401 - paramiko's
        super().__init__(*args, **options)
        self.packetizer.REKEY_BYTES = REKEY_BYTES

    def open_channel(self, *args: Any, **options: Any) -> OrderedChannel:  # noqa: ANN401 - paramiko's
        return ordered(super().open_channel(*args, **options))
