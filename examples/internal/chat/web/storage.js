// The browser's storage: for this tab (sessionStorage), so that two tabs can be two
// people, and for this browser (localStorage). Where storage is forbidden the chat
// works all the same, until the page is reloaded.

function store(area) {
  return {
    get(key, otherwise) {
      try {
        return JSON.parse(window[area].getItem(`chat.${key}`)) ?? otherwise;
      } catch {
        return otherwise;
      }
    },
    set(key, value) {
      try {
        window[area].setItem(`chat.${key}`, JSON.stringify(value));
      } catch { /* full or forbidden */ }
    },
  };
}

export const tab = store('sessionStorage');
export const browser = store('localStorage');

// The secret by which the server knows this tab again. Nobody else sees it.
export const key = tab.get('key') ?? newKey();

function newKey() {
  const bytes = crypto.getRandomValues(new Uint8Array(24));
  const secret = Array.from(bytes, (b) => b.toString(16).padStart(2, '0')).join('');
  tab.set('key', secret);
  return secret;
}
