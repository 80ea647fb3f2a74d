// The messages, byte by byte. They are described in protocol.go. A message of
// another form is refused here as it is there.

export const version = 1;
export const varieties = 12;
const maxPlayers = 250;
const koiSize = 15;
const crumbSize = 3;

class Reader {
  #view;
  #at = 0;

  constructor(buffer) {
    this.#view = new DataView(buffer);
  }

  get left() { return this.#view.byteLength - this.#at; }

  #skip(n) {
    if (this.left < n) throw new Error('a message that is too short');
    this.#at += n;
    return this.#at - n;
  }

  u8() { return this.#view.getUint8(this.#skip(1)); }
  u16() { return this.#view.getUint16(this.#skip(2)); }
  i16() { return this.#view.getInt16(this.#skip(2)); }
  u32() { return this.#view.getUint32(this.#skip(4)); }

  bytes(n) {
    const at = this.#skip(n);
    return new Uint8Array(this.#view.buffer, at, n);
  }

  // An id, which is greater than the one before.
  id(last) {
    const id = this.u8();
    if (id <= last || id > maxPlayers) throw new Error(`the id ${id} comes after ${last}`);
    return id;
  }
}

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

const readers = {
  0x01(r) {
    const spoken = r.u8();
    // Of another version nothing else is known.
    if (spoken !== version) return { type: 'hello', version: spoken, rate: 0, rest: r.bytes(r.left) };
    const rate = r.u8();
    if (rate < 20 || rate > 60) throw new Error(`${rate} ticks per second`);
    return { type: 'hello', version: spoken, rate };
  },

  0x02: (r) => ({ type: 'welcome', id: r.id(0) }),

  0x03(r) {
    const people = [];
    for (let n = r.u8(), last = 0; n > 0; n--) {
      const id = last = r.id(last);
      const flags = r.u8();
      const koi = flags & 127;
      if (koi >= varieties) throw new Error(`there is no koi ${koi}`);
      const name = utf8.decode(r.bytes(r.u8()));
      if (name === '' || [...name].length > 16) throw new Error('a name of the wrong length');
      people.push({ id, koi, bot: flags >= 128, name });
    }
    return { type: 'roster', people };
  },

  0x04(r) {
    const tick = r.u32();
    const n = r.u8();
    const m = r.u8();
    if (r.left !== n * koiSize + m * crumbSize) throw new Error('a snapshot of the wrong length');
    const koi = new Map();
    for (let i = 0, last = 0; i < n; i++) {
      const id = last = r.id(last);
      const k = {
        id,
        x: r.u16() / 16 - 2048, y: r.u16() / 16 - 2048,
        vx: r.i16() / 16, vy: r.i16() / 16,
        heading: r.u8(), score: r.u16(), dart: r.u8(), daze: r.u8(), shield: false, ack: r.u8(),
      };
      k.shield = k.daze >= 128;
      k.daze &= 127;
      if (Math.max(Math.abs(k.x), Math.abs(k.y), Math.abs(k.vx), Math.abs(k.vy)) > 2047) {
        throw new Error(`the koi ${id} is out of bounds`);
      }
      koi.set(id, k);
    }
    const crumbs = [];
    for (let i = 0; i < m; i++) {
      const c = { key: r.u16(), x: 0, y: 0, value: r.u8() }; // there is one in a field at most
      c.x = (c.key >> 8) * 16 - 2048;
      c.y = (c.key & 255) * 16 - 2048;
      if (c.value === 0) throw new Error('a crumb without value');
      crumbs.push(c);
    }
    return { type: 'snapshot', tick, koi, crumbs };
  },

  0x05: (r) => ({ type: 'pong', time: r.u32(), skipped: r.u32() }),
};

// Reads a message, an ArrayBuffer, or throws.
export function parse(buffer) {
  const r = new Reader(buffer);
  const kind = r.u8();
  const reader = readers[kind];
  if (!reader) throw new Error(`there is no message of kind ${kind}`);
  const message = reader(r);
  if (r.left > 0) throw new Error('a message that is too long');
  return message;
}

export function join(koi, name) {
  const text = new TextEncoder().encode(name);
  const message = new Uint8Array(3 + text.length);
  message.set([0x81, koi, 0]);
  message.set(text, 3);
  return message;
}

export function steer(seq, { dir, throttle, dart }) {
  return new Uint8Array([0x82, seq, dir, throttle, dart ? 1 : 0]);
}

export function ping(time) {
  const message = new Uint8Array(5);
  message[0] = 0x83;
  new DataView(message.buffer).setUint32(1, time);
  return message;
}

// Returns a name that the server accepts, from the text that somebody has typed.
export function cleanName(text) {
  const clean = text.normalize('NFC').replace(/\s+/gu, ' ').replace(/[^\p{L}\p{M}\p{N}\p{P}\p{S}\p{Zs}]/gu, '');
  return [...clean.trim()].slice(0, 16).join('').trim();
}
