// Checks of a client made with ws, against two of our servers:
//
//   node client.js ECHO_URL SCRIPTED_URL
//
// Prints "ok NAME" or "FAIL NAME: REASON" for each. With a single URL it only
// connects, prints "open", and then "closed CODE REASON".
'use strict';

const assert = require('node:assert/strict');
const { on, once } = require('node:events');
const { WebSocket } = require('ws');

const [echoURL, scriptedURL] = process.argv.slice(2);

// connect resolves to an open connection with two more methods: next is the
// next message, ended the code and the reason that the connection ends with.
async function connect(url, protocols) {
  const ws = new WebSocket(url, protocols);
  const messages = on(ws, 'message');
  const close = new Promise((resolve) => {
    ws.on('close', (code, reason) => resolve({ code, reason: reason.toString() }));
  });
  ws.on('error', () => {}); // the code tells
  ws.next = async () => {
    const [data, isBinary] = (await messages.next()).value;
    return { data, isBinary };
  };
  ws.ended = () => close;
  await once(ws, 'open');
  return ws;
}

async function echoed(ws, data, isBinary) {
  const got = await ws.next();
  assert.equal(got.isBinary, isBinary, 'type of the echo');
  assert.ok(Buffer.from(data).equals(got.data), `echo of ${got.data.length} bytes differs`);
}

async function closed(ws, code, reason) {
  ws.close(code, reason);
  assert.equal((await ws.ended()).code, code);
}

const text = 'Grüße, 世界 🙂';
const bytes = Buffer.from([0, 255, 128, 0, 13, 10]);

const checks = {
  async text() {
    const ws = await connect(echoURL);
    ws.send(text);
    await echoed(ws, text, false);
    await closed(ws, 1000, '');
  },
  async binary() {
    const ws = await connect(echoURL);
    ws.send(bytes);
    await echoed(ws, bytes, true);
    await closed(ws, 1000, '');
  },
  async empty() {
    const ws = await connect(echoURL);
    ws.send('');
    ws.send(Buffer.alloc(0));
    await echoed(ws, '', false);
    await echoed(ws, '', true);
    await closed(ws, 1000, '');
  },
  async fragments() {
    const ws = await connect(echoURL);
    const whole = Buffer.from(text);
    for (let i = 0; i < whole.length; i++) { // cuts inside of characters
      ws.send(whole.subarray(i, i + 1), { binary: false, fin: false });
      ws.ping(String(i)); // control frames may come in between
    }
    ws.send(Buffer.alloc(0), { fin: true });
    await echoed(ws, text, false);
    ws.send(bytes, { fin: false });
    ws.send(bytes, { fin: true });
    await echoed(ws, Buffer.concat([bytes, bytes]), true);
    await closed(ws, 1000, '');
  },
  async '16 MiB'() {
    const ws = await connect(echoURL);
    const large = Buffer.alloc(16 << 20, '0123456789abcdef');
    ws.send(large);
    await echoed(ws, large, true);
    ws.send(large.toString());
    await echoed(ws, large, false);
    await closed(ws, 1000, '');
  },
  async ping() {
    const ws = await connect(echoURL);
    for (const payload of [Buffer.alloc(0), Buffer.from('hi'), Buffer.alloc(125, 'x')]) {
      const pong = once(ws, 'pong');
      ws.ping(payload);
      assert.deepEqual((await pong)[0], payload);
    }
    await closed(ws, 1000, '');
  },
  async close() {
    for (const code of [1000, 1001, 1008, 1011, 3000, 4999]) {
      await closed(await connect(echoURL), code, 'r'.repeat(123));
    }
    const ws = await connect(echoURL);
    ws.close(); // without a code
    assert.equal((await ws.ended()).code, 1005);
  },
  async 'too big'() {
    const ws = await connect(echoURL);
    ws.send(Buffer.alloc((32 << 20) + 1));
    assert.equal((await ws.ended()).code, 1009);
  },
  async 'server fragments'() {
    const ws = await connect(scriptedURL + 'fragments');
    await echoed(ws, text.repeat(5000), false);
    await echoed(ws, '', true);
    assert.equal((await ws.ended()).code, 1000);
  },
  async 'server ping'() {
    const ws = await connect(scriptedURL + 'ping');
    await echoed(ws, 'pong', false);
    assert.equal((await ws.ended()).code, 1000);
  },
  async 'server close'() {
    for (const [code, reason] of [[1000, ''], [1013, 'spätér 🙂'], [4321, 'r'.repeat(123)]]) {
      const ws = await connect(scriptedURL + `close?code=${code}&reason=${encodeURIComponent(reason)}`);
      assert.deepEqual(await ws.ended(), { code, reason });
    }
  },
  async 'close reason'() {
    await closed(await connect(scriptedURL + 'report'), 4002, 'Tschüß 🙂');
  },
  async subprotocol() {
    const ws = await connect(scriptedURL + 'subprotocol', ['stew', 'soup', 'salad']);
    assert.equal(ws.protocol, 'soup');
    await echoed(ws, 'soup', false);
    assert.equal((await ws.ended()).code, 1000);
    assert.equal((await connect(scriptedURL + 'report')).protocol, '');
  },
};

async function main() {
  if (scriptedURL === undefined) {
    const ws = await connect(echoURL);
    console.log('open');
    const { code, reason } = await ws.ended();
    console.log(`closed ${code} ${reason}`);
    return;
  }
  for (const [name, check] of Object.entries(checks)) {
    let timer;
    const timeout = new Promise((_, reject) => {
      timer = setTimeout(() => reject(new Error('timeout')), 30000);
    });
    try {
      await Promise.race([check(), timeout]);
      console.log(`ok ${name}`);
    } catch (err) {
      console.log(`FAIL ${name}: ${String(err.message).replaceAll('\n', ' ')}`);
    }
    clearTimeout(timer);
  }
}

main().then(() => process.exit(0), (err) => {
  console.error(err);
  process.exit(1);
});
