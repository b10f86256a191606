// The title of the page: who calls, how much is unread, then where one is.

const base = document.title;
let caller = "";
let unread = 0;

function show() {
  const count = unread > 0 ? `(${unread > 99 ? "99+" : unread}) ` : "";
  document.title = caller ? `${caller} · ${base}` : `${count}${base}`;
}

document.addEventListener("ringback:title", (event) => {
  caller = /** @type {CustomEvent<string>} */ (event).detail;
  show();
});

/** @param {number} count  messages nobody has looked at */
export function setUnread(count) {
  unread = count;
  show();
}
