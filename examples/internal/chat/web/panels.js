// The two side panels, which are drawers on a narrow screen, and the dialog
// that asks for a name.

import { $, show } from './dom.js';

const backdrop = $('backdrop');
let open = null; // the panel that is open as a drawer
let opener = null; // the button that has opened it, where the focus returns to

function openPanel(button) {
  opener = button;
  open = $(button.dataset.opens);
  open.classList.add('open');
  button.setAttribute('aria-expanded', 'true');
  show(backdrop, true);
  $('main').inert = true;
  open.querySelector('.close').focus();
}

export function closePanel() {
  if (!open) return;
  open.classList.remove('open');
  opener.setAttribute('aria-expanded', 'false');
  show(backdrop, false);
  $('main').inert = false;
  opener.focus();
  open = opener = null;
}

for (const button of document.querySelectorAll('[data-opens]')) {
  button.addEventListener('click', () => openPanel(button));
}
for (const button of document.querySelectorAll('[data-closes]')) {
  button.addEventListener('click', closePanel);
}
backdrop.addEventListener('click', closePanel);
addEventListener('keydown', (event) => {
  if (event.key === 'Escape') closePanel();
});
// On a screen that has become wide the panels are part of the page.
for (const width of ['(min-width: 760px)', '(min-width: 1080px)']) {
  matchMedia(width).addEventListener('change', closePanel);
}

const first = ['Quiet', 'Brave', 'Lucky', 'Swift', 'Merry', 'Gentle', 'Clever', 'Sunny', 'Witty', 'Calm', 'Proud', 'Jolly'];
const second = ['Otter', 'Heron', 'Lynx', 'Badger', 'Falcon', 'Hedgehog', 'Marten', 'Raven', 'Beaver', 'Puffin', 'Fox', 'Owl'];
const pick = (list) => list[Math.floor(Math.random() * list.length)];
export const suggestion = () => `${pick(first)} ${pick(second)}`;

// Asks for a name and resolves to it, or to what is there now if the visitor
// does not care.
export function askName(now, hint, action) {
  const dialog = $('name-dialog');
  const input = $('name');
  input.value = now;
  $('name-hint').textContent = hint;
  $('name-ok').textContent = action;
  if (!dialog.open) dialog.showModal();
  input.select();
  return new Promise((resolve) => {
    $('name-form').onsubmit = (event) => {
      event.preventDefault();
      dialog.close(input.value.trim());
    };
    dialog.onclose = () => {
      resolve(dialog.returnValue || now);
      dialog.returnValue = '';
    };
  });
}
