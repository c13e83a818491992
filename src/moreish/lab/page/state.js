/** @file What a person has set, kept in the fragment of the address, such as #list=dinosaurs&lr=0.01&next.prefix=ma. */

/**
 * Names and values of a fragment.
 * @param {string} fragment
 * @returns {Map<string, string>}
 */
export const parseState = (fragment) => new Map(new URLSearchParams(fragment.replace(/^#/, "")));

/**
 * The fragment of names and values; "" if there are none.
 * @param {Map<string, string>} values
 */
export const formatState = (values) => (values.size ? `#${new URLSearchParams([...values])}` : "");

const WAIT = 150; // milliseconds between a change and the address: browsers limit the number of changes

/**
 * The state in the address. A panel's names begin with the panel's own: "next.prefix". Names without a point belong to
 * the shell: list, model, and the options as on the command line.
 */
export class State {
  #values = parseState(location.hash);
  #timer = 0;
  #push = false;

  /** @param {() => void} changed called when the address was changed by hand, or by going back or forward */
  constructor(changed) {
    addEventListener("popstate", () => {
      if (formatState(this.#values) === formatState(parseState(location.hash))) return;
      clearTimeout(this.#timer);
      this.#push = false;
      this.#values = parseState(location.hash);
      changed();
    });
    addEventListener("pagehide", () => this.#write());
  }

  /**
   * The value of a name.
   * @param {string} name
   * @param {string} [otherwise] what to return if it is not set
   */
  get(name, otherwise = "") {
    return this.#values.get(name) ?? otherwise;
  }

  /** @param {string} name */
  has(name) {
    return this.#values.has(name);
  }

  /**
   * Set the value of a name; null removes it.
   * @param {string} name
   * @param {string | number | boolean | null} value
   * @param {boolean} [push] whether "back" returns to what was before
   */
  set(name, value, push = false) {
    if (value === null ? !this.#values.has(name) : this.#values.get(name) === String(value)) return;
    if (value === null) this.#values.delete(name);
    else this.#values.set(name, String(value));
    this.#push ||= push;
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#write(), WAIT);
  }

  /** The address with all that is set. */
  address() {
    return location.href.replace(/#.*/, "") + formatState(this.#values);
  }

  #write() {
    clearTimeout(this.#timer);
    const address = this.address();
    if (address !== location.href) history[this.#push ? "pushState" : "replaceState"](null, "", address);
    this.#push = false;
  }
}
