"""A server made with websockets, for our client. Prints its URL, and how each
connection ended, as "closed {JSON}".

    /echo                  every message back
    /fragments             a text and an empty binary message, in fragments
    /ping?payload=P        pings with P and tells when the pong has come
    /close?code=C&reason=R closes
    /subprotocol           sends the name of the subprotocol
"""

import asyncio
import json
import signal
import urllib.parse

from websockets.asyncio.server import serve


async def handle(ws):
    url = urllib.parse.urlsplit(ws.request.path)
    query = dict(urllib.parse.parse_qsl(url.query, keep_blank_values=True))
    try:
        await answer(ws, url.path, query)
        await ws.wait_closed()
    finally:
        end = {"path": url.path, "code": ws.close_code, "reason": ws.close_reason}
        print("closed", json.dumps(end), flush=True)


async def answer(ws, path, query):
    match path:
        case "/echo":
            async for message in ws:
                await ws.send(message)
        case "/fragments":

            async def pieces():
                for byte in "Grüße, 世界 🙂".encode():  # cuts inside of characters
                    yield bytes([byte])
                    await ws.ping()
                yield b""

            await ws.send(pieces(), text=True)
            await ws.send([b"", b""])
        case "/ping":
            payload = query["payload"]
            await (await ws.ping(payload))  # done when a pong carries payload
            await ws.send(payload)
        case "/close":
            await ws.close(int(query["code"]), query["reason"])
        case "/subprotocol":
            await ws.send(ws.subprotocol)


def select_subprotocol(ws, offered):
    return "soup" if "soup" in offered else None


async def main():
    async with serve(
        handle,
        "127.0.0.1",
        0,
        select_subprotocol=select_subprotocol,
        max_size=64 << 20,
    ) as server:
        port = server.sockets[0].getsockname()[1]
        print(f"listening on ws://127.0.0.1:{port}/", flush=True)
        stop = asyncio.Event()
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
        await stop.wait()


asyncio.run(main())
