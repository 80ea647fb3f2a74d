// The pond itself: water, light on it, lily pads, stones and what is beyond. It
// looks the same to everybody, so the places come from a fixed seed.

import { numbers } from './dom.js';
import { smooth } from './koi.js';
import { pondRadius } from './motion.js';

export const day = {
  deep: '#17605d', water: '#2b8a80', shallow: '#53ab98',
  bank: '#7f9a52', grass: '#6b8745', daisy: '#fff7ea', stone: '#a9aea6', stoneLight: '#c9cdc3', stoneDark: '#6f776f',
  pad: '#4d9a4b', padLight: '#79b95e', padDark: '#33733b', petal: '#f7b6c4', petalLight: '#fff0f2',
  caustics: 'rgb(226 255 240)', causticsAlpha: 0.26, shadow: 'rgb(4 44 48 / .3)',
  crumb: '#ffe9b8', treat: '#ffc94d', crumbGlow: 'rgb(255 240 190 / .35)', lantern: 0,
};

export const night = {
  deep: '#061a29', water: '#0b2d42', shallow: '#14506a',
  bank: '#16241f', grass: '#1d2e26', daisy: '#4d6360', stone: '#3d4852', stoneLight: '#5a6873', stoneDark: '#222b33',
  pad: '#1f5b4a', padLight: '#317a5e', padDark: '#12382f', petal: '#b98ad0', petalLight: '#f0ddff',
  caustics: 'rgb(120 200 255)', causticsAlpha: 0.17, shadow: 'rgb(0 8 16 / .42)',
  crumb: '#ffe3a1', treat: '#ffb84a', crumbGlow: 'rgb(255 200 110 / .5)', lantern: 1,
};

const padCount = 30;
const stoneCount = 150;
const stoneKinds = 6;

export class Scenery {
  #pads = [];
  #stones = [];
  #tile = causticsTile();
  #sprites = new Map(); // of the present colours
  colors = day;

  constructor() {
    const random = numbers(5);
    while (this.#pads.length < padCount) {
      // In groups, as they grow.
      const angle = random() * 2 * Math.PI;
      const from = (0.15 + 0.75 * Math.sqrt(random())) * pondRadius;
      for (let n = 2 + random() * 4; n > 0; n--) {
        const x = from * Math.cos(angle) + (random() - 0.5) * 330;
        const y = from * Math.sin(angle) + (random() - 0.5) * 330;
        const size = 34 + random() * 40;
        if (Math.hypot(x, y) + size < pondRadius - 10 && this.#pads.every((p) => Math.hypot(p.x - x, p.y - y) > p.size + size + 4)) {
          this.#pads.push({ x, y, size, turn: random() * 7, sway: random() * 7, flower: random() < 0.3, kind: Math.floor(random() * 3) });
        }
      }
    }
    for (let i = 0; i < stoneCount; i++) {
      const angle = ((i + random() * 0.4) / stoneCount) * 2 * Math.PI;
      const size = 38 + random() * 34;
      const from = pondRadius + size * 0.6 + random() * 16;
      this.#stones.push({ x: from * Math.cos(angle), y: from * Math.sin(angle), size, kind: Math.floor(random() * stoneKinds), lantern: i % 15 === 7 });
    }
    // The lower ones lie in front.
    this.#stones.sort((a, b) => a.y - b.y);
  }

  setColors(colors) {
    this.colors = colors;
    this.#sprites.clear();
  }

