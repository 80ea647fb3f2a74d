// The player's input, from keys, mouse or fingers, whichever was used last.

import { headingOf } from './motion.js';

const keys = {
  ArrowUp: [0, -1], KeyW: [0, -1],
  ArrowDown: [0, 1], KeyS: [0, 1],
  ArrowLeft: [-1, 0], KeyA: [-1, 0],
  ArrowRight: [1, 0], KeyD: [1, 0],
};
const stick = 60; // CSS pixels that a finger moves for full speed
const deadZone = 8;
const near = 26; // a mouse this near to the koi lets it rest,
const far = 150; // and from here on it swims as fast as it can

export class Input {
  stick = null; // {x, y, dx, dy} of the finger that steers, for drawing

  #scene;
  #down = new Set(); // keys
  #mouse = null; // {x, y} on the page
  #finger = 0; // pointerId of the one that steers
  #dir = 0;
  #darts = new Set(); // what holds the dart: 'key', 'button' or a pointerId
  #dart = false; // pressed since it was asked for

  constructor(canvas, dartButton, scene) {
    this.#scene = scene;
    addEventListener('keydown', (event) => this.#key(event, true));
    addEventListener('keyup', (event) => this.#key(event, false));
    addEventListener('blur', () => this.#release());
    canvas.addEventListener('pointerdown', (event) => this.#press(event, canvas));
    canvas.addEventListener('pointermove', (event) => this.#move(event));
    for (const type of ['pointerup', 'pointercancel']) canvas.addEventListener(type, (event) => this.#lift(event));
    canvas.addEventListener('contextmenu', (event) => event.preventDefault());
    dartButton.addEventListener('pointerdown', () => this.#hold('button'));
    for (const type of ['pointerup', 'pointercancel', 'pointerleave']) dartButton.addEventListener(type, () => this.#darts.delete('button'));
    // Keyboards and assistive technology click without a pointer.
    dartButton.addEventListener('click', () => { this.#dart = true; });
  }

  // Returns the steering for our koi, from its position and heading.
  steering(koi, camera) {
    const dart = this.#dart || this.#darts.size > 0;
    this.#dart = false;
    return { ...this.#course(koi, camera), dart };
  }

  #course(koi, camera) {
    let x = 0;
    let y = 0;
    for (const code of this.#down) {
      x += keys[code][0];
      y += keys[code][1];
    }
    let throttle = 255;
    if (!x && !y) {
      const [to, least, most] = this.stick ? [this.stick, deadZone, stick] : [this.#toMouse(koi, camera), near, far];
      x = to.dx;
      y = to.dy;
      throttle = Math.round(255 * Math.min(1, Math.max(0, (Math.hypot(x, y) - least) / (most - least))));
    }
    if (throttle > 0) this.#dir = headingOf(x, y);
    return { dir: throttle > 0 ? this.#dir : koi.heading & 255, throttle };
  }

  // From our koi to the mouse, in CSS pixels.
  #toMouse(koi, camera) {
    if (!this.#mouse) return { dx: 0, dy: 0 };
    const at = this.#scene.fromCamera(this.#mouse.x, this.#mouse.y);
    return { dx: (camera.x + at.x - koi.x) * this.#scene.zoom, dy: (camera.y + at.y - koi.y) * this.#scene.zoom };
  }

  #key(event, down) {
    // The browser may want the key, or an element that has the focus.
    const wanted = (selector) => down && Boolean(event.target.closest?.(selector));
    if (down && (event.ctrlKey || event.metaKey || event.altKey) || wanted('dialog, select')) return;
    if (event.code in keys) {
      if (down) this.#down.add(event.code);
      else this.#down.delete(event.code);
      this.#mouse = null;
    } else if (event.code === 'Space' && !wanted('button, summary, input')) {
      if (down && !event.repeat) this.#hold('key');
      if (!down) this.#darts.delete('key');
    } else {
      return;
    }
    if (down) event.preventDefault();
  }

  #hold(by) {
    this.#darts.add(by);
    this.#dart = true;
  }

  #press(event, canvas) {
    if (event.pointerType === 'mouse') {
      this.#move(event);
      this.#hold(event.pointerId);
    } else if (!this.#finger) {
      this.#finger = event.pointerId;
      this.#mouse = null;
      this.stick = { x: event.clientX, y: event.clientY, dx: 0, dy: 0 };
    } else {
      this.#hold(event.pointerId); // a second finger
    }
    canvas.setPointerCapture(event.pointerId);
  }

  #move(event) {
    if (event.pointerType === 'mouse') {
      this.#mouse = { x: event.clientX, y: event.clientY };
    } else if (event.pointerId === this.#finger) {
      const s = this.stick;
      s.dx = event.clientX - s.x;
      s.dy = event.clientY - s.y;
      // The stick comes along when the finger leaves it.
      const over = Math.hypot(s.dx, s.dy) / stick;
      if (over > 1) {
        s.x += s.dx * (1 - 1 / over);
        s.y += s.dy * (1 - 1 / over);
        s.dx /= over;
        s.dy /= over;
      }
    }
  }

  #lift(event) {
    this.#darts.delete(event.pointerId);
    if (event.pointerId !== this.#finger) return;
    this.#finger = 0;
    this.stick = null;
  }

  #release() {
    this.#down.clear();
    this.#darts.clear();
    this.#mouse = null;
  }
}
