"""How connections end, seen by a client made with websockets:

    python endings.py CERTIFICATE

For the questions on standard input and the answers see endings.js.
"""

import asyncio
import json
import ssl
import sys

from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

tls = ssl.create_default_context(cafile=sys.argv[1])


async def close(ws, code=None, reason=""):
    if code is None:
        async with ws.send_context():
            ws.protocol.send_close()  # close has a code in any case
    else:
        await ws.close(code, reason)


async def ending(url, action):
    ws = await connect(
        url, proxy=None, open_timeout=None, ssl=tls if url.startswith("wss:") else None
    )
    try:
        await ws.send("hello")
        await ws.recv()
        for _ in range(action.get("behind", 0)):
            await ws.send("behind")
        if "close" in action:
            await close(ws, *action["close"])
        if "send" in action:
            await ws.send(action["send"])
        if "invalid" in action:
            await ws.send(b"\xff", text=True)
        if "large" in action:
            await ws.send(bytes(action["large"]))
        while True:
            await ws.recv()
    except ConnectionClosed as end:
        return {
            "code": ws.close_code,
            "reason": ws.close_reason,
            "clean": end.rcvd is not None and end.sent is not None,
        }


async def endings(id, url, action, count):
    ends = await asyncio.gather(*(ending(url, action) for _ in range(count)))
    print(json.dumps({"id": id, "ends": ends}), flush=True)


async def main():
    loop = asyncio.get_running_loop()
    async with asyncio.TaskGroup() as group:
        while line := await loop.run_in_executor(None, sys.stdin.readline):
            group.create_task(endings(**json.loads(line)))


asyncio.run(main())
