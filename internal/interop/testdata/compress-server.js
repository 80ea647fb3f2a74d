// A server made with ws that sends every message back, compressed:
//
//   node compress-server.js PARAMETERS
//
// PARAMETERS is a JSON object with what the server wants, by the names in
// RFC 7692. Prints its URL. A text message that begins with F goes back in
// fragments.
'use strict';

const { WebSocketServer } = require('ws');

const wanted = JSON.parse(process.argv[2]);

const server = new WebSocketServer({
  host: '127.0.0.1',
  port: 0,
  perMessageDeflate: {
    serverNoContextTakeover: wanted.server_no_context_takeover,
    clientNoContextTakeover: wanted.client_no_context_takeover,
    serverMaxWindowBits: wanted.server_max_window_bits,
    clientMaxWindowBits: wanted.client_max_window_bits,
    threshold: 0,
  },
});

server.on('listening', () => {
  console.log(`listening on ws://127.0.0.1:${server.address().port}/`);
});

server.on('connection', (ws) => {
  ws.on('error', (err) => console.error(err));
  ws.on('message', (data, isBinary) => {
    if (isBinary || data[0] !== 'F'.charCodeAt(0)) {
      ws.send(data, { binary: isBinary });
      return;
    }
    for (let i = 0; i < data.length; i += 1000) {
      ws.send(data.subarray(i, i + 1000), { binary: false, fin: false });
      ws.ping(String(i));
    }
    ws.send(Buffer.alloc(0), { fin: true });
  });
});
