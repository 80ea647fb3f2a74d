// Draws the pond as the camera sees it: scenery, crumbs, koi and their names.

import { Effects } from './effects.js';
import { drawKoi, pose, varieties } from './koi.js';
import { pondRadius, radius, toRadians, turnBetween } from './motion.js';
import { Scenery, day, night } from './scenery.js';

const lengthOf = (score) => 4.3 * radius(score);
const stranger = { name: '', koi: 0, bot: false };

export class Scene {
  zoom = 1; // CSS pixels per unit of the pond
  camera = { x: 0, y: 0 };

  #canvas;
  #ctx;
  #motion = null;
  #scenery = new Scenery();
  #effects = new Effects();
  #swimmers = new Map(); // by id: what a koi looks like beyond its state
  #night = matchMedia('(prefers-color-scheme: dark)');

  constructor(canvas) {
    this.#canvas = canvas;
    this.#ctx = canvas.getContext('2d', { alpha: false });
    const colors = () => this.#scenery.setColors(this.#night.matches ? night : day);
    this.#night.addEventListener('change', colors);
    colors();
    new ResizeObserver(() => this.#resize()).observe(canvas);
    this.#resize();
  }

  // Forgets everybody, and takes the rules of the server that we have come to.
  reset(motion) {
    this.#motion = motion;
    this.#swimmers.clear();
  }

  #resize() {
    const { clientWidth: width, clientHeight: height } = this.#canvas;
    // More than two pixels per pixel cost much and show little.
    const ratio = Math.min(devicePixelRatio || 1, 2);
    this.#canvas.width = Math.max(1, Math.round(width * ratio));
    this.#canvas.height = Math.max(1, Math.round(height * ratio));
    // All see the same area of the pond, whatever the shape of their screen.
    this.zoom = Math.max(0.3, Math.sqrt(width * height) / 880);
  }

  // Draws one frame. world is what a Timeline returns, me the id of our koi or 0,
  // people whom the roster knows.
  draw({ world, people, me, leader, time, seconds }) {
    const { width, height, clientWidth } = this.#canvas;
    const scale = this.zoom * (width / Math.max(1, clientWidth));
    const ctx = this.#ctx;
    const own = world.koi.get(me);
    this.#follow(own ?? world.koi.get(leader), Boolean(own), seconds);
    const view = { ...this.camera, width: width / scale, height: height / scale };

    for (const id of this.#swimmers.keys()) if (!world.koi.has(id)) this.#swimmers.delete(id);
    const koi = [];
    for (const k of world.koi.values()) {
      const swimmer = this.#update(k, people.get(k.id) ?? stranger, k.id === me, seconds);
      if (inView(view, k)) koi.push(swimmer);
    }

    ctx.setTransform(scale, 0, 0, scale, width / 2 - view.x * scale, height / 2 - view.y * scale);
    this.#scenery.drawBelow(ctx, view, time);
    this.#effects.drawCrumbs(ctx, world.crumbs, [...world.koi.values()], this.#scenery.colors, view, time, seconds);
    for (const s of koi) s.pose = pose(s.swim, s.vigour, s.turn);
    for (const s of koi) this.#drawShadow(ctx, s);
    if (own) this.#drawRing(ctx, own);
    for (const s of koi) this.#drawSwimmer(ctx, s, time);
    this.#effects.draw(ctx, seconds);
    this.#scenery.drawAbove(ctx, view, time, own);
    for (const s of koi) this.#drawName(ctx, s, s.k.id === me, s.k.id === leader);
  }

  // Where a point of the page is in the pond, seen from the camera.
  fromCamera(clientX, clientY) {
    const box = this.#canvas.getBoundingClientRect();
    return {
      x: (clientX - box.left - box.width / 2) / this.zoom,
      y: (clientY - box.top - box.height / 2) / this.zoom,
    };
  }

  // Our own koi is in the middle. Spectators see the leader there.
  #follow(koi, own, seconds) {
    if (!koi) return;
    const part = own ? 1 - Math.exp(-18 * seconds) : 1 - Math.exp(-1.5 * seconds);
    const dx = koi.x - this.camera.x;
    const dy = koi.y - this.camera.y;
    const far = own && Math.hypot(dx, dy) > 400;
    this.camera.x += far ? dx : dx * part;
    this.camera.y += far ? dy : dy * part;
    // Spectators need not see the bank.
    const out = own ? 1 : Math.hypot(this.camera.x, this.camera.y) / (pondRadius - 450);
    if (out > 1) {
      this.camera.x /= out;
      this.camera.y /= out;
    }
  }

  // Brings up to date what is remembered of a koi, and sees what has happened.
  #update(k, person, own, seconds) {
    let s = this.#swimmers.get(k.id);
    if (!s || s.person.name !== person.name && person !== stranger && s.person !== stranger) {
      s = { k, person, swim: k.id, vigour: 0, turn: 0, wake: 0 };
      this.#swimmers.set(k.id, s);
      this.#effects.ripple(k.x, k.y, 130, 1.2);
    }
    const before = s.k;
    s.k = k;
    s.person = person;
    const speed = Math.hypot(k.vx, k.vy);
    s.swim += seconds * (3 + speed * 0.036);
    const vigour = Math.min(1, speed / 320) * (k.daze ? 1.3 : 1);
    s.vigour += (vigour - s.vigour) * Math.min(1, 6 * seconds);
    const turn = seconds > 0 ? turnBetween(before.heading, k.heading) / 240 / seconds : 0;
    s.turn += (Math.max(-1, Math.min(1, turn)) - s.turn) * Math.min(1, 8 * seconds);

