/** @file The settings that a person wants: list, model and options, in the address and on the server. */

/**
 * @typedef {import("./lab.js").Control} Control
 * @typedef {import("./lab.js").Controls} Controls
 * @typedef {import("./lab.js").Option} Option
 * @typedef {{list: string, model: string, options: Record<string, Option>}} Wanted
 */

const OF_COUNTED = ["seed", "split", "split_seed", "weight_power"]; // options of training that a counted model has
/** Options of which one may be given. @type {Record<string, string>} */
const EXCLUSIVE = { epochs: "steps", steps: "epochs", batch_size: "full_batch", full_batch: "batch_size" };

/**
 * The name of an option on the command line and in the address.
 * @param {string} name
 */
export const dashed = (name) => name.replaceAll("_", "-");

/**
 * The controls of a model: its own, and those of its training.
 * @param {Controls} controls
 * @param {string} model
 */
export function controlsOf(controls, model) {
  const found = controls.models[model];
  const training = controls.training.filter(({ name }) => !found || found.net || OF_COUNTED.includes(name));
  return { model: found?.options ?? [], training };
}

/**
 * The value of an option from its text. A text that is no value stays: the server says what is wrong with it.
 * @param {Control} control
 * @param {string} text
 * @returns {Option}
 */
export function parseOption(control, text) {
  if (control.kind === "boolean") return text === "true" || (text === "false" ? false : text);
  if (control.kind === "choice" || text.trim() === "") return text;
  const digits = text.trim().replaceAll("_", "");
  const number = Number(digits);
  if (control.kind === "whole" && !Number.isSafeInteger(number)) return digits; // which the server reads
  return Number.isFinite(number) ? number : text;
}

/**
 * The settings that an address names, on top of those of the server; null if it names none.
 * @param {Pick<import("./state.js").State, "get" | "has">} state
 * @param {Controls} controls
 * @param {Wanted} settings
 * @returns {Wanted | null}
 */
export function named(state, controls, settings) {
  const model = state.get("model", settings.model);
  const of = controlsOf(controls, model);
  /** @type {Record<string, Option>} */
  const options = {};
  for (const control of [...of.model, ...of.training])
    if (state.has(dashed(control.name))) options[control.name] = parseOption(control, state.get(dashed(control.name)));
  if (!state.has("list") && !state.has("model") && !Object.keys(options).length) return null;
  return { list: state.get("list", settings.list), model, options };
}

/**
 * Whether two settings are the same.
 * @param {Wanted} a
 * @param {Wanted} b
 */
export function same(a, b) {
  const names = [...new Set([...Object.keys(a.options), ...Object.keys(b.options)])];
  return a.list === b.list && a.model === b.model && names.every((name) => a.options[name] === b.options[name]);
}

/**
 * Settings with another model: options that it does not have are dropped.
 * @param {Wanted} wanted
 * @param {Controls} controls
 * @param {string} model
 * @returns {Wanted}
 */
export function withModel(wanted, controls, model) {
  const of = controlsOf(controls, model);
  const has = new Map([...of.model, ...of.training].map((control) => [control.name, control]));
  const kept = Object.entries(wanted.options).filter(([name, value]) => {
    const control = has.get(name);
    return control && (control.kind !== "choice" || control.choices.includes(String(value)));
  });
  return { ...wanted, model, options: Object.fromEntries(kept) };
}

/**
 * Settings with another value of an option; null takes the option's default. What excludes it is dropped.
 * @param {Wanted} wanted
 * @param {string} name
 * @param {Option | null} value
 * @returns {Wanted}
 */
export function withOption(wanted, name, value) {
  const { [name]: _, ...options } = wanted.options;
  if (value !== null) {
    options[name] = value;
    const other = EXCLUSIVE[name];
    if (other && value !== false) delete options[other];
  }
  return { ...wanted, options };
}

/**
 * What a page wants, kept equal to the address and to the server. The newest of these wins: a control, another page,
 * the address.
 */
export class Wish {
  /** What the controls show: the last wish, even if the server has refused it. @type {Wanted} */
  wanted = { list: "", model: "", options: {} };
  error = "";
  #begun = false;
  #push = false;
  #busy = false; // the server has not answered yet
  #waiting = false; // `wanted` has not been sent yet

  /**
   * @param {import("./lab.js").Lab} lab
   * @param {() => void} changed called when `wanted`, `error`, or the server's settings have changed
   */
  constructor(lab, changed) {
    this.lab = lab;
    this.changed = changed;
    lab.on("settings", () => this.#follow());
    lab.on("controls", () => this.#follow());
    lab.on("state", () => this.#recall());
  }

  /**
   * Start a training with other settings. While the server still answers, only the newest wish waits.
   * @param {Wanted} wanted
   * @param {boolean} [push] whether "back" returns to the settings before
   */
  async want(wanted, push = true) {
    this.wanted = wanted;
    this.#push ||= push;
    this.#waiting = true;
    if (this.#busy) return;
    this.#busy = true;
    while (this.#waiting) {
      this.#waiting = false;
      const sent = this.wanted;
      let error = "";
      try {
        await this.lab.send({ do: "configure", ...sent });
      } catch (failed) {
        error = /** @type {Error} */ (failed).message;
        this.#push = false;
      }
      if (!this.#waiting) this.error = error;
    }
    this.#busy = false;
    this.changed();
  }

  /** Take the server's settings, unless the page was opened with an address that names others. */
  #follow() {
    const { settings, controls } = this.lab;
    if (!settings || !controls) return;
    const first = !this.#begun;
    this.#begun = true;
    if ((first && this.#recall()) || this.#waiting) return;
    this.wanted = { list: settings.list, model: settings.model, options: settings.options };
    this.error = "";
    this.#write(controls);
    this.changed();
  }

  /** Start a training as the address says, if it differs from the server's; return whether it does. */
  #recall() {
    const { settings, controls } = this.lab;
    const wanted = settings && controls && named(this.lab.state, controls, settings);
    if (!wanted || same(wanted, settings)) return false;
    this.want(wanted, false);
    this.changed();
    return true;
  }

  /** @param {Controls} controls */
  #write(controls) {
    const { list, model, options } = this.wanted;
    const all = [...Object.values(controls.models).flatMap((each) => each.options), ...controls.training];
    for (const name of new Set(all.map((control) => control.name)))
      this.lab.state.set(dashed(name), options[name] ?? null, this.#push);
    this.lab.state.set("list", list, this.#push);
    this.lab.state.set("model", model, this.#push);
    this.#push = false;
  }
}