  // Everything that is under the koi. view is {x, y, width, height} in the pond.
  drawBelow(ctx, view, time) {
    const c = this.colors;
    const edge = Math.hypot(Math.abs(view.x) + view.width / 2, Math.abs(view.y) + view.height / 2) > pondRadius - 80;
    const water = ctx.createRadialGradient(0, 0, pondRadius * 0.1, 0, 0, pondRadius);
    water.addColorStop(0, c.shallow);
    water.addColorStop(0.5, c.water);
    water.addColorStop(1, c.deep);
    if (edge) {
      ctx.fillStyle = ctx.createPattern(this.#sprite('grass', 256, drawGrass), 'repeat');
      fillView(ctx, view);
    }
    ctx.save();
    if (edge) {
      ctx.beginPath();
      ctx.arc(0, 0, pondRadius + 8, 0, 2 * Math.PI);
      ctx.clip();
    }
    ctx.fillStyle = water;
    fillView(ctx, view);
    for (const [scale, speed, alpha] of [[2.3, 9, 1], [1.5, -13, 0.55]]) {
      const pattern = ctx.createPattern(this.#light(), 'repeat');
      pattern.setTransform(new DOMMatrix().translate(time * speed, time * speed * 0.6).scale(scale));
      ctx.globalAlpha = c.causticsAlpha * alpha;
      ctx.fillStyle = pattern;
      fillView(ctx, view);
    }
    ctx.globalAlpha = 1;
    ctx.restore();
    ctx.fillStyle = c.shadow;
    for (const p of this.#pads) {
      if (visible(view, p, p.size + 40)) {
        ctx.beginPath();
        ctx.arc(p.x + 20, p.y + 26, p.size * 0.97, 0, 2 * Math.PI);
        ctx.fill();
      }
    }
    if (edge) this.#drawStones(ctx, view);
  }

  #drawStones(ctx, view) {
    const c = this.colors;
    const stones = this.#stones.filter((s) => visible(view, s, 260));
    ctx.fillStyle = c.shadow;
    ctx.beginPath();
    for (const s of stones) {
      ctx.moveTo(s.x + 14 + s.size, s.y + 18);
      ctx.arc(s.x + 14, s.y + 18, s.size * 0.96, 0, 2 * Math.PI);
    }
    ctx.fill();
    for (const s of stones) {
      const image = this.#sprite(`stone${s.kind}`, 192, (...args) => drawStone(...args, s.kind));
      ctx.drawImage(image, s.x - s.size * 1.2, s.y - s.size * 1.2, s.size * 2.4, s.size * 2.4);
    }
    if (!c.lantern) return;
    for (const s of stones) {
      if (!s.lantern) continue;
      ctx.globalCompositeOperation = 'lighter';
      ctx.drawImage(this.#sprite('glow', 128, drawGlow), s.x - 260, s.y - 260, 520, 520);
      ctx.globalCompositeOperation = 'source-over';
      for (const [color, size] of [[c.stoneDark, 26], [c.stoneLight, 21], ['#ffdf9e', 12]]) {
        ctx.fillStyle = color;
        ctx.beginPath();
        for (let i = 0; i < 6; i++) ctx.lineTo(s.x + size * Math.cos((i * Math.PI) / 3), s.y + size * Math.sin((i * Math.PI) / 3));
        ctx.fill();
      }
    }
  }

  // Draws the things that float over the koi, and those that cover own, our koi, translucent.
  drawAbove(ctx, view, time, own) {
    for (const p of this.#pads) {
      if (!visible(view, p, p.size)) continue;
      ctx.save();
      ctx.translate(p.x + 2.5 * Math.sin(time * 0.7 + p.sway), p.y + 2.5 * Math.cos(time * 0.6 + p.sway));
      ctx.rotate(p.turn + 0.04 * Math.sin(time * 0.5 + p.sway));
      const image = this.#sprite(`pad${p.kind}${p.flower}`, 256, (...args) => drawPad(...args, p.kind, p.flower));
      const apart = own ? Math.hypot(own.x - p.x, own.y - p.y) - p.size : Infinity;
      ctx.globalAlpha = 0.4 + 0.55 * Math.min(1, Math.max(0, apart / 50));
      ctx.drawImage(image, -p.size * 1.25, -p.size * 1.25, p.size * 2.5, p.size * 2.5);
      ctx.restore();
    }
  }

  // A picture that is drawn once for the present colours.
  #sprite(name, size, draw) {
    let sprite = this.#sprites.get(name);
    if (!sprite) {
      sprite = canvas(size);
      draw(sprite.getContext('2d'), size, this.colors);
      this.#sprites.set(name, sprite);
    }
    return sprite;
  }

  // The net of light, in the present colour.
  #light() {
    return this.#sprite('light', this.#tile.width, (ctx, size, c) => {
      ctx.drawImage(this.#tile, 0, 0);
      ctx.globalCompositeOperation = 'source-in';
      ctx.fillStyle = c.caustics;
      ctx.fillRect(0, 0, size, size);
    });
  }
}