    if (k.daze && !before.daze) {
      this.#effects.splash(k.x, k.y, Math.min(1.4, 0.7 + (before.score - k.score) / 30));
      if (before.score > k.score) this.#effects.number(k.x, k.y, `−${before.score - k.score}`, '#ffb3a3');
    } else if (own && k.score > before.score) {
      this.#effects.number(k.x, k.y, `+${k.score - before.score}`, '#fff0b8');
    }
    if (this.#motion?.darting(k)) {
      s.wake -= seconds;
      if (s.wake <= 0) {
        s.wake = 0.06;
        const a = k.heading * toRadians;
        const back = lengthOf(k.score) * 0.4;
        this.#effects.ripple(k.x - back * Math.cos(a), k.y - back * Math.sin(a), 34, 0.7);
      }
    }
    return s;
  }

  #drawShadow(ctx, { k, pose }) {
    ctx.save();
    ctx.translate(k.x + 12, k.y + 20);
    orient(ctx, k);
    ctx.fillStyle = this.#scenery.colors.shadow;
    ctx.fill(pose.body);
    ctx.fill(pose.tail);
    ctx.restore();
  }

  #drawSwimmer(ctx, s, time) {
    const { k } = s;
    ctx.save();
    ctx.translate(k.x, k.y);
    ctx.save();
    orient(ctx, k);
    drawKoi(ctx, varieties[s.person.koi], s.pose);
    ctx.restore();
    const r = radius(k.score);
    if (k.shield) {
      ctx.strokeStyle = `rgb(255 255 255 / ${0.5 + 0.2 * Math.sin(time * 6)})`;
      ctx.fillStyle = 'rgb(255 255 255 / .1)';
      ctx.lineWidth = 2;
      ctx.beginPath();
      ctx.arc(0, 0, r * 2.3, 0, 2 * Math.PI);
      ctx.fill();
      ctx.stroke();
    }
    if (k.daze) {
      ctx.fillStyle = '#fff3c4';
      for (let i = 0; i < 3; i++) {
        const a = time * 7 + (i * 2 * Math.PI) / 3;
        ctx.beginPath();
        ctx.arc(r * 1.3 * Math.cos(a), r * 0.8 * Math.sin(a), 3.2, 0, 2 * Math.PI);
        ctx.fill();
      }
    }
    ctx.restore();
  }

  // A ring around our own koi, which closes until it can dart again.
  #drawRing(ctx, k) {
    const ready = this.#motion ? 1 - k.dart / this.#motion.dartFirst : 1;
    const size = radius(k.score) * 2.9;
    ctx.lineCap = 'round';
    ctx.lineWidth = 3;
    ctx.strokeStyle = 'rgb(255 255 255 / .16)';
    ctx.beginPath();
    ctx.arc(k.x, k.y, size, 0, 2 * Math.PI);
    ctx.stroke();
    ctx.strokeStyle = ready < 1 ? 'rgb(255 255 255 / .5)' : 'rgb(255 236 170 / .75)';
    ctx.beginPath();
    ctx.arc(k.x, k.y, size, -Math.PI / 2, (2 * ready - 0.5) * Math.PI);
    ctx.stroke();
  }

  #drawName(ctx, { k, person }, own, leads) {
    // The size of text is that of the page, not that of the pond.
    const size = (own ? 14 : 12.5) / this.zoom;
    const y = k.y + radius(k.score) * (own ? 2.9 : 1.9) + size * 1.5;
    if (leads) drawCrown(ctx, k.x, k.y - radius(k.score) * 1.9 - 10);
    if (!person.name) return;
    ctx.font = `${own ? 700 : 550} ${size}px system-ui, sans-serif`;
    ctx.textAlign = 'center';
    ctx.lineJoin = 'round';
    ctx.lineWidth = size * 0.26;
    ctx.globalAlpha = own ? 1 : person.bot ? 0.72 : 0.95;
    ctx.strokeStyle = 'rgb(0 32 36 / .5)';
    ctx.strokeText(person.name, k.x, y);
    ctx.fillStyle = '#fff';
    ctx.fillText(person.name, k.x, y);
    ctx.globalAlpha = 1;
  }
}

const inView = (view, { x, y }) =>
  Math.abs(x - view.x) < view.width / 2 + 140 && Math.abs(y - view.y) < view.height / 2 + 140;

// Turns the coordinates into those of a koi.
function orient(ctx, k) {
  ctx.rotate(k.heading * toRadians);
  const length = lengthOf(k.score);
  ctx.scale(length, length);
}

function drawCrown(ctx, x, y) {
  ctx.fillStyle = '#ffd45e';
  ctx.strokeStyle = 'rgb(90 56 0 / .7)';
  ctx.lineWidth = 1.5;
  ctx.lineJoin = 'round';
  ctx.beginPath();
  for (const [dx, dy] of [[-13, 0], [-15, -14], [-7, -7], [0, -17], [7, -7], [15, -14], [13, 0]]) ctx.lineTo(x + dx, y + dy);
  ctx.closePath();
  ctx.fill();
  ctx.stroke();
}
