// A WebSocket that carries binary messages, comes back by itself, and notices
// when nothing is at the other end any more.

const firstDelay = 500; // milliseconds before the second attempt,
const lastDelay = 15_000; // doubled for each further one up to this
const attemptTimeout = 20_000; // for the connection to open and say hello
const silence = 10_000; // after which a connection counts as dead

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
  #deadline = 0; // when the present connection is given up, in performance.now()

  // on.connecting()     an attempt begins
  // on.message(buffer)  something has arrived; an exception ends the connection
  // on.waiting(until)   the connection is gone, the next attempt is at that time
  constructor(url, on) {
    this.#url = url;
    this.#on = on;
    // The network is back, or somebody looks at the page again: no reason to
    // wait any longer.
    addEventListener('online', () => this.retry());
    document.addEventListener('visibilitychange', () => {
      if (!document.hidden) this.retry();
    });
    setInterval(() => this.#checkSilence(), 1000);
  }

  connect() {
    clearTimeout(this.#retryTimer);
    this.#retryTimer = 0;
    this.#on.connecting();
    const ws = new WebSocket(this.#url);
    ws.binaryType = 'arraybuffer';
    this.#ws = ws;
    this.#deadline = performance.now() + attemptTimeout;
    // Events of a connection that was given up come late and count no more.
    ws.onmessage = (event) => {
      if (this.#ws !== ws) return;
      try {
        this.#on.message(event.data);
      } catch (error) {
        console.error('malformed message of the server:', error);
        this.#attempt = Math.max(this.#attempt, 4);
        this.#lost();
      }
    };
    ws.onclose = () => {
      if (this.#ws === ws) this.#lost();
    };
  }

  // The server has let us in: what was tried before is forgotten.
  accepted() {
    this.#attempt = 0;
    this.alive();
  }

  // There was a sign of life. Not every message is told, since most are trades.
  alive() {
    this.#deadline = performance.now() + silence;
  }

  // Sends a message if there is a connection.
  send(buffer) {
    if (this.#ws?.readyState === WebSocket.OPEN) this.#ws.send(buffer);
  }

  retry() {
    if (this.#retryTimer) this.connect();
  }

  // A network that drops all packets reports no error. In a hidden page timers are
  // rare, and so are signs of life.
  #checkSilence() {
    if (document.hidden) {
      this.#deadline = Math.max(this.#deadline, performance.now() + silence);
    } else if (this.#ws && performance.now() > this.#deadline) {
      this.#lost();
    }
  }

  #lost() {
    const ws = this.#ws;
    this.#ws = null;
    ws?.close();
    const delay = backoff(this.#attempt++);
    this.#retryTimer = setTimeout(() => this.connect(), delay);
    this.#on.waiting(Date.now() + delay);
  }
}
