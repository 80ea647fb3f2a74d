// A WebSocket that carries JSON, comes back by itself, and measures its round
// trip.

const firstDelay = 500; // milliseconds before the second attempt,
const lastDelay = 30_000; // doubled for each further one up to this
const attemptTimeout = 10_000; // for the connection to open and welcome us
const firstPing = 400; // a page that has just come to life is busy, and would measure that
const pingEvery = 10_000;
const pongTimeout = 8_000;

// How long to wait before an attempt. The random part keeps the pages of a
// server that was restarted from coming back all in the same moment.
function backoff(attempt) {
  const delay = Math.min(lastDelay, firstDelay * 2 ** attempt);
  return delay / 2 + Math.random() * (delay / 2);
}

export class Socket {
  #url;
  #on;
  #ws = null;
  #attempt = 0;
  #retryTimer = 0;
  #pingTimer = 0;
  #deadline = 0; // timer that gives the present connection up

  // on.open()          there is a connection, say who you are
  // on.message(object) something has arrived
  // on.waiting(until)  the connection is gone, the next attempt is at that time
  // on.connecting()    an attempt begins
  // on.rtt(ms)         a round trip was measured
  constructor(url, on) {
    this.#url = url;
    this.#on = on;
    // The network is back, or somebody looks at the page again: no reason to
    // wait any longer, and a good one to see whether the connection is alive.
    addEventListener('online', () => this.retry());
    document.addEventListener('visibilitychange', () => {
      if (!document.hidden) this.retry();
    });
  }

  connect() {
    clearTimeout(this.#retryTimer);
    this.#retryTimer = 0;
    this.#on.connecting();
    const ws = new WebSocket(this.#url);
    this.#ws = ws;
    this.#expect(attemptTimeout);
    // Events of a connection that was given up come late and count no more.
    const current = (f) => (event) => { if (this.#ws === ws) f(event); };
    ws.onopen = current(() => this.#on.open());
    ws.onmessage = current((event) => this.#receive(JSON.parse(event.data)));
    ws.onclose = current((event) => this.#lost(event.code));
  }

  // The server has let us in: what was tried before is forgotten.
  accepted() {
    this.#attempt = 0;
    clearTimeout(this.#pingTimer);
    this.#pingTimer = setTimeout(() => this.ping(), firstPing);
  }

  // Sends an object, and tells whether there was a connection to send it on.
  // Whether it arrived is another question.
  send(object) {
    if (this.#ws?.readyState !== WebSocket.OPEN) return false;
    this.#ws.send(JSON.stringify(object));
    return true;
  }

  // Tries at once if we are waiting, and looks for life if we are not.
  retry() {
    if (this.#retryTimer) this.connect();
    else if (this.#ws?.readyState === WebSocket.OPEN) this.ping();
  }

  ping() {
    clearTimeout(this.#pingTimer);
    this.#pingTimer = setTimeout(() => this.ping(), pingEvery);
    if (this.send({ type: 'ping', t: performance.now() })) this.#expect(pongTimeout);
  }

  #receive(message) {
    clearTimeout(this.#deadline); // every message is a sign of life
    if (message.type === 'pong') {
      this.#on.rtt(performance.now() - message.t, message.rtt);
      return;
    }
    this.#on.message(message);
  }

  // Gives the connection up unless something good happens in time. A network
  // that drops all packets reports no error.
  #expect(ms) {
    clearTimeout(this.#deadline);
    this.#deadline = setTimeout(() => this.#lost(), ms);
  }

  #lost(code) {
    clearTimeout(this.#deadline);
    clearTimeout(this.#pingTimer);
    const ws = this.#ws;
    this.#ws = null;
    ws?.close();
    // A server that has refused us (1008, 1013) gets more time.
    if (code === 1008 || code === 1013) this.#attempt = Math.max(this.#attempt, 3);
    const delay = backoff(this.#attempt++);
    this.#retryTimer = setTimeout(() => this.connect(), delay);
    this.#on.waiting(Date.now() + delay);
  }
}