function canvas(size) {
  const element = document.createElement('canvas');
  element.width = element.height = size;
  return element;
}

const visible = (view, { x, y }, room) =>
  Math.abs(x - view.x) < view.width / 2 + room && Math.abs(y - view.y) < view.height / 2 + room;

function fillView(ctx, { x, y, width, height }) {
  ctx.fillRect(x - width / 2, y - height / 2, width, height);
}

// The net that sunlight draws on the ground of a pond: bright where two of some
// random points are about equally far. Waves bend it. It can be laid side by side.
function causticsTile() {
  const size = 256;
  const random = numbers(11);
  const points = Array.from({ length: 30 }, () => [random() * size, random() * size]);
  const tile = canvas(size);
  const ctx = tile.getContext('2d');
  const image = ctx.createImageData(size, size);
  const turn = (2 * Math.PI) / size;
  const wrapped = (d) => {
    const rest = Math.abs(d) % size;
    return Math.min(rest, size - rest);
  };
  for (let y = 0; y < size; y++) {
    for (let x = 0; x < size; x++) {
      const bentX = x + 7 * Math.sin(2 * turn * y) + 4 * Math.sin(turn * (5 * y + 2 * x));
      const bentY = y + 7 * Math.sin(2 * turn * x + 1) + 4 * Math.sin(turn * (4 * x - 3 * y));
      let first = Infinity;
      let second = Infinity;
      for (const [px, py] of points) {
        const d = Math.hypot(wrapped(bentX - px), wrapped(bentY - py));
        if (d < first) [first, second] = [d, first];
        else if (d < second) second = d;
      }
      const glow = 0.65 + 0.35 * Math.sin(turn * (x + 2 * y)) * Math.sin(turn * (2 * x - y));
      image.data[4 * (y * size + x) + 3] = 255 * glow * Math.max(0, 1 - (second - first) / 15) ** 3;
    }
  }
  ctx.putImageData(image, 0, 0);
  return tile;
}

// A boulder with light from the upper left. The canvas is 2.4 times its radius.
function drawStone(ctx, size, c, kind) {
  const random = numbers(100 + kind);
  ctx.translate(size / 2, size / 2);
  ctx.scale(size / 2.4, size / 2.4);
  const corners = 9;
  const points = Array.from({ length: corners }, (_, i) => {
    const angle = ((i + random() * 0.5) / corners) * 2 * Math.PI;
    const r = 0.9 + random() * 0.24;
    return [r * Math.cos(angle), 0.9 * r * Math.sin(angle)];
  });
  const light = ctx.createRadialGradient(-0.4, -0.5, 0.1, -0.1, -0.1, 1.25);
  light.addColorStop(0, c.stoneLight);
  light.addColorStop(0.5, c.stone);
  light.addColorStop(1, c.stoneDark);
  ctx.fillStyle = light;
  const path = new Path2D();
  smooth(path, points);
  ctx.fill(path);
  ctx.clip(path);
  for (let i = 0; i < 26; i++) {
    ctx.fillStyle = random() < 0.5 ? c.stoneLight : c.stoneDark;
    ctx.globalAlpha = 0.25;
    ctx.beginPath();
    ctx.arc(2 * random() - 1, 2 * random() - 1, 0.015 + 0.035 * random(), 0, 2 * Math.PI);
    ctx.fill();
  }
  if (kind % 3 !== 1) return;
  ctx.fillStyle = c.grass; // moss
  ctx.globalAlpha = 0.55;
  for (let i = 0; i < 14; i++) {
    ctx.beginPath();
    ctx.arc(0.5 + 0.8 * (random() - 0.5), 0.55 + 0.5 * (random() - 0.5), 0.1 + 0.12 * random(), 0, 2 * Math.PI);
    ctx.fill();
  }
}

