/** @file Horizontal bars with a label and a number each, which can be buttons. */

import { make, set } from "./dom.js";

/**
 * @typedef {object} Bar
 * @property {string} label
 * @property {number} value its length; all bars have one scale
 * @property {string} text the value as it is shown
 * @property {string} [title] what a press does, for buttons
 * @property {boolean} [pale]
 * @property {any} [key] what `press` is called with; a bar without a key is no button
 */

/**
 * Make a list of bars. A bar stays the same element when it is drawn anew, so the focus stays where it is.
 * @param {(key: any) => void} [press]
 */
export function bars(press) {
  const element = make("ul", { class: "bars" });
  /** @type {ReturnType<typeof row>[]} */ const rows = [];

  function row() {
    let key = /** @type {any} */ (undefined);
    let held = key; // the bar may become another one while the button is held down
    const label = make("span", { class: "label" });
    const length = make("span", { class: "length" });
    const text = make("span", { class: "text" });
    const button = make(
      "button",
      {
        type: "button",
        onpointerdown: () => (held = key),
        onclick: (event) => {
          const chosen = event.detail ? held : key;
          if (chosen !== undefined) press?.(chosen);
        },
      },
      label,
      make("span", { class: "track" }, length),
      text,
    );
    const item = make("li", {}, button);
    return {
      item,
      /** @param {Bar} bar @param {number} largest */
      draw(bar, largest) {
        key = bar.key;
        label.textContent = bar.label;
        text.textContent = bar.text;
        length.style.setProperty("width", `${(100 * bar.value) / largest}%`);
        item.classList.toggle("pale", bar.pale ?? false);
        set(button, { title: bar.title, disabled: bar.key === undefined, "aria-label": `${bar.label}: ${bar.text}` });
      },
    };
  }

  return {
    element,
    /**
     * Draw bars in their order.
     * @param {Bar[]} all
     * @param {number} [largest] the value of a bar of full length; by default the largest of all
     */
    draw(all, largest = Math.max(...all.map(({ value }) => value), Number.MIN_VALUE)) {
      while (rows.length < all.length) element.append(rows[rows.push(row()) - 1].item);
      rows.forEach(({ item }, i) => set(item, { hidden: i >= all.length }));
      all.forEach((bar, i) => rows[i].draw(bar, largest));
    },
  };
}
