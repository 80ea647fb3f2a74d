// The connection: it connects again by itself, measures its round trip, and counts
// messages. It can add a delay, to show the page on a slow network.

import * as wire from './wire.js';

const firstDelay = 400; // milliseconds before the second attempt,
const lastDelay = 10_000; // doubled for each further one up to this
const attemptTimeout = 8_000;
const pingEvery = 1_000;
const silence = 6_000; // without any message, after which the connection is given up

export class Socket {
  lag = 0; // milliseconds that are added to each direction
  ping = 0; // milliseconds, of the last round trip
  skipped = 0; // snapshots that the server did not send because we did not keep up

  #url;
  #on;
  #ws = null;
  #attempt = 0;
  #timer = 0; // of the next attempt, or of the next ping
  #deadline = 0; // gives the present connection up
  #incoming = []; // {at, f}: what waits because of the lag
  #outgoing = [];
  #arrivals = []; // [time, bytes, is a snapshot] of the last second

  // on.message(object)         something has arrived
  // on.lost(until, reason)     the connection is gone, the next attempt is at that time
  // on.connecting()            an attempt begins
  constructor(url, on) {
    this.#url = url;
    this.#on = on;
    addEventListener('online', () => this.retry());
  }

  connect() {
    clearTimeout(this.#timer);
    this.#timer = 0;
    this.#on.connecting();
    const ws = new WebSocket(this.#url);
    ws.binaryType = 'arraybuffer';
    this.#ws = ws;
    this.#expect(attemptTimeout);
    // Events of a connection that was given up come late and count no more.
    const current = (f) => (event) => { if (this.#ws === ws) f(event); };
    ws.onmessage = current((event) => {
      this.#expect(silence);
      this.#delayed(this.#incoming, current(() => this.#receive(event.data)));
    });
    ws.onclose = current((event) => this.#lost(event.code, event.reason));
  }

  // Tries at once if we are waiting.
  retry() {
    if (!this.#ws) this.connect();
  }

  // The server has let us in: what was tried before is forgotten.
  accepted() { this.#attempt = 0; }

  send(bytes) {
    const ws = this.#ws;
    this.#delayed(this.#outgoing, () => { if (ws === this.#ws && ws?.readyState === WebSocket.OPEN) ws.send(bytes); });
  }

  // Closes for good, or until connect.
  close() {
    clearTimeout(this.#timer);
    clearTimeout(this.#deadline);
    const ws = this.#ws;
    this.#ws = null;
    ws?.close();
  }

  // Returns the snapshots and bytes per second, without frame headers.
  rates() {
    const since = performance.now() - 1000;
    this.#arrivals = this.#arrivals.filter(([at]) => at > since);
    return {
      snapshots: this.#arrivals.filter(([, , snapshot]) => snapshot).length,
      bytes: this.#arrivals.reduce((sum, [, bytes]) => sum + bytes, 0),
    };
  }

  // Does something after the lag, and never before what came earlier.
  #delayed(line, f) {
    if (!this.lag && !line.length) {
      f();
      return;
    }
    const now = performance.now();
    const at = Math.max(now + this.lag, line.at(-1)?.at ?? 0);
    line.push({ at, f });
    setTimeout(() => line.shift().f(), at - now);
  }

  #receive(data) {
    let message;
    try {
      message = wire.parse(data);
    } catch (error) {
      console.error(`The server sent ${error.message}.`);
      this.#lost(1008, 'the server sent something else than it should have');
      return;
    }
    this.#arrivals.push([performance.now(), data.byteLength, message.type === 'snapshot']);
    if (message.type === 'hello') this.#ping();
    if (message.type === 'pong') {
      // The clock that we sent has wrapped around after 49 days.
      this.ping = (Math.round(performance.now()) - message.time) >>> 0;
      this.skipped = message.skipped;
      return;
    }
    this.#on.message(message);
  }

  #ping() {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#ping(), pingEvery);
    this.send(wire.ping(Math.round(performance.now()) >>> 0));
  }

  // Gives the connection up unless something arrives in time. A network that
  // drops all packets reports no error.
  #expect(ms) {
    clearTimeout(this.#deadline);
    this.#deadline = setTimeout(() => this.#lost(), ms);
  }

  #lost(code, reason) {
    this.close();
    this.skipped = 0;
    // A server that has refused us gets more time.
    if (code === 1008 || code === 1013) this.#attempt = Math.max(this.#attempt, 3);
    const delay = Math.min(lastDelay, firstDelay * 2 ** this.#attempt++);
    // The random part keeps the pages of a server that was restarted from
    // coming back all in the same moment.
    const wait = delay / 2 + Math.random() * (delay / 2);
    this.#timer = setTimeout(() => this.connect(), wait);
    this.#on.lost(Date.now() + wait, reason);
  }
}
