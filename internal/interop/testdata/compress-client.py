"""A client made with websockets that sends every message back, compressed:

    python compress-client.py URL PARAMETERS

PARAMETERS is a JSON object with those of the offer, by their names in RFC 7692.
Prints what the server has answered, as "answer EXTENSIONS". A text message that
begins with F goes back in fragments.
"""

import asyncio
import json
import sys

from websockets.asyncio.client import connect
from websockets.extensions.permessage_deflate import ClientPerMessageDeflateFactory


async def pieces(ws, message):
    data = message.encode()
    for i in range(0, len(data), 1000):
        yield data[i : i + 1000]
        await ws.ping()


async def main():
    url, parameters = sys.argv[1:]
    async with connect(
        url,
        proxy=None,
        max_size=64 << 20,
        compression=None,  # which is but another set of parameters
        extensions=[ClientPerMessageDeflateFactory(**json.loads(parameters))],
    ) as ws:
        print("answer", ws.response.headers["Sec-WebSocket-Extensions"], flush=True)
        async for message in ws:
            if isinstance(message, str) and message.startswith("F"):
                await ws.send(pieces(ws, message), text=True)
            else:
                await ws.send(message)


asyncio.run(main())
