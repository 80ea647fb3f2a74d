// The selected instrument: its price over the last minutes. The right edge is
// now, by the server's clock. Where the line ends before it, what the page
// shows is that old.

import { colors, fonts, shade, Surface } from './canvas.js';

const right = 62; // room for the prices
const bottom = 20; // and for the times
const late = 400; // milliseconds behind, from which on it is shown

export class Chart {
  instrument = null;
  seconds = 60;

  #surface;
  #low = NaN; // what the axis reaches from and to; follows the prices smoothly
  #high = NaN;
  #pointer = null;

  constructor(canvas) {
    this.#surface = new Surface(canvas);
    canvas.addEventListener('pointermove', (event) => { this.#pointer = { x: event.offsetX, y: event.offsetY }; });
    for (const type of ['pointerleave', 'pointercancel']) canvas.addEventListener(type, () => { this.#pointer = null; });
  }

  // Shows another instrument, or other times.
  show(instrument, seconds = this.seconds) {
    if (instrument !== this.instrument || seconds !== this.seconds) this.#low = this.#high = NaN;
    this.instrument = instrument;
    this.seconds = seconds;
  }

  // Draws the chart. now is the server's time and frontier that of the newest
  // trade that the page knows; slow holds the times {from, to, queued} at which
  // the connection was slow.
  draw(now, frontier, slow) {
    const { context: c, width, height } = this.#surface;
    const item = this.instrument;
    c.clearRect(0, 0, width, height);
    if (!item || !(now === now) || width < right) return;
    const w = width - right;
    const h = height - bottom;
    const from = now - this.seconds * 1000;
    const x = (time) => ((time - from) / (now - from)) * w;

    const points = [];
    let low = item.price;
    let high = item.price;
    let past = 0; // points that are no single trades
    item.each(from - 3000, (time, price, trade) => {
      points.push(time, price);
      if (!trade) past = points.length;
      if (price < low) low = price;
      if (price > high) high = price;
    });
    this.#follow(low, high);
    const y = (price) => 8 + (1 - (price - this.#low) / (this.#high - this.#low)) * (h - 16);

    const tag = Math.min(h - 9, Math.max(9, y(item.price)));
    this.#drawAxes(c, w, h, now, x, y, tag);
    c.save();
    c.beginPath();
    c.rect(0, 0, w, h);
    c.clip();
    for (const s of slow) this.#drawSlow(c, s, x, now, h);
    this.#drawLine(c, points, frontier, x, y, h);
    this.#drawDots(c, points, past, x, y);
    c.restore();
    this.#drawLate(c, now, Math.min(now, frontier), x, w, h);
    this.#drawTag(c, item, w, tag);
    if (this.#pointer && this.#pointer.x < w && this.#pointer.y < h) this.#drawCross(c, points, now, x, y, w, h);
  }

  #follow(low, high) {
    const room = Math.max((high - low) * 0.08, 2);
    low -= room;
    high += room;
    if (!(this.#low === this.#low)) [this.#low, this.#high] = [low, high];
    this.#low += (low - this.#low) * 0.15;
    this.#high += (high - this.#high) * 0.15;
  }

  #drawAxes(c, w, h, now, x, y, tag) {
    const item = this.instrument;
    c.lineWidth = 1;
    c.strokeStyle = colors.line;
    c.fillStyle = colors.muted;
    c.font = `10.5px ${fonts.mono}`;
    c.textBaseline = 'middle';
    c.textAlign = 'left';
    const step = niceStep((this.#high - this.#low) / Math.max(2, h / 34));
    c.beginPath();
    for (let p = Math.ceil(this.#low / step) * step; p <= this.#high; p += step) {
      const at = Math.round(y(p)) + 0.5;
      if (at < 6 || at > h - 2) continue;
      c.moveTo(0, at);
      c.lineTo(w, at);
      if (Math.abs(at - tag) > 15) c.fillText(item.format(p), w + 6, at);
    }
    c.textAlign = 'center';
    const every = this.seconds > 100 ? 60 : 15;
    for (let s = every; s < this.seconds; s += every) {
      const at = Math.round(x(now - s * 1000)) + 0.5;
      c.moveTo(at, 0);
      c.lineTo(at, h);
      c.fillText(every === 60 ? `−${s / 60} min` : `−${s} s`, at, h + 11);
    }
    c.stroke();
    c.textAlign = 'right';
    c.fillText('now', w, h + 11);
  }

  // The times at which the connection was slow.
  #drawSlow(c, { from, to, queued }, x, now, h) {
    const left = x(from);
    const wide = x(Math.min(to, now)) - left;
    c.fillStyle = shade(queued ? colors.bad : colors.slow, 0.1);
    c.fillRect(left, 0, wide, h);
    c.fillStyle = queued ? colors.bad : colors.slow;
    c.fillRect(left, h - 3, wide, 3);
  }

  // The line goes from trade to trade, and on to the frontier.
  #drawLine(c, points, frontier, x, y, h) {
    if (!points.length) return;
    const color = this.instrument.change < 0 ? colors.down : colors.up;
    const end = Math.max(points.at(-2), frontier);
    c.beginPath();
    for (let i = 0; i < points.length; i += 2) c.lineTo(x(points[i]), y(points[i + 1]));
    c.lineTo(x(end), y(points.at(-1)));
    c.lineWidth = 1.6;
    c.lineJoin = 'round';
    c.strokeStyle = color;
    c.stroke();
    c.lineTo(x(end), h);
    c.lineTo(x(points[0]), h);
    const fill = c.createLinearGradient(0, 0, 0, h);
    fill.addColorStop(0, shade(color, 0.22));
    fill.addColorStop(1, shade(color, 0.01));
    c.fillStyle = fill;
    c.fill();
  }

  // Where trades are far enough apart each of them is a dot.
  #drawDots(c, points, past, x, y) {
    c.beginPath();
    for (let i = past; i < points.length; i += 2) {
      const at = x(points[i]);
      if (i > past && at - x(points[i - 2]) < 3) continue;
      c.moveTo(at + 1.8, y(points[i + 1]));
      c.arc(at, y(points[i + 1]), 1.8, 0, 7);
    }
    c.fillStyle = this.instrument.change < 0 ? colors.down : colors.up;
    c.fill();
  }

  // The time that the page has no trades of yet.
  #drawLate(c, now, frontier, x, w, h) {
    const behind = now - frontier;
    if (behind < late) return;
    const from = Math.max(0, x(frontier));
    c.save();
    c.beginPath();
    c.rect(from, 0, w - from, h);
    c.clip();
    c.beginPath();
    for (let at = from - h; at < w; at += 7) {
      c.moveTo(at, h);
      c.lineTo(at + h, 0);
    }
    c.strokeStyle = shade(colors.bad, 0.35);
    c.lineWidth = 1;
    c.stroke();
    c.restore();
    const text = `${(behind / 1000).toFixed(1)} s behind`;
    c.font = `600 11px ${fonts.sans}`;
    c.textAlign = 'right';
    c.textBaseline = 'middle';
    const wide = c.measureText(text).width;
    const edge = Math.max(wide + 14, w - 5);
    c.fillStyle = colors.bad;
    c.beginPath();
    c.roundRect(edge - wide - 10, 5, wide + 10, 18, 5);
    c.fill();
    c.fillStyle = colors.panel;
    c.fillText(text, edge - 5, 14.5);
  }

  #drawTag(c, item, w, at) {
    const color = item.change < 0 ? colors.down : colors.up;
    c.setLineDash([2, 3]);
    c.strokeStyle = color;
    c.lineWidth = 1;
    c.beginPath();
    c.moveTo(0, Math.round(at) + 0.5);
    c.lineTo(w, Math.round(at) + 0.5);
    c.stroke();
    c.setLineDash([]);
    c.fillStyle = color;
    c.beginPath();
    c.roundRect(w + 1, at - 9, right - 2, 18, 4);
    c.fill();
    c.fillStyle = colors.panel;
    c.font = `600 11.5px ${fonts.mono}`;
    c.textAlign = 'left';
    c.textBaseline = 'middle';
    c.fillText(item.text, w + 6, at + 0.5);
  }

  // The trade under the pointer.
  #drawCross(c, points, now, x, y, w, h) {
    let best = -1;
    for (let i = 0; i < points.length; i += 2) {
      if (best < 0 || Math.abs(x(points[i]) - this.#pointer.x) < Math.abs(x(points[best]) - this.#pointer.x)) best = i;
    }
    if (best < 0) return;
    const [time, price] = [points[best], points[best + 1]];
    const [px, py] = [x(time), y(price)];
    c.strokeStyle = colors.muted;
    c.lineWidth = 1;
    c.beginPath();
    c.moveTo(Math.round(px) + 0.5, 0);
    c.lineTo(Math.round(px) + 0.5, h);
    c.stroke();
    c.beginPath();
    c.arc(px, py, 3.5, 0, 7);
    c.fillStyle = colors.text;
    c.fill();
    const text = `${this.instrument.format(price)}  ${((now - time) / 1000).toFixed(1)} s ago`;
    c.font = `600 11px ${fonts.mono}`;
    const wide = c.measureText(text).width + 12;
    const left = Math.min(w - wide, Math.max(0, px - wide / 2));
    const above = py > 40 ? py - 30 : py + 12;
    c.fillStyle = colors.field;
    c.beginPath();
    c.roundRect(left, above, wide, 19, 5);
    c.fill();
    c.fillStyle = colors.text;
    c.textAlign = 'left';
    c.textBaseline = 'middle';
    c.fillText(text, left + 6, above + 10);
  }
}

// The smallest of 1, 2, 5, 10, 20, … that is not less.
function niceStep(least) {
  const power = 10 ** Math.floor(Math.log10(Math.max(1, least)));
  for (const n of [1, 2, 5]) if (n * power >= least) return n * power;
  return 10 * power;
}
