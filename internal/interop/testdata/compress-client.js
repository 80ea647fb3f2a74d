// A client made with ws that sends every message back, compressed:
//
//   node compress-client.js URL PARAMETERS
//
// PARAMETERS is a JSON object with those of the offer, by their names in
// RFC 7692. Prints what the server has answered, as "answer EXTENSIONS". A text
// message that begins with F goes back in fragments.
'use strict';

const { WebSocket } = require('ws');

const [url, parameters] = process.argv.slice(2);
const offer = JSON.parse(parameters);

const ws = new WebSocket(url, {
  perMessageDeflate: {
    serverNoContextTakeover: offer.server_no_context_takeover,
    clientNoContextTakeover: offer.client_no_context_takeover,
    serverMaxWindowBits: offer.server_max_window_bits,
    clientMaxWindowBits: offer.client_max_window_bits,
    threshold: 0,
  },
});
ws.on('upgrade', (response) => console.log(`answer ${response.headers['sec-websocket-extensions']}`));
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
