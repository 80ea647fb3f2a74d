// Prediction of our own koi. If the page waited for the server, the koi would react a
// round trip later. So the page moves it at once, by the same rules, and keeps the
// inputs that it has sent. A snapshot says where the koi was after some of these. The
// page repeats the others from there. Mostly the result is the same as before. If not,
// because another koi was in the way, the shown position moves smoothly to the right
// one.

import { turnBetween } from './motion.js';

const mostWaiting = 100; // inputs; sequence numbers would become ambiguous
const correctionRate = 9; // per second: how fast the error that is shown gets smaller
const teleport = 250; // an error that is not worth gliding over

export class Prediction {
  enabled = true;
  correction = 0; // the error of the last predictions, on average

  #motion;
  #send;
  #id;
  #seq = 0;
  #waiting = []; // {seq, steering} that no snapshot has answered
  #now = null; // the body after all of them,
  #before = null; // and one tick earlier
  #due = 0; // ticks that are due, and the part of the next one that has gone by
  #error = { x: 0, y: 0 }; // what is shown minus what is true

  // send(seq, steering) tells the server.
  constructor(motion, id, send) {
    this.#motion = motion;
    this.#id = id;
    this.#send = send;
  }

  // Takes what a snapshot says of our koi.
  reconcile(snapshot) {
    const truth = snapshot.koi.get(this.#id);
    if (!truth) return;
    const unanswered = (this.#seq - truth.ack) & 255;
    this.#waiting.splice(0, Math.max(0, this.#waiting.length - unanswered));

    const was = this.#now;
    // The shown position lies between the last two ticks. If the server has had all
    // inputs, its snapshot does not have the tick before the last one, but that was
    // near the predicted one.
    this.#before = was ? moved(truth, was, this.#before) : truth;
    this.#now = truth;
    for (const { steering } of this.#waiting) {
      this.#before = this.#now;
      this.#now = this.#motion.advance(this.#now, steering);
    }
    if (!was) return;
    const off = { x: was.x - this.#now.x, y: was.y - this.#now.y };
    this.correction += (Math.hypot(off.x, off.y) - this.correction) * 0.05;
    this.#error.x += off.x;
    this.#error.y += off.y;
    if (Math.hypot(this.#error.x, this.#error.y) > teleport) this.#error = { x: 0, y: 0 };
  }

  // Moves on by some seconds of the page's time.
  advance(seconds, steering) {
    if (!this.#now) return;
    // A page that was in the background has missed something, and does not make
    // up for all of it.
    this.#due = Math.min(this.#due + seconds * this.#motion.rate, 4);
    for (; this.#due >= 1; this.#due--) {
      if (this.#waiting.length >= mostWaiting) continue;
      const now = { ...steering() };
      this.#seq = (this.#seq + 1) & 255;
      this.#waiting.push({ seq: this.#seq, steering: now });
      this.#send(this.#seq, now);
      this.#before = this.#now;
      this.#now = this.#motion.advance(this.#now, now);
    }
    const heal = Math.exp(-correctionRate * seconds);
    this.#error.x *= heal;
    this.#error.y *= heal;
  }

  // Our koi as it is to be shown, or null.
  get koi() {
    if (!this.#now || !this.enabled) return null;
    const a = this.#before;
    const b = this.#now;
    const turn = turnBetween(a.heading, b.heading);
    return {
      ...b,
      x: a.x + (b.x - a.x) * this.#due + this.#error.x,
      y: a.y + (b.y - a.y) * this.#due + this.#error.y,
      heading: a.heading + turn * this.#due,
    };
  }
}

// Where body was, if it has moved as another one has from before to now.
function moved(body, now, before) {
  return {
    ...body,
    x: body.x + before.x - now.x,
    y: body.y + before.y - now.y,
    heading: body.heading + turnBetween(now.heading, before.heading),
  };
}
