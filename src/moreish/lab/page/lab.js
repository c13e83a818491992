/** @file The connection to the server: what it tells, and what the page asks. */

import { State } from "./state.js";

/**
 * @typedef {object} Control an option of the command line; see controls.py
 * @property {string} name
 * @property {string} help
 * @property {"choice" | "boolean" | "whole" | "number"} kind
 * @property {string[]} choices
 * @property {number | null} low
 * @property {number | null} high
 * @property {Option | null} default null: chosen by the model
 * @property {boolean} first whether it is shown at once
 * @property {[number, number, boolean] | null} slider lowest, highest, logarithmic
 *
 * @typedef {string | number | boolean} Option
 *
 * @typedef {object} Controls
 * @property {Record<string, {summary: string, net: boolean, options: Control[]}>} models
 * @property {Control[]} training
 * @property {Constraint[]} constraints
 *
 * @typedef {object} Constraint a constraint on words; see controls.py
 * @property {string} name
 * @property {string} help
 * @property {"text" | "texts" | "whole"} kind
 * @property {number | null} low
 * @property {number | null} high
 * @property {boolean} first whether it is shown at once
 *
 * @typedef {object} Settings what the training is made from; see Session.facts
 * @property {string} list
 * @property {string} model
 * @property {Record<string, Option>} options those that were given
 * @property {string} run name of the run that was opened, or ""
 * @property {Record<string, Option | null>} resolved
 * @property {string} command
 * @property {string[]} lists
 *
 * @typedef {object} Status where the training stands; see training.py
 * @property {number} version
 * @property {number} training
 * @property {number} step
 * @property {number} steps
 * @property {boolean} playing
 * @property {boolean} ended
 * @property {number} pace
 * @property {number | null} train
 * @property {number | null} val
 * @property {number | null} lr
 * @property {number} seconds
 * @property {number | null} rate
 * @property {string} trouble
 * @property {string} waiting what is compiled meanwhile, or ""
 * @property {Record<string, number> | null} losses
 *
 * @typedef {[number, number, number | null, number | null]} Point step, seconds, train, val
 * @typedef {{training: number, start: number, points: Point[]}} Curve points from `start` on
 *
 * @typedef {object} Panel
 * @property {string} title
 * @property {string} name short, for ids and for names in the state
 * @property {HTMLElement} element the body, without the heading; elements of class "result" are hidden after an error
 * @property {(live: boolean) => Promise<void>} refresh an Error that it throws is shown below the heading
 */

const SILENT = "the lab does not answer";
const FIRST_WAIT = 300; // milliseconds from the loss of a connection to the next try
const LONGEST_WAIT = 5000;

/** The lab that a page shows. Messages: "controls", "settings", "status", "curve", "connected" (boolean), "state". */
export class Lab {
  /** @type {Controls | null} */ controls = null;
  /** @type {Settings | null} */ settings = null;
  /** @type {Status | null} */ status = null;
  connected = false;
  state = new State(() => this.#tell("state", null));
  /**
   * Refresh a panel in which a person has changed something; set by main.js.
   * @type {(panel: Panel) => void}
   */
  refresh = () => {};

  /** @type {WebSocket | null} */ #socket = null;
  /** @type {Map<number, {resolve: (result: any) => void, reject: (error: Error) => void}>} */ #waiting = new Map();
  /** @type {Map<string, ((message: any) => void)[]>} */ #listeners = new Map();
  /** @type {Map<string, Promise<any>>} */ #described = new Map();
  #id = 0;
  #wait = FIRST_WAIT;

  /** Connect, and connect again whenever the connection is lost. */
  connect() {
    const address = new URL("socket", location.href);
    address.protocol = location.protocol === "https:" ? "wss:" : "ws:";
    address.hash = "";
    const socket = new WebSocket(address);
    this.#socket = socket;
    socket.onmessage = ({ data }) => this.#receive(JSON.parse(data));
    socket.onopen = () => {
      this.#wait = FIRST_WAIT;
      this.connected = true;
      this.#tell("connected", true);
    };
    socket.onclose = () => {
      this.connected = false;
      for (const { reject } of this.#waiting.values()) reject(new Error(SILENT));
      this.#waiting.clear();
      this.#tell("connected", false);
      setTimeout(() => this.connect(), this.#wait);
      this.#wait = Math.min(2 * this.#wait, LONGEST_WAIT);
    };
  }

  /**
   * Listen to the messages of a kind.
   * @param {string} kind
   * @param {(message: any) => void} listener
   */
  on(kind, listener) {
    this.#listeners.set(kind, [...(this.#listeners.get(kind) ?? []), listener]);
  }

  /**
   * Send a message such as {do: "play"}; the result resolves, an error of the server rejects with its text.
   * @param {Record<string, any>} message
   * @returns {Promise<any>}
   */
  send(message) {
    return new Promise((resolve, reject) => {
      if (this.#socket?.readyState !== WebSocket.OPEN) return reject(new Error(SILENT));
      this.#id += 1;
      this.#waiting.set(this.#id, { resolve, reject });
      this.#socket.send(JSON.stringify({ ...message, id: this.#id }));
    });
  }

  /**
   * Ask for a view of the training as it stands.
   * @param {string} view
   * @param {Record<string, any>} [values]
   * @param {boolean} [live] whether the question is asked again with every step
   */
  ask(view, values = {}, live = false) {
    return this.send({ do: "ask", view, values, live });
  }

  /**
   * Describe a list, as `moreish words --json` does.
   * @param {string} list
   * @returns {Promise<any>}
   */
  describe(list) {
    const found = this.#described.get(list) ?? this.send({ do: "describe", list });
    this.#described.set(list, found);
    found.catch(() => this.#described.delete(list));
    return found;
  }

  /**
   * Keep the description of a list that was just read.
   * @param {string} list
   * @param {any} found
   */
  described(list, found) {
    this.#described.set(list, Promise.resolve(found));
  }

  /** @param {any} message */
  #receive(message) {
    const { kind, id, ...rest } = message;
    if (kind === "answer" || kind === "error") {
      const waiting = this.#waiting.get(id);
      this.#waiting.delete(id);
      if (kind === "answer") waiting?.resolve(message.result);
      else waiting?.reject(new Error(message.text));
      return;
    }
    if (kind === "controls") this.controls = rest.controls;
    if (kind === "settings") this.settings = rest;
    if (kind === "status") this.status = rest;
    this.#tell(kind, kind === "controls" ? this.controls : rest);
  }

  /** @param {string} kind @param {any} message */
  #tell(kind, message) {
    for (const listener of this.#listeners.get(kind) ?? []) listener(message);
  }
}
