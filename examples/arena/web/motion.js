// The motion of koi: the same rules as in motion.go. With them a page can predict the
// server's next state of its koi, from the last state and the inputs that the server
// has not seen yet.

export const pondRadius = 1500;
export const mouth = 12; // how far from its rim a koi can eat

const turnRate = 240;
const topSpeed = 300;
const bulkSpeed = 80;
const push = 2.6;
const slip = 6;
const bounce = 0.5;
const dartSpeed = 780;
const dartSeconds = 0.4;
const dartEvery = 1.5;
const smallest = 15;
const growth = 14;
const fullGrown = 200;
const maxPosition = 2047;
const maxSpeed = 2047;

// Headings are whole numbers, 256 to a full turn; 0 is along x, 64 along y.
export const toRadians = Math.PI / 128;
export const headingOf = (x, y) => Math.floor(Math.atan2(y, x) / toRadians + 0.5) & 255;
// The way from one heading to another, the shorter way round: -128 to 127.
export function turnBetween(from, to) {
  const turn = (to - from) % 256;
  return turn >= 128 ? turn - 256 : turn < -128 ? turn + 256 : turn;
}

const sines = Float64Array.from({ length: 256 }, (_, i) => Math.sin((i * Math.PI) / 128));

export const bulk = (score) => Math.sqrt(Math.min(1, score / fullGrown));
export const radius = (score) => smallest + growth * bulk(score);

// The rules at some rate of ticks.
export class Motion {
  constructor(rate) {
    const ticks = (seconds) => Math.floor(seconds * rate + 0.5);
    this.rate = rate;
    this.dt = 1 / rate;
    this.turn = Math.floor(turnRate * this.dt + 0.5);
    this.dartFirst = ticks(dartEvery);
    this.dartLast = this.dartFirst - ticks(dartSeconds);
  }

  darting(body) { return body.dart > this.dartLast; }

  // Returns the body as it is one tick later.
  advance(body, steering) {
    const b = { ...body };
    let { dir, throttle, dart } = steering;
    if (b.daze > 0) {
      b.daze--;
      [dir, throttle, dart] = [b.heading, 0, false];
    }
    const turn = turnBetween(b.heading, dir);
    b.heading = (b.heading + Math.min(Math.max(turn, -this.turn), this.turn)) & 255;
    const cos = sines[(b.heading + 64) & 255];
    const sin = sines[b.heading];

    if (b.dart > 0) {
      b.dart--;
    } else if (dart) {
      b.dart = this.dartFirst;
      b.vx = dartSpeed * cos;
      b.vy = dartSpeed * sin;
    }

    let along = b.vx * cos + b.vy * sin;
    let across = b.vy * cos - b.vx * sin;
    const wanted = ((topSpeed - bulkSpeed * bulk(b.score)) * throttle) / 255;
    along += (wanted - along) * push * this.dt;
    across -= across * slip * this.dt;
    b.vx = along * cos - across * sin;
    b.vy = along * sin + across * cos;

    b.x += b.vx * this.dt;
    b.y += b.vy * this.dt;
    stayInside(b);
    b.x = roundPosition(b.x);
    b.y = roundPosition(b.y);
    b.vx = roundSpeed(b.vx);
    b.vy = roundSpeed(b.vy);
    return b;
  }
}

function stayInside(b) {
  const limit = pondRadius - radius(b.score);
  const d = Math.sqrt(b.x * b.x + b.y * b.y);
  if (d <= limit) return;
  const nx = b.x / d;
  const ny = b.y / d;
  b.x = nx * limit;
  b.y = ny * limit;
  const out = b.vx * nx + b.vy * ny;
  if (out > 0) {
    b.vx -= (1 + bounce) * out * nx;
    b.vy -= (1 + bounce) * out * ny;
  }
}

const clamp = (v, most) => Math.min(Math.max(v, -most), most);
const roundPosition = (v) => Math.floor(clamp(v, maxPosition) * 16 + 0.5) / 16;
const roundSpeed = (v) => Math.trunc(clamp(v, maxSpeed) * 16) / 16;
