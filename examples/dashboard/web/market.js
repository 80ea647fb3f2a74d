// The instruments, as far as the server has told.

const detail = 1024; // so many of the last trades are kept of each

export class Instrument {
  price = 0;
  high = 0;
  low = 0;
  volume = 0;
  seq = -1; // number of the last trade that we know, -1 before the first
  time = 0; // and when it was, by the server's clock
  changed = -Infinity; // when the price last changed, by our clock
  direction = 0; // how: -1 or 1
  perSecond = 0; // trades per second, those that we have not seen included

  #counted = -1; // seq when perSecond was measured
  #text = '';
  #change = '';
  #textOf = -1; // the price that the two are of

  constructor(id, listing, sectors, every, until) {
    Object.assign(this, { id, symbol: listing.symbol, name: listing.name, decimals: listing.decimals });
    this.sector = sectors[listing.sector];
    this.reference = listing.reference;
    this.haystack = `${this.symbol}\n${this.name}`.toLowerCase();
    this.unit = 10 ** -this.decimals;
    this.price = listing.prices.at(-1) ?? listing.reference;
    this.high = this.low = this.price;
    this.every = every;
    this.until = until; // time of the last price of the past
    this.past = listing.prices; // the oldest first
    this.times = new Float64Array(detail);
    this.prices = new Uint32Array(detail);
    this.trades = 0; // how many have gone into these two rings
  }

  // Takes a trade in, and returns how many before it are missing: -1 if it is
  // none that is new.
  trade(seq, time, price, high, low, volume, now) {
    const ahead = this.seq < 0 ? 1 : (seq - this.seq) | 0; // seq wraps around
    if (ahead <= 0) return -1;
    if (price !== this.price) {
      this.changed = now;
      this.direction = price > this.price ? 1 : -1;
    }
    this.seq = seq;
    this.time = time;
    this.price = price;
    this.high = high;
    this.low = low;
    this.volume = volume;
    const at = this.trades++ % detail;
    this.times[at] = time;
    this.prices[at] = price;
    return ahead - 1;
  }

  // Calls f(time, price, trade) for what is known since then, the oldest first:
  // the past, and each single trade, as far back as there are any.
  each(since, f) {
    const first = Math.max(0, this.trades - detail);
    const detailed = this.trades ? this.times[first % detail] : Infinity;
    const start = this.until - (this.past.length - 1) * this.every;
    for (let i = Math.max(0, Math.floor((since - start) / this.every)); i < this.past.length; i++) {
      const time = start + i * this.every;
      if (time >= detailed) break;
      f(time, this.past[i], false);
    }
    for (let i = first; i < this.trades; i++) {
      if (this.times[i % detail] >= since) f(this.times[i % detail], this.prices[i % detail], true);
    }
  }

  // Goes on with the past, whose prices are equally far apart, up to the time of
  // the newest trade that the page knows. It tells whether there is a new one.
  remember(frontier) {
    let more = false;
    for (let i = 0; this.until + this.every <= frontier && i < this.past.length; i++) {
      this.past.shift();
      this.past.push(this.price);
      this.until += this.every;
      more = true;
    }
    if (more && this.until + this.every <= frontier) this.until = frontier;
    return more;
  }

  // Measures how busy it is, if called once in a second.
  count() {
    if (this.#counted >= 0) {
      const n = (this.seq - this.#counted) | 0;
      this.perSecond = this.perSecond ? this.perSecond + 0.3 * (n - this.perSecond) : n;
    }
    this.#counted = this.seq;
  }

  get change() {
    return this.price / this.reference - 1;
  }

  get text() {
    this.#write();
    return this.#text;
  }

  get changeText() {
    this.#write();
    return this.#change;
  }

  #write() {
    if (this.#textOf === this.price) return;
    this.#textOf = this.price;
    this.#text = this.format(this.price);
    this.#change = percent(this.change);
  }

  format(price) {
    return (price * this.unit).toFixed(this.decimals);
  }
}

export function percent(x) {
  const text = (100 * Math.abs(x)).toFixed(2);
  return `${text === '0.00' ? '' : x < 0 ? '−' : '+'}${text} %`;
}

export class Market {
  frontier = 0; // time of the newest trade that we know of
  instruments = [];
  sectors = [];

  constructor(hello) {
    if (!hello) return;
    this.sectors = hello.sectors;
    this.instruments = hello.instruments.map((l, i) => new Instrument(i, l, hello.sectors, hello.every, hello.until));
  }

  trade(id, seq, time, price, high, low, volume, now) {
    if (time > this.frontier) this.frontier = time;
    return this.instruments[id].trade(seq, time, price, high, low, volume, now);
  }
}

// Orders to sort by. All are the same every time for the same numbers.
const bySymbol = (a, b) => (a.symbol < b.symbol ? -1 : a.symbol > b.symbol ? 1 : 0);
export const orders = {
  symbol: bySymbol,
  sector: (a, b) => (a.sector < b.sector ? -1 : a.sector > b.sector ? 1 : bySymbol(a, b)),
  gainers: (a, b) => b.change - a.change || bySymbol(a, b),
  losers: (a, b) => a.change - b.change || bySymbol(a, b),
  busy: (a, b) => b.perSecond - a.perSecond || bySymbol(a, b),
};

// The instruments that a text finds, or all, of one sector, or all.
export function find(instruments, text, sector) {
  const words = text.toLowerCase().split(/\s+/).filter(Boolean);
  return instruments.filter((i) => (!sector || i.sector === sector) && words.every((w) => i.haystack.includes(w)));
}
