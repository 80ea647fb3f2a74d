"""Checks of a client made with websockets, against two of our servers:

    python client.py ECHO_URL SCRIPTED_URL

Prints "ok NAME" or "FAIL NAME: REASON" for each. With a single URL it only
connects, prints "open", and then "closed CODE REASON".
"""

import asyncio
import sys
import urllib.parse

from websockets.asyncio.client import connect as dial
from websockets.exceptions import ConnectionClosed

TEXT = "Grüße, 世界 🙂"
BYTES = bytes([0, 255, 128, 0, 13, 10])

echo_url = sys.argv[1]
scripted_url = sys.argv[2] if len(sys.argv) > 2 else None
checks = {}


def check(name):
    def register(function):
        checks[name] = function
        return function

    return register


def connect(url, **kwargs):
    return dial(url, proxy=None, max_size=64 << 20, **kwargs)


async def ended(ws):
    """Waits for the end, and returns the code and the reason."""
    try:
        while True:
            await ws.recv()
    except ConnectionClosed:
        return ws.close_code, ws.close_reason


async def echoed(ws, want):
    got = await ws.recv()
    assert type(got) is type(want), f"type of the echo is {type(got)}"
    assert got == want, f"echo of {len(got)} characters differs"


async def closed(ws, code, reason=""):
    await ws.close(code, reason)
    assert ws.close_code == code, f"closed with {ws.close_code}, want {code}"


@check("text")
async def _():
    async with connect(echo_url) as ws:
        await ws.send(TEXT)
        await echoed(ws, TEXT)


@check("binary")
async def _():
    async with connect(echo_url) as ws:
        await ws.send(BYTES)
        await echoed(ws, BYTES)


@check("empty")
async def _():
    async with connect(echo_url) as ws:
        await ws.send("")
        await ws.send(b"")
        await echoed(ws, "")
        await echoed(ws, b"")


@check("fragments")
async def _():
    async with connect(echo_url) as ws:

        async def pieces():
            for byte in TEXT.encode():  # cuts inside of characters
                yield bytes([byte])
                await ws.ping()  # control frames may come in between
            yield b""

        await ws.send(pieces(), text=True)
        await echoed(ws, TEXT)
        await ws.send([BYTES, b"", BYTES])
        await echoed(ws, BYTES + BYTES)


@check("16 MiB")
async def _():
    async with connect(echo_url) as ws:
        large = b"0123456789abcdef" * (1 << 20)
        await ws.send(large)
        await echoed(ws, large)
        await ws.send(large.decode())
        await echoed(ws, large.decode())


@check("ping")
async def _():
    async with connect(echo_url) as ws:
        for payload in [b"", b"hi", b"x" * 125]:
            await (await ws.ping(payload))


@check("close")
async def _():
    for code in [1000, 1001, 1008, 1011, 3000, 4999]:
        await closed(await connect(echo_url), code, "r" * 123)


@check("too big")
async def _():
    ws = await connect(echo_url, compression=None)
    try:
        await ws.send(bytes((32 << 20) + 1))
    except ConnectionClosed:
        pass  # the server may stop taking the message
    code, _ = await ended(ws)
    assert code == 1009, f"closed with {code}"


@check("server fragments")
async def _():
    ws = await connect(scripted_url + "fragments")
    await echoed(ws, TEXT * 5000)
    await echoed(ws, b"")
    assert (await ended(ws))[0] == 1000


@check("server ping")
async def _():
    ws = await connect(scripted_url + "ping")
    await echoed(ws, "pong")
    assert (await ended(ws))[0] == 1000


@check("server close")
async def _():
    for code, reason in [(1000, ""), (1013, "spätér 🙂"), (4321, "r" * 123)]:
        query = urllib.parse.urlencode({"code": code, "reason": reason})
        ws = await connect(scripted_url + "close?" + query)
        got = await ended(ws)
        assert got == (code, reason), f"closed with {got}, want {code} {reason}"


@check("close reason")
async def _():
    await closed(await connect(scripted_url + "report"), 4002, "Tschüß 🙂")


@check("subprotocol")
async def _():
    ws = await connect(scripted_url + "subprotocol", subprotocols=["stew", "soup", "salad"])
    assert ws.subprotocol == "soup", f"subprotocol {ws.subprotocol}"
    await echoed(ws, "soup")
    assert (await ended(ws))[0] == 1000
    async with connect(scripted_url + "report") as ws:
        assert ws.subprotocol is None, f"subprotocol {ws.subprotocol}"


async def main():
    if scripted_url is None:
        ws = await connect(echo_url)
        print("open", flush=True)
        code, reason = await ended(ws)
        print("closed", code, reason)
        return
    for name, function in checks.items():
        try:
            async with asyncio.timeout(30):
                await function()
        except Exception as error:
            reason = f"{type(error).__name__} {error}".replace("\n", " ")
            print(f"FAIL {name}: {reason}", flush=True)
        else:
            print(f"ok {name}", flush=True)


asyncio.run(main())
