// Who is in the room, each with a button that calls them; a drawer on small screens.

import { avatar, find, icon, make, person } from "./dom.js";

/** @typedef {import("./messages.js").Member} Member */

/** How many are shown: in a crowd nobody reads them all. */
const MOST = 500;
const order = new Intl.Collator(undefined, { sensitivity: "base", numeric: true });

export class People {
  #list = find("#people-list", HTMLUListElement);
  #alone = find("#alone", HTMLElement);
  #counts = document.querySelectorAll("[data-people-count]");
  /** @type {Map<string, HTMLLIElement>} */
  #items = new Map();
  #more = find("#more-people", HTMLElement);
  #drawer = new Drawer();

  /**
   * @param {string} name  one's own
   * @param {(member: Member) => void} call
   */
  constructor(name, call) {
    this.name = name;
    this.call = call;
  }

  /**
   * @param {Member[]} members
   * @param {number} more  how many are here besides them
   */
  fill(members, more) {
    this.#more.hidden = more === 0;
    const here = new Set(members.map(({ name }) => name));
    for (const name of [...this.#items.keys()]) if (!here.has(name)) this.#remove(name);
    for (const member of members) this.#add(member);
    this.#count();
  }

  /**
   * @param {Member} member
   * @param {boolean} here
   */
  change(member, here) {
    if (here) this.#add(member);
    else this.#remove(member.name);
    this.#count();
  }

  /** @param {Member} member */
  #add(member) {
    const { name, bot } = member;
    if (this.#items.has(name)) return;
    if (this.#items.size >= MOST && name !== this.name) {
      this.#more.hidden = false;
      return;
    }
    const own = name === this.name;
    const who = make("span", { class: "who-name" }, person(name));
    if (own) who.append(make("span", { class: "tag" }, "you"));
    if (bot) who.append(make("span", { class: "tag" }, icon("bot"), "bot"));
    const item = make("li", { class: "person-row", "data-name": name }, avatar(name), who);
    if (!own) {
      const button = make("button", { type: "button", class: "quiet call-one" });
      button.append(icon("phone"), make("span", {}, "Call"));
      button.setAttribute("aria-label", `Call ${name}`);
      button.addEventListener("click", () => {
        // The focus comes back to where it is now when the call is over.
        this.#drawer.close();
        this.call(member);
      });
      item.append(button);
    }
    this.#items.set(name, item);
    this.#sortIn(item, name);
  }

  /**
   * Oneself first, then by name.
   * @param {string} a
   * @param {string} b
   */
  #before(a, b) {
    if (a === this.name || b === this.name) return a === this.name;
    return order.compare(a, b) < 0;
  }

  /**
   * @param {HTMLLIElement} item
   * @param {string} name
   */
  #sortIn(item, name) {
    const others = [...this.#list.children].filter((other) => other !== item);
    const next = others.find((other) => this.#before(name, other.getAttribute("data-name") ?? ""));
    if (next) next.before(item);
    else this.#list.append(item);
  }

  /** @param {string} name */
  #remove(name) {
    this.#items.get(name)?.remove();
    this.#items.delete(name);
  }

  #count() {
    const count = this.#more.hidden ? String(this.#items.size) : `${this.#items.size}+`;
    for (const place of this.#counts) place.textContent = count;
    this.#alone.hidden = this.#items.size > 1;
  }
}

/** The list as a drawer: opened by a button, closed by Escape, the shade or its own button. */
class Drawer {
  #drawer = find("#people", HTMLElement);
  #shade = find("#people-shade", HTMLElement);
  #toggle = find("#people-toggle", HTMLButtonElement);
  #closer = find("#people-close", HTMLButtonElement);
  #behind = [find("#room-bar", HTMLElement), find("#chat", HTMLElement)];

  constructor() {
    this.#toggle.addEventListener("click", () => this.#open());
    this.#closer.addEventListener("click", () => this.close());
    this.#shade.addEventListener("click", () => this.close());
    document.addEventListener("keydown", (event) => {
      const dialogue = document.querySelector("dialog:modal");
      if (event.key === "Escape" && !dialogue) this.close();
    });
    matchMedia("(min-width: 48rem)").addEventListener("change", () => this.close(false));
  }

  #open() {
    this.#drawer.classList.add("open");
    this.#shade.hidden = false;
    for (const part of this.#behind) part.inert = true;
    this.#toggle.setAttribute("aria-expanded", "true");
    this.#closer.focus();
  }

  /** @param {boolean} [back]  the focus goes back to the button that opened it */
  close(back = true) {
    if (!this.#drawer.classList.contains("open")) return;
    this.#drawer.classList.remove("open");
    this.#shade.hidden = true;
    for (const part of this.#behind) part.inert = false;
    this.#toggle.setAttribute("aria-expanded", "false");
    if (back) this.#toggle.focus();
  }
}
