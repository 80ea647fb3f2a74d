// A server made with ws, for our client. Prints its URL, and how each
// connection ended, as "closed {JSON}".
//
//   /echo                  every message back
//   /fragments             a text and an empty binary message, in fragments
//   /ping?payload=P        pings with P and sends what the pong carries
//   /close?code=C&reason=R closes
//   /subprotocol           sends the name of the subprotocol
'use strict';

const { WebSocketServer } = require('ws');

const server = new WebSocketServer({
  host: '127.0.0.1',
  port: 0,
  handleProtocols: (offered) => (offered.has('soup') ? 'soup' : false),
});

server.on('listening', () => {
  console.log(`listening on ws://127.0.0.1:${server.address().port}/`);
});

server.on('connection', (ws, request) => {
  const url = new URL(request.url, 'ws://localhost');
  ws.on('close', (code, reason) => {
    console.log(`closed ${JSON.stringify({ path: url.pathname, code, reason: reason.toString() })}`);
  });
  ws.on('error', (err) => console.error(err));
  switch (url.pathname) {
    case '/echo':
      ws.on('message', (data, isBinary) => ws.send(data, { binary: isBinary }));
      break;
    case '/fragments': {
      const whole = Buffer.from('Grüße, 世界 🙂');
      for (let i = 0; i < whole.length; i++) { // cuts inside of characters
        ws.send(whole.subarray(i, i + 1), { binary: false, fin: false });
        ws.ping(String(i));
      }
      ws.send(Buffer.alloc(0), { fin: true });
      ws.send(Buffer.alloc(0), { fin: false });
      ws.send(Buffer.alloc(0), { fin: true });
      break;
    }
    case '/ping':
      ws.on('pong', (payload) => ws.send(payload.toString()));
      ws.ping(url.searchParams.get('payload'));
      break;
    case '/close':
      ws.close(Number(url.searchParams.get('code')), url.searchParams.get('reason'));
      break;
    case '/subprotocol':
      ws.send(ws.protocol);
      break;
  }
});