function drawGrass(ctx, size, c) {
  const random = numbers(3);
  ctx.fillStyle = c.bank;
  ctx.fillRect(0, 0, size, size);
  ctx.strokeStyle = c.grass;
  ctx.lineWidth = 2;
  ctx.lineCap = 'round';
  for (let i = 0; i < 260; i++) {
    const x = 8 + random() * (size - 16);
    const y = 12 + random() * (size - 20);
    ctx.beginPath();
    ctx.moveTo(x, y);
    ctx.quadraticCurveTo(x, y - 6, x + (random() - 0.5) * 12, y - 9);
    ctx.stroke();
  }
  ctx.fillStyle = c.daisy;
  for (let i = 0; i < 9; i++) {
    ctx.beginPath();
    ctx.arc(8 + random() * (size - 16), 8 + random() * (size - 16), 2.2, 0, 2 * Math.PI);
    ctx.fill();
  }
}

function drawGlow(ctx, size) {
  const glow = ctx.createRadialGradient(size / 2, size / 2, 0, size / 2, size / 2, size / 2);
  glow.addColorStop(0, 'rgb(255 176 80 / .55)');
  glow.addColorStop(0.25, 'rgb(255 150 60 / .2)');
  glow.addColorStop(1, 'rgb(255 140 50 / 0)');
  ctx.fillStyle = glow;
  ctx.fillRect(0, 0, size, size);
}

function drawPad(ctx, size, c, kind, flower) {
  ctx.translate(size / 2, size / 2);
  ctx.scale(size / 2.5, size / 2.5);
  const notch = 0.2 + 0.1 * kind;
  const fill = ctx.createRadialGradient(-0.2, -0.25, 0.1, 0, 0, 1);
  fill.addColorStop(0, c.padLight);
  fill.addColorStop(0.75, c.pad);
  fill.addColorStop(1, c.padDark);
  ctx.fillStyle = fill;
  ctx.beginPath();
  ctx.moveTo(0.05, 0);
  ctx.arc(0, 0, 1, notch, 2 * Math.PI - notch);
  ctx.closePath();
  ctx.fill();
  ctx.strokeStyle = c.padLight;
  ctx.globalAlpha = 0.5;
  ctx.lineWidth = 0.025;
  for (let i = 1; i < 10; i++) {
    const angle = notch + (i / 10) * (2 * Math.PI - 2 * notch);
    ctx.beginPath();
    ctx.moveTo(0.1 * Math.cos(angle), 0.1 * Math.sin(angle));
    ctx.lineTo(0.88 * Math.cos(angle + 0.05), 0.88 * Math.sin(angle + 0.05));
    ctx.stroke();
  }
  ctx.globalAlpha = 1;
  if (!flower) return;
  for (const [count, length, color, turn] of [[9, 0.6, c.petal, 0], [8, 0.46, c.petalLight, 0.3], [6, 0.28, c.petal, 0.1]]) {
    for (let i = 0; i < count; i++) {
      ctx.save();
      ctx.rotate((i / count) * 2 * Math.PI + turn);
      ctx.fillStyle = color;
      ctx.beginPath();
      ctx.ellipse(length * 0.55, 0, length * 0.5, 0.12, 0, 0, 2 * Math.PI);
      ctx.fill();
      ctx.restore();
    }
  }
  ctx.fillStyle = '#f6d25b';
  ctx.beginPath();
  ctx.arc(0, 0, 0.11, 0, 2 * Math.PI);
  ctx.fill();
}
