// The server's time, in milliseconds, by the answers to pings.
//
// An answer says what the server's clock showed at some moment between sending
// and receiving, most likely in the middle. The shorter the round trip the
// better, so the shortest counts, even if it is some time ago: while the
// connection is slow there are no good ones. Clocks drift apart, however, and
// the certainty of an answer wears off with its age.

const drift = 1e-4; // milliseconds per millisecond

export class Clock {
  #offset = NaN; // what to add to our time
  #error = Infinity; // how wrong that may have been
  #at = 0; // when

  rtt = NaN; // the last round trip

  // Takes an answer in: sent and received in our time, and theirs.
  add(sent, theirs, received) {
    this.rtt = received - sent;
    const error = this.rtt / 2;
    if (error < this.#error + (received - this.#at) * drift) {
      this.#offset = theirs - (sent + received) / 2;
      this.#error = error;
      this.#at = received;
    }
  }

  get known() {
    return this.#error < Infinity;
  }

  // The server's time now, or at a moment of ours.
  now(ours = performance.now()) {
    return ours + this.#offset;
  }

  // How far off that may be.
  error(ours = performance.now()) {
    return this.#error + (ours - this.#at) * drift;
  }
}
