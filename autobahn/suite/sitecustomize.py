# The suite's fuzzing server listens on all interfaces, and has no option for
# it. Python runs this module before anything else: who asks for all
# interfaces gets loopback.
import socket

_bind = socket.socket.bind


def bind(self, address):
    if isinstance(address, tuple) and address[0] in ("", "0.0.0.0"):
        address = ("127.0.0.1",) + address[1:]
    return _bind(self, address)


socket.socket.bind = bind
