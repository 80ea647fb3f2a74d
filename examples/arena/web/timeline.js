// The other koi: the last snapshots, and the moment between two of them that the page
// shows.
//
// Snapshots arrive unevenly. The page shows the world as it was a little while
// ago, so that it always has a snapshot from before and one from after that
// moment, and nothing jerks.

import { turnBetween } from './motion.js';

const leastDelay = 100; // milliseconds that the page is behind
const mostDelay = 500;
const most = 60; // snapshots
const window = 3000; // milliseconds of arrivals that the clock is set by
const ahead = 100; // milliseconds that a koi is moved on beyond the last snapshot
const jump = 300; // a koi that is this far away at once has not swum there

export class Timeline {
  delay = leastDelay;
  interpolate = true;

  #rate;
  #snapshots = []; // the oldest first
  #arrivals = []; // [time, lead] of the last snapshots; see add
  #offset = null; // from our clock to the server's, as far as the fastest snapshot tells

  constructor(rate) {
    this.#rate = rate;
  }

  get latest() { return this.#snapshots.at(-1); }

  add(snapshot, now) {
    const time = (snapshot.tick / this.#rate) * 1000;
    if (this.latest && snapshot.tick <= this.latest.tick) throw new Error('a snapshot from the past');
    this.#snapshots.push({ ...snapshot, time });
    if (this.#snapshots.length > most) this.#snapshots.shift(); // nobody looks: the page is in the background

    // lead is how much the server's clock is ahead of ours, less the time that
    // this snapshot was under way. The one that was fastest tells the most.
    this.#arrivals.push([now, time - now]);
    while (this.#arrivals[0][0] < now - window) this.#arrivals.shift();
    const leads = this.#arrivals.map(([, lead]) => lead).sort((a, b) => b - a);
    const best = leads[0];
    // Almost all snapshots have to be here before they are shown.
    const late = best - leads[Math.floor(leads.length * 0.95)];
    const wanted = Math.min(mostDelay, Math.max(leastDelay, late + 1500 / this.#rate));
    // Small steps are not seen.
    if (this.#offset === null || Math.abs(best - this.#offset) > 500) this.#offset = best;
    else this.#offset += (best - this.#offset) * 0.05;
    this.delay += (wanted - this.delay) * 0.05;
  }

  // The world as it is to be shown now: Map of id to koi, and the crumbs.
  at(now) {
    const newest = this.latest;
    if (!newest) return { koi: new Map(), crumbs: [] };
    if (!this.interpolate) {
      this.#snapshots.length = 0;
      this.#snapshots.push(newest);
      return newest;
    }
    const time = now + this.#offset - this.delay;
    while (this.#snapshots.length > 2 && this.#snapshots[1].time <= time) this.#snapshots.shift();
    const [a, b = a] = this.#snapshots;
    const koi = new Map();
    if (time >= b.time) {
      const seconds = Math.min(ahead, time - b.time) / 1000;
      for (const k of b.koi.values()) koi.set(k.id, { ...k, x: k.x + k.vx * seconds, y: k.y + k.vy * seconds });
      return { koi, crumbs: b.crumbs };
    }
    const part = a === b ? 0 : Math.max(0, (time - a.time) / (b.time - a.time));
    for (const from of a.koi.values()) {
      const to = b.koi.get(from.id);
      koi.set(from.id, to ? between(from, to, part) : from);
    }
    return { koi, crumbs: a.crumbs };
  }
}

// A koi between two states.
function between(a, b, part) {
  const dx = b.x - a.x;
  const dy = b.y - a.y;
  if (dx * dx + dy * dy > jump * jump) return b;
  return {
    ...a,
    x: a.x + dx * part,
    y: a.y + dy * part,
    heading: a.heading + turnBetween(a.heading, b.heading) * part,
  };
}
