// Effects: ripples, splashes, and numbers that float away. The server sends no events.
// The page finds out who has eaten and who was rammed by comparing two snapshots,
// however many between them were missed.

const calm = matchMedia('(prefers-reduced-motion: reduce)');

export class Effects {
  #list = []; // {draw, life, age}
  #crumbs = new Map(); // key to {crumb, age}

  ripple(x, y, size, life = 0.9) {
    this.#add(life, (ctx, t) => {
      ctx.strokeStyle = `rgb(255 255 255 / ${0.4 * (1 - t)})`;
      ctx.lineWidth = 2.5 * (1 - t) + 0.5;
      ctx.beginPath();
      ctx.arc(x, y, size * (0.25 + 0.75 * Math.sqrt(t)), 0, 2 * Math.PI);
      ctx.stroke();
    });
  }

  splash(x, y, strength) {
    this.ripple(x, y, 60 + 60 * strength, 0.8);
    this.ripple(x, y, 110 + 60 * strength, 1.3);
    if (calm.matches) return;
    for (let i = 0; i < 16; i++) {
      const angle = Math.random() * 2 * Math.PI;
      const far = 30 + Math.random() * 90 * strength;
      const size = 1.5 + Math.random() * 3;
      this.#add(0.35 + Math.random() * 0.4, (ctx, t) => {
        const d = far * (1 - (1 - t) ** 2);
        ctx.fillStyle = `rgb(240 255 252 / ${0.85 * (1 - t)})`;
        ctx.beginPath();
        ctx.arc(x + d * Math.cos(angle), y + d * Math.sin(angle), size * (1 - t / 2), 0, 2 * Math.PI);
        ctx.fill();
      });
    }
  }

  number(x, y, text, color) {
    this.#add(1.1, (ctx, t) => {
      ctx.globalAlpha = 1 - t * t;
      ctx.font = '700 19px system-ui, sans-serif';
      ctx.textAlign = 'center';
      ctx.lineWidth = 4;
      ctx.lineJoin = 'round';
      ctx.strokeStyle = 'rgb(0 24 28 / .55)';
      ctx.fillStyle = color;
      const top = y - 34 - 34 * (1 - (1 - t) ** 2);
      ctx.strokeText(text, x, top);
      ctx.fillText(text, x, top);
      ctx.globalAlpha = 1;
    });
  }

  #add(life, draw) {
    if (this.#list.length < 400) this.#list.push({ draw, life, age: 0 });
  }

  draw(ctx, seconds) {
    this.#list = this.#list.filter((e) => (e.age += seconds) < e.life);
    for (const e of this.#list) e.draw(ctx, e.age / e.life);
  }

  // Draws the crumbs. New ones pop up; those that are gone are drawn into the
  // mouth of the nearest koi.
  drawCrumbs(ctx, crumbs, koi, colors, view, time, seconds) {
    const gone = this.#crumbs;
    this.#crumbs = new Map();
    const first = gone.size === 0; // nothing is new to a page that has just come
    for (const crumb of crumbs) {
      const known = gone.get(crumb.key);
      gone.delete(crumb.key);
      const age = known ? known.age + seconds : first ? 1 : 0;
      this.#crumbs.set(crumb.key, { crumb, age });
      if (Math.abs(crumb.x - view.x) > view.width / 2 + 30 || Math.abs(crumb.y - view.y) > view.height / 2 + 30) continue;
      const bob = Math.sin(time * 2 + crumb.key);
      const grown = age > 0.3 ? 1 : 1.3 * Math.sin((age / 0.3) * 2.27);
      drawCrumb(ctx, crumb, crumb.x, crumb.y + 2 * bob, grown, colors);
    }
    for (const { crumb } of gone.values()) {
      let near = null;
      let best = 120 ** 2;
      for (const k of koi) {
        const d = (k.x - crumb.x) ** 2 + (k.y - crumb.y) ** 2;
        if (d < best) [near, best] = [k, d];
      }
      if (!near) continue;
      const { x, y } = near;
      this.#add(0.13, (c, t) => drawCrumb(c, crumb, crumb.x + (x - crumb.x) * t, crumb.y + (y - crumb.y) * t, 1 - 0.6 * t, colors));
    }
  }
}

function drawCrumb(ctx, { value }, x, y, scale, c) {
  const size = scale * (4 + Math.min(5, 0.9 * (value - 1)));
  ctx.fillStyle = c.crumbGlow;
  ctx.beginPath();
  ctx.arc(x, y, size * 2.3, 0, 2 * Math.PI);
  ctx.fill();
  ctx.fillStyle = value > 1 ? c.treat : c.crumb;
  ctx.beginPath();
  ctx.arc(x, y, size, 0, 2 * Math.PI);
  ctx.fill();
  ctx.fillStyle = 'rgb(255 255 255 / .7)';
  ctx.beginPath();
  ctx.arc(x - size * 0.3, y - size * 0.3, size * 0.32, 0, 2 * Math.PI);
  ctx.fill();
}
