// Counts what arrives, in bins of half a second, and how old it is.

export const binTime = 500; // milliseconds
const kept = 180; // bins

// Latencies are counted in classes that are 6 % wide. That is exact enough, and
// takes the same time however many there are.
const least = 0.05; // milliseconds
const classes = 280; // up to ten minutes
const width = Math.log(1.06);

class Latencies {
  #counts = new Uint32Array(classes);
  #total = 0;

  add(ms) {
    const c = ms > least ? Math.min(classes - 1, Math.floor(Math.log(ms / least) / width)) : 0;
    this.#counts[c]++;
    this.#total++;
  }

  // The latency that a part of all are below, or NaN if there are none.
  quantile(part) {
    let left = Math.ceil(part * this.#total);
    if (left === 0) return NaN;
    let c = 0;
    while ((left -= this.#counts[c]) > 0) c++;
    return least * Math.exp((c + 0.5) * width);
  }

  reset() {
    this.#counts.fill(0);
    this.#total = 0;
  }
}

export class Meter {
  bins = []; // the oldest first: {end, received, skipped, messages, bytes, median, p99, mode}

  #now = { received: 0, skipped: 0, messages: 0, bytes: 0 };
  #latencies = new Latencies();
  #end;

  constructor(time) {
    this.#end = time + binTime;
  }

  message(bytes) {
    this.#now.messages++;
    this.#now.bytes += bytes;
  }

  // An update has arrived; skipped is how many before it never will. An age of
  // NaN is not known.
  update(skipped, age) {
    this.#now.received++;
    this.#now.skipped += skipped;
    if (age === age) this.#latencies.add(age);
  }

  // Ends the bin if its time is over, and returns whether it did. The bin records the
  // mode of the connection, for the charts.
  tick(time, mode) {
    if (time < this.#end) return false;
    const bin = this.#now;
    bin.end = time;
    bin.seconds = (time - this.#end + binTime) / 1000;
    bin.median = this.#latencies.quantile(0.5);
    bin.p99 = this.#latencies.quantile(0.99);
    bin.mode = mode;
    this.bins.push(bin);
    if (this.bins.length > kept) this.bins.shift();
    this.#now = { received: 0, skipped: 0, messages: 0, bytes: 0 };
    this.#latencies.reset();
    this.#end = time + binTime;
    return true;
  }

  // Returns a counter's gain per second, over the last two bins.
  rate(counter) {
    let sum = 0;
    let seconds = 0;
    for (const bin of this.bins.slice(-2)) {
      sum += bin[counter];
      seconds += bin.seconds;
    }
    return seconds ? sum / seconds : 0;
  }
}
