// People and bots who can be called, filtered by what is typed.

import { avatar, find, icon, make, person, sameName } from "./dom.js";

/** @typedef {import("./messages.js").Contact} Contact */

/** How many are listed: in a crowd nobody reads them all. */
const MOST = 500;
const order = new Intl.Collator(undefined, { sensitivity: "base", numeric: true });
/** @type {Record<import("./messages.js").Status, string>} */
const STATUS = { available: "Here now", in_call: "In a call", away: "Away for a moment" };

/** @param {string} text */
const plain = (text) => text.normalize("NFKD").replace(/\p{M}/gu, "").toLowerCase();

export class ContactList {
  #list = find("#contacts", HTMLUListElement);
  #empty = find("#no-contacts", HTMLElement);
  #more = find("#more-contacts", HTMLElement);
  /** @type {Map<string, Contact>} */
  #contacts = new Map();
  /** @type {Map<string, HTMLLIElement>} */
  #items = new Map();
  #filter = "";
  #known = false;

  /**
   * @param {string} name  one's own, which is left out
   * @param {(contact: Contact) => void} call
   */
  constructor(name, call) {
    this.name = name;
    this.call = call;
  }

  /**
   * @param {string} name
   * @returns {Contact | undefined}
   */
  get(name) {
    return [...this.#contacts.values()].find((contact) => sameName(contact.name, name));
  }

  /**
   * @param {Contact[]} people
   * @param {number} more  how many there are besides them
   */
  fill(people, more) {
    this.#more.hidden = more === 0;
    this.#known = true;
    const others = people.filter(({ name }) => name !== this.name);
    this.#contacts = new Map(others.map((contact) => [contact.name, contact]));
    this.#show();
  }

  /**
   * @param {Contact} contact
   * @param {boolean} online
   */
  change(contact, online) {
    if (contact.name === this.name) return;
    const known = this.#contacts.has(contact.name);
    if (!online) this.#contacts.delete(contact.name);
    else if (known || this.#contacts.size < MOST) this.#contacts.set(contact.name, contact);
    else this.#more.hidden = false;
    this.#show();
  }

  /** @param {string} text */
  filter(text) {
    this.#filter = plain(text.trim());
    this.#show();
  }

  /** Rows stay the same elements, so that the focus stays where it is. */
  #show() {
    const shown = [...this.#contacts.values()]
      .filter(({ name, about }) => plain(`${name} ${about}`).includes(this.#filter))
      .sort((a, b) => Number(a.bot) - Number(b.bot) || order.compare(a.name, b.name));
    const wanted = new Set(shown.map(({ name }) => name));
    for (const [name, item] of [...this.#items]) {
      if (wanted.has(name)) continue;
      item.remove();
      this.#items.delete(name);
    }
    shown.forEach((contact, index) => {
      const item = this.#items.get(contact.name) ?? this.#row(contact);
      this.#describe(item, contact);
      const there = this.#list.children[index];
      if (there !== item) this.#list.insertBefore(item, there ?? null);
    });
    this.#empty.hidden = shown.length > 0 || !this.#known;
    this.#empty.textContent = this.#filter === ""
      ? "Nobody else is here right now. Open this page in another window to try a call."
      : "Nobody of this name is here right now.";
  }

  /** @param {Contact} contact */
  #row({ name }) {
    const lines = make("span", { class: "lines" });
    const title = make("span", { class: "who-name" }, person(name));
    lines.append(title, make("span", { class: "about" }));
    const button = make("button", { type: "button", class: "quiet call-one" });
    button.append(icon("phone"), make("span", {}, "Call"));
    button.setAttribute("aria-label", `Call ${name}`);
    button.addEventListener("click", () => {
      const contact = this.#contacts.get(name);
      if (contact) this.call(contact);
    });
    const item = make("li", { class: "person-row", "data-name": name });
    item.append(avatar(name), lines, button);
    this.#items.set(name, item);
    return item;
  }

  /**
   * @param {HTMLLIElement} item
   * @param {Contact} contact
   */
  #describe(item, { bot, about, status }) {
    item.dataset["status"] = status;
    const title = find(".who-name", HTMLElement, item);
    const tagged = title.querySelector(".tag") !== null;
    if (bot && !tagged) title.append(make("span", { class: "tag" }, icon("bot"), "bot"));
    const words = bot && about && status === "available" ? about : STATUS[status];
    const line = find(".about", HTMLElement, item);
    if (line.textContent !== words) line.textContent = words;
  }
}
