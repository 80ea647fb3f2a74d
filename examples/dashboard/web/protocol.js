// The wire format, which is described in protocol.go. A message that is not
// exactly as it should be is refused with an error.

export const keepLatest = 0;
export const queueAll = 1;

const version = 1;
const tradeSize = 31;
const reportSize = 54;

const utf8 = new TextDecoder('utf-8', { fatal: true });

// Parses a message of the server's, which is an ArrayBuffer, and calls
// on.hello(object), on.trade(…) or on.report(object). A trade must be of one of
// count instruments.
export function receive(buffer, count, on) {
  if (!(buffer instanceof ArrayBuffer)) throw new Error('a text message');
  if (buffer.byteLength === 0) throw new Error('an empty message');
  const view = new DataView(buffer);
  switch (view.getUint8(0)) {
    case 1: return on.hello(hello(view));
    case 2: return trade(view, count, on);
    case 3: return on.report(report(view));
  }
  throw new Error(`a message of unknown kind ${view.getUint8(0)}`);
}

// There are thousands of these in a second, so there is no object for each.
function trade(view, count, on) {
  exactly('trade', view, tradeSize);
  const id = view.getUint16(1);
  const seq = view.getUint32(3);
  const time = view.getFloat64(7);
  const price = view.getUint32(15);
  const high = view.getUint32(19);
  const low = view.getUint32(23);
  const volume = view.getUint32(27);
  if (id >= count) throw new Error(`trade: instrument ${id} of ${count}`);
  if (!Number.isFinite(time)) throw new Error('trade: the time is no number');
  if (low === 0 || price < low || price > high) throw new Error(`trade: price ${price} is not from ${low} to ${high}`);
  on.trade(id, seq, time, price, high, low, volume);
}

function report(view) {
  exactly('report', view, reportSize);
  const r = {
    t: finite('report', view.getFloat64(1)),
    now: finite('report', view.getFloat64(9)),
    policy: view.getUint8(17),
    rate: view.getUint32(18),
    sent: view.getFloat64(22),
    conflated: view.getFloat64(30),
    dropped: view.getFloat64(38),
    pending: view.getUint32(46),
    buffered: view.getUint32(50),
  };
  if (r.policy > queueAll) throw new Error(`report: unknown policy ${r.policy}`);
  for (const n of [r.sent, r.conflated, r.dropped]) {
    if (!Number.isSafeInteger(n) || n < 0) throw new Error(`report: ${n} is no count`);
  }
  return r;
}

function exactly(what, view, size) {
  if (view.byteLength !== size) throw new Error(`${what}: ${view.byteLength} bytes, not ${size}`);
}

function finite(what, n) {
  if (!Number.isFinite(n)) throw new Error(`${what}: a time is no number`);
  return n;
}

function hello(view) {
  const r = new Reader(view);
  r.u8(); // the kind
  const v = r.u8();
  if (v !== version) throw new Error(`hello: version ${v} of the protocol, not ${version}`);
  const h = { now: finite('hello', r.f64()), rate: r.u16() };
  h.sectors = Array.from({ length: r.u8() }, () => r.string());
  h.every = r.u16();
  h.until = finite('hello', r.f64());
  if (h.rate === 0 || h.every === 0) throw new Error('hello: nothing ever happens');
  h.instruments = Array.from({ length: r.u16() }, () => listing(r, h.sectors.length));
  r.end();
  return h;
}

function listing(r, sectors) {
  const l = { symbol: r.string(), name: r.string(), sector: r.u8(), decimals: r.u8(), reference: r.u32() };
  if (l.sector >= sectors) throw new Error(`hello: sector ${l.sector} of ${sectors}`);
  if (l.decimals > 9) throw new Error(`hello: ${l.decimals} decimals`);
  if (l.reference === 0) throw new Error('hello: no reference price');
  let price = 0;
  l.prices = Array.from({ length: r.u16() }, () => {
    price += r.varint();
    if (price <= 0 || price > 0xffffffff) throw new Error(`hello: a price of ${price}`);
    return price;
  });
  return l;
}

class Reader {
  #view;
  #at = 0;

  constructor(view) {
    this.#view = view;
  }

  // Returns where the next n bytes are.
  #take(n) {
    const at = this.#at;
    if (at + n > this.#view.byteLength) throw new Error('hello: cut off');
    this.#at += n;
    return at;
  }

  u8() { return this.#view.getUint8(this.#take(1)); }
  u16() { return this.#view.getUint16(this.#take(2)); }
  u32() { return this.#view.getUint32(this.#take(4)); }
  f64() { return this.#view.getFloat64(this.#take(8)); }

  string() {
    const n = this.u8();
    return utf8.decode(new Uint8Array(this.#view.buffer, this.#take(n), n));
  }

  // A difference of two prices needs 33 bits, hence no bit operators.
  varint() {
    let n = 0;
    for (let scale = 1, bytes = 1; ; scale *= 128, bytes++) {
      const byte = this.u8();
      n += (byte & 127) * scale;
      if (byte < 128) {
        if (byte === 0 && bytes > 1) throw new Error('hello: a varint that is longer than need be');
        return n % 2 ? -(n + 1) / 2 : n / 2;
      }
      if (bytes === 5) throw new Error('hello: a varint of more than 5 bytes');
    }
  }

  end() {
    if (this.#at !== this.#view.byteLength) throw new Error('hello: something behind its end');
  }
}

export function ping(t) {
  const view = new DataView(new ArrayBuffer(9));
  view.setUint8(0, 129);
  view.setFloat64(1, t);
  return view.buffer;
}

export function settings(policy, rate) {
  const view = new DataView(new ArrayBuffer(6));
  view.setUint8(0, 130);
  view.setUint8(1, policy);
  view.setUint32(2, rate);
  return view.buffer;
}

// How many bytes a message of the server's takes on the wire, with the header
// of its frame.
export function wireSize(buffer) {
  const n = buffer.byteLength;
  return n + (n < 126 ? 2 : n < 65536 ? 4 : 10);
}
