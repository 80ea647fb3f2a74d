// How connections end, seen by a client: by node's ws if this is run as
//
//   node endings.js
//
// and by a browser if a page loads it. It is asked, line by line on standard
// input or by calling endings, with JSON of {id, url, action, count}, and answers
// with {id, ends}, one end {code, reason, clean} for each of count connections.
'use strict';

// ending opens a connection, has one message sent back, and acts:
//
//   {close: [code, reason]}   closes; [] closes without a code
//   {behind: n}               with close: sends n messages right before, unasked
//   {send: text}              sends it
//   {invalid: true}           sends a text that is not UTF-8 (not in a browser)
//   {large: n}                sends a message of n bytes
async function ending(WebSocket, url, action) {
  await mayOpen();
  return new Promise((resolve) => {
    const ws = new WebSocket(url);
    let isOpen = false;
    ws.onopen = () => {
      isOpen = true;
      opened();
      ws.send('hello');
    };
    ws.onmessage = () => {
      ws.onmessage = null;
      for (let i = 0; i < (action.behind ?? 0); i++) ws.send('behind');
      if (action.close) ws.close(...action.close);
      if (action.send) ws.send(action.send);
      if (action.invalid) ws.send(Buffer.from([0xff]), { binary: false });
      if (action.large) ws.send(new Uint8Array(action.large));
    };
    ws.onerror = () => {}; // the code tells
    ws.onclose = (event) => {
      if (!isOpen) opened();
      resolve({ code: event.code, reason: event.reason, clean: event.wasClean });
    };
  });
}

// Chromium makes a page wait for seconds that opens 16 connections at a time.
let free = 8;
const waiting = [];

async function mayOpen() {
  if (free > 0) free--; else await new Promise((resolve) => waiting.push(resolve));
}

function opened() {
  if (waiting.length > 0) waiting.shift()(); else free++;
}

async function endings(WebSocket, { id, url, action, count }) {
  const ends = await Promise.all(Array.from({ length: count }, () => ending(WebSocket, url, action)));
  return { id, ends };
}

if (typeof require === 'function') {
  const { WebSocket } = require('ws');
  require('node:readline').createInterface({ input: process.stdin })
    .on('line', async (line) => console.log(JSON.stringify(await endings(WebSocket, JSON.parse(line)))))
    .on('close', () => process.exit(0));
}
