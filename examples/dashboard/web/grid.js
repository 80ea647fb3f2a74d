// All instruments as tiles on a canvas: symbol, price, change, the last two
// minutes as a line, and a flash for each new price. The canvas is as large as
// what is in view; an empty element behind it gives the page its scroll bar.

import { colors, fonts, onColors, shade, reducedMotion, Surface } from './canvas.js';

const gap = 4;
const tileHeight = 46;
const leastWidth = 118;
const flashTime = 450; // milliseconds
const sparkLength = 60; // prices
const sparkHeight = 15;
const sparksPerFrame = 24; // so many lines are drawn anew at most

// How much the tile of an instrument flashes, from 1 to 0.
function glow(item, now) {
  const since = now - item.changed;
  return since < flashTime && !reducedMotion.matches ? (1 - since / flashTime) ** 1.5 : 0;
}

export class Grid {
  items = []; // instruments, in order
  selected = null;

  #scroll;
  #spacer;
  #surface;
  #onSelect;
  #columns = 1;
  #tileWidth = leastWidth;
  #places = new Map(); // instrument to where it is drawn: {x, y, spark}
  #sparks = document.createElement('canvas'); // all lines, drawn once for many frames
  #stale = []; // instruments whose line has to be drawn anew

  constructor(scroll, spacer, canvas, onSelect) {
    this.#scroll = scroll;
    this.#spacer = spacer;
    this.#onSelect = onSelect;
    this.#surface = new Surface(canvas, () => this.#layout(true));
    new ResizeObserver(() => this.#fit()).observe(scroll);
    onColors(() => this.redrawSparks());
    canvas.addEventListener('click', (event) => {
      const item = this.#at(event.offsetX, event.offsetY + scroll.scrollTop);
      if (item) onSelect(item);
    });
    scroll.addEventListener('keydown', (event) => this.#key(event));
    this.#fit();
  }

  #fit() {
    this.#surface.canvas.style.height = `${this.#scroll.clientHeight}px`;
    this.#surface.fit();
  }

  // Shows these instruments, in this order. Tiles move to their new places,
  // unless they are new.
  show(items) {
    this.items = items;
    this.#layout(false);
  }

  // Forgets everything, before other instruments come.
  clear() {
    this.#places.clear();
    this.selected = null;
    this.show([]);
  }

  select(item) {
    this.selected = item;
  }

  // Sees to it that the selected tile is in view.
  reveal() {
    const i = this.items.indexOf(this.selected);
    if (i < 0) return;
    const [, y] = this.#position(i);
    const { scrollTop, clientHeight } = this.#scroll;
    if (y < scrollTop) this.#scroll.scrollTop = y - gap;
    else if (y + tileHeight > scrollTop + clientHeight) this.#scroll.scrollTop = y + tileHeight + gap - clientHeight;
  }

  redrawSparks() {
    this.#stale = [...this.#places.keys()];
  }

  #position(i) {
    const column = i % this.#columns;
    return [column * (this.#tileWidth + gap), Math.floor(i / this.#columns) * (tileHeight + gap)];
  }

  #layout(resized) {
    const width = this.#surface.width || leastWidth;
    this.#columns = Math.max(1, Math.floor((width + gap) / (leastWidth + gap)));
    this.#tileWidth = (width + gap) / this.#columns - gap;
    const rows = Math.ceil(this.items.length / this.#columns);
    this.#spacer.style.height = `${Math.max(0, rows * (tileHeight + gap) - gap)}px`;
    for (let i = 0; i < this.items.length; i++) {
      const item = this.items[i];
      let place = this.#places.get(item);
      if (!place) {
        place = { x: NaN, y: NaN, spark: this.#places.size };
        this.#places.set(item, place);
        this.#stale.push(item);
      }
      [place.toX, place.toY] = this.#position(i);
      if (resized || !(place.shown === true)) [place.x, place.y] = [place.toX, place.toY];
      place.shown = true;
    }
    const shown = new Set(this.items);
    for (const [item, place] of this.#places) if (!shown.has(item)) place.shown = false;
    this.#sizeSparks();
  }

  // --- the lines -------------------------------------------------------------

  #sizeSparks() {
    const scale = this.#surface.scale || 1;
    const width = Math.floor(this.#tileWidth - 66);
    const across = 16;
    const count = Math.max(1, this.#places.size);
    const w = Math.round(Math.max(8, width) * scale) * across;
    const h = Math.round(sparkHeight * scale) * Math.ceil(count / across);
    if (this.#sparks.width === w && this.#sparks.height === h) return;
    this.#sparks.width = w;
    this.#sparks.height = h;
    this.sparkWidth = Math.max(8, width);
    this.redrawSparks();
  }

  // Where the line of a place is on #sparks, in device pixels.
  #slot(place) {
    const scale = this.#surface.scale || 1;
    const w = Math.round(this.sparkWidth * scale);
    const h = Math.round(sparkHeight * scale);
    return [(place.spark % 16) * w, Math.floor(place.spark / 16) * h, w, h];
  }

  #drawSpark(item) {
    const place = this.#places.get(item);
    if (!place) return;
    const c = this.#sparks.getContext('2d');
    const [x, y, w, h] = this.#slot(place);
    const prices = item.past.slice(-sparkLength);
    const low = Math.min(...prices);
    const range = Math.max(...prices) - low || 1;
    c.clearRect(x, y, w, h);
    c.beginPath();
    for (let i = 0; i < prices.length; i++) {
      c.lineTo(x + 1 + (i / (sparkLength - 1)) * (w - 2), y + h - 2 - ((prices[i] - low) / range) * (h - 4));
    }
    c.lineJoin = 'round';
    c.lineWidth = 1.1 * this.#surface.scale;
    c.strokeStyle = item.change < 0 ? colors.down : colors.up;
    c.stroke();
  }

  // --- a frame ---------------------------------------------------------------

  draw(now) {
    const { context: c, width, height } = this.#surface;
    const top = this.#scroll.scrollTop;
    for (let i = 0; i < sparksPerFrame && this.#stale.length; i++) this.#drawSpark(this.#stale.pop());

    const visible = [];
    for (const item of this.items) {
      const place = this.#places.get(item);
      this.#move(place);
      const y = place.y - top;
      if (y > -tileHeight && y < height) visible.push(item, place.x, y);
    }
    c.clearRect(0, 0, width, height);
    this.#drawBackgrounds(c, visible, now);
    this.#drawText(c, visible, now);
    const scale = this.#surface.scale;
    for (let i = 0; i < visible.length; i += 3) {
      const [sx, sy, sw, sh] = this.#slot(this.#places.get(visible[i]));
      c.drawImage(this.#sparks, sx, sy, sw, sh, visible[i + 1] + 8, visible[i + 2] + 25, sw / scale, sh / scale);
    }
  }

  #move(place) {
    const far = Math.abs(place.toX - place.x) + Math.abs(place.toY - place.y);
    if (far < 1 || reducedMotion.matches) {
      place.x = place.toX;
      place.y = place.toY;
    } else {
      place.x += (place.toX - place.x) * 0.16;
      place.y += (place.toY - place.y) * 0.16;
    }
  }

  #drawBackgrounds(c, visible, now) {
    const w = this.#tileWidth;
    c.beginPath();
    for (let i = 0; i < visible.length; i += 3) c.roundRect(visible[i + 1], visible[i + 2], w, tileHeight, 6);
    c.fillStyle = colors.tile;
    c.fill();
    for (let i = 0; i < visible.length; i += 3) {
      const item = visible[i];
      // The colour of the day, and over it that of the moment.
      const flash = glow(item, now);
      const heat = Math.min(0.2, Math.abs(item.change) * 6) * (1 - flash);
      this.#tint(c, visible[i + 1], visible[i + 2], item.change < 0 ? colors.down : colors.up, heat);
      this.#tint(c, visible[i + 1], visible[i + 2], item.direction < 0 ? colors.down : colors.up, 0.45 * flash);
      if (item === this.selected) {
        c.lineWidth = 2;
        c.strokeStyle = colors.accent;
        c.beginPath();
        c.roundRect(visible[i + 1] + 1, visible[i + 2] + 1, w - 2, tileHeight - 2, 5);
        c.stroke();
      }
    }
  }

  #tint(c, x, y, color, alpha) {
    if (alpha < 0.01) return;
    c.beginPath();
    c.roundRect(x, y, this.#tileWidth, tileHeight, 6);
    c.fillStyle = shade(color, alpha);
    c.fill();
  }

  #drawText(c, visible, now) {
    const right = this.#tileWidth - 8;
    c.textBaseline = 'alphabetic';
    c.textAlign = 'left';
    c.fillStyle = colors.text;
    c.font = `650 12px ${fonts.sans}`;
    for (let i = 0; i < visible.length; i += 3) c.fillText(visible[i].symbol, visible[i + 1] + 8, visible[i + 2] + 18);
    c.textAlign = 'right';
    c.font = `600 12.5px ${fonts.mono}`;
    for (let i = 0; i < visible.length; i += 3) c.fillText(visible[i].text, visible[i + 1] + right, visible[i + 2] + 18);
    c.font = `500 11px ${fonts.mono}`;
    for (let i = 0; i < visible.length; i += 3) {
      // On a flash of its own colour it could not be read.
      if (glow(visible[i], now) > 0.3) c.fillStyle = colors.text;
      else c.fillStyle = visible[i].change < 0 ? colors.down : colors.up;
      c.fillText(visible[i].changeText, visible[i + 1] + right, visible[i + 2] + 37);
    }
  }

  // --- choosing --------------------------------------------------------------

  #at(x, y) {
    const column = Math.floor(x / (this.#tileWidth + gap));
    const row = Math.floor(y / (tileHeight + gap));
    return column < this.#columns ? this.items[row * this.#columns + column] : undefined;
  }

  #key(event) {
    if (event.ctrlKey || event.metaKey || event.altKey || !this.items.length) return;
    const page = Math.max(1, Math.floor(this.#scroll.clientHeight / (tileHeight + gap)) - 1) * this.#columns;
    const last = this.items.length - 1;
    const at = this.items.indexOf(this.selected);
    const to = {
      ArrowRight: at + 1,
      ArrowLeft: at - 1,
      ArrowDown: at + this.#columns <= last ? at + this.#columns : at,
      ArrowUp: at - this.#columns >= 0 ? at - this.#columns : at,
      PageDown: at + page,
      PageUp: at - page,
      Home: 0,
      End: last,
    }[event.key];
    if (to === undefined) return;
    event.preventDefault();
    this.#onSelect(this.items[Math.min(last, Math.max(0, to))]);
    this.reveal();
  }
}
