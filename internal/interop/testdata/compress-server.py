"""A server made with websockets that sends every message back, compressed:

    python compress-server.py PARAMETERS

PARAMETERS is a JSON object with what the server wants, by the names in
RFC 7692. Prints its URL. A text message that begins with F goes back in
fragments.
"""

import asyncio
import json
import signal
import sys

from websockets.asyncio.server import serve
from websockets.extensions.permessage_deflate import ServerPerMessageDeflateFactory


async def pieces(ws, message):
    data = message.encode()
    for i in range(0, len(data), 1000):
        yield data[i : i + 1000]
        await ws.ping()


async def handle(ws):
    async for message in ws:
        if isinstance(message, str) and message.startswith("F"):
            await ws.send(pieces(ws, message), text=True)
        else:
            await ws.send(message)


async def main():
    async with serve(
        handle,
        "127.0.0.1",
        0,
        max_size=64 << 20,
        compression=None,  # which is but another set of parameters
        extensions=[ServerPerMessageDeflateFactory(**json.loads(sys.argv[1]))],
    ) as server:
        port = server.sockets[0].getsockname()[1]
        print(f"listening on ws://127.0.0.1:{port}/", flush=True)
        stop = asyncio.Event()
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
        await stop.wait()


asyncio.run(main())
