// The two charts of the connection, from the bins of the Meter: the updates that came
// and those that were skipped, and their age.

import { colors, fonts, shade, Surface } from './canvas.js';

const left = 44; // room for the scale
const shown = 120; // bins: a minute

class Strip {
  constructor(canvas) {
    this.surface = new Surface(canvas);
  }

  // The left edge of a bin, where the newest is the last.
  x(i, bins) {
    return left + ((this.surface.width - left) * (shown - bins.length + i)) / shown;
  }

  prepare(bins) {
    const { context: c, width, height } = this.surface;
    c.clearRect(0, 0, width, height);
    c.font = `10px ${fonts.mono}`;
    c.textAlign = 'right';
    c.textBaseline = 'middle';
    const wide = (width - left) / shown;
    for (let i = 0, next; i < bins.length; i = next) {
      for (next = i + 1; next < bins.length && bins[next].mode === bins[i].mode; next++);
      if (!bins[i].mode) continue;
      c.fillStyle = shade(bins[i].mode === 'queue' ? colors.bad : colors.slow, 0.13);
      c.fillRect(this.x(i, bins), 0, (next - i) * wide, height);
    }
    return { c, width, height, wide };
  }

  line(c, at, label) {
    c.strokeStyle = colors.line;
    c.lineWidth = 1;
    c.beginPath();
    c.moveTo(left, Math.round(at) + 0.5);
    c.lineTo(this.surface.width, Math.round(at) + 0.5);
    c.stroke();
    c.fillStyle = colors.muted;
    c.fillText(label, left - 6, at);
  }
}

export class Bars extends Strip {
  #top = 1000;

  draw(all) {
    const bins = all.slice(-shown);
    const { c, height, wide } = this.prepare(bins);
    // Queued trades come all at once in the end. Their bar may exceed the scale.
    const totals = bins.map((b) => (b.received + b.skipped) / b.seconds).sort((a, b) => a - b);
    const most = Math.min(totals.at(-1), 3 * totals[Math.floor(totals.length / 2)]);
    this.#top += (Math.max(10, most * 1.1) - this.#top) * 0.3;
    const y = (n) => height - 1 - ((height - 8) * Math.min(n, this.#top)) / this.#top;
    // A line at the largest round number that fits.
    const power = 10 ** Math.floor(Math.log10(this.#top));
    const round = power * [5, 2, 1].find((n) => n * power <= this.#top);
    this.line(c, y(round), round.toLocaleString('en'));
    this.line(c, height - 1, '');
    for (let i = 0; i < bins.length; i++) {
      const b = bins[i];
      const x = this.x(i, bins);
      const got = y(b.received / b.seconds);
      const all = y((b.received + b.skipped) / b.seconds);
      c.fillStyle = colors.accent;
      c.fillRect(x, got, wide - 0.6, height - got);
      c.fillStyle = colors.skip;
      c.fillRect(x, all, wide - 0.6, got - all);
    }
  }
}

const bounds = [0.1, 100_000]; // milliseconds

export class LatencyChart extends Strip {
  draw(all) {
    const bins = all.slice(-shown);
    const { c, height, wide } = this.prepare(bins);
    const y = (ms) => {
      const part = Math.log(Math.max(ms, bounds[0]) / bounds[0]) / Math.log(bounds[1] / bounds[0]);
      return height - 5 - (height - 10) * Math.min(1, part);
    };
    for (const [ms, label] of [[1, '1 ms'], [100, '100 ms'], [10_000, '10 s']]) this.line(c, y(ms), label);
    for (const [quantile, color, thick] of [['p99', colors.faint, 1.2], ['median', colors.accent, 2]]) {
      c.beginPath();
      let down = false;
      for (let i = 0; i < bins.length; i++) {
        const ms = bins[i][quantile];
        const x = this.x(i, bins) + wide / 2;
        if (!(ms === ms)) down = false;
        else if (down) c.lineTo(x, y(ms));
        else c.moveTo(x, y(ms)), (down = true);
      }
      c.strokeStyle = color;
      c.lineWidth = thick;
      c.lineJoin = 'round';
      c.stroke();
    }
  }
}
