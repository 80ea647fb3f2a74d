// For all canvases: sharp pixels, and the colours of the style sheet.

const names = ['page', 'panel', 'field', 'line', 'tile', 'text', 'muted', 'faint', 'accent', 'up', 'down', 'skip', 'slow', 'bad'];

export const colors = {};
export const fonts = {};

const changes = [];

function readColors() {
  const style = getComputedStyle(document.documentElement);
  for (const name of names) colors[name] = style.getPropertyValue(`--${name}`).trim();
  fonts.sans = style.getPropertyValue('--sans').trim();
  fonts.mono = style.getPropertyValue('--mono').trim();
  for (const f of changes) f();
}

readColors();
matchMedia('(prefers-color-scheme: dark)').addEventListener('change', readColors);

// Calls f whenever the colours have changed.
export function onColors(f) {
  changes.push(f);
}

// A colour of the style sheet, which is #rrggbb, with an opacity.
const shades = new Map();
export function shade(color, alpha) {
  const key = Math.round(alpha * 100);
  let byAlpha = shades.get(color);
  if (!byAlpha) shades.set(color, (byAlpha = []));
  return (byAlpha[key] ??= color + Math.round(2.55 * key).toString(16).padStart(2, '0'));
}

export const reducedMotion = matchMedia('(prefers-reduced-motion: reduce)');

// Keeps a canvas as sharp as the screen allows. The size is in CSS pixels.
export class Surface {
  width = 0;
  height = 0;

  constructor(canvas, resized = () => {}) {
    this.canvas = canvas;
    this.context = canvas.getContext('2d');
    this.resized = resized;
    new ResizeObserver(() => this.fit()).observe(canvas);
  }

  fit() {
    const { clientWidth: width, clientHeight: height } = this.canvas;
    const scale = Math.min(devicePixelRatio || 1, 3);
    if (width === this.width && height === this.height && scale === this.scale) return;
    Object.assign(this, { width, height, scale });
    this.canvas.width = Math.round(width * scale);
    this.canvas.height = Math.round(height * scale);
    this.context.setTransform(scale, 0, 0, scale, 0, 0);
    this.resized();
  }
}
