/** @file The list: choose one, paste words, or drop a file anywhere on the page. What is odd about it is said. */

import { make, shown } from "./dom.js";

const LONGEST_ALPHABET = 60; // characters that are shown
const COLUMNS = ["column", "weights", "labels"]; // options of a table

/**
 * Make the part of the list.
 * @param {import("./lab.js").Lab} lab
 * @param {(name: string) => void} choose called with the name of a list to train on
 */
export function lists(lab, choose) {
  const select = make("select", { id: "list" });
  const about = make("div", { class: "faint", "aria-live": "polite" });
  const error = make("p", { class: "error", role: "alert" });
  const text = make("textarea", { id: "own-words", rows: 5, spellcheck: "false", placeholder: "one word a line" });
  const file = make("input", { type: "file", id: "own-file" });
  const fields = COLUMNS.map((name) =>
    make("input", { id: `table-${name}`, autocomplete: "off", spellcheck: "false" }),
  );
  const table = make(
    "div",
    { class: "options", hidden: true },
    ...fields.map((input, i) => make("div", { class: "option" }, make("label", { for: input.id }, COLUMNS[i]), input)),
    make("button", { type: "button", onclick: () => read() }, "Read the table"),
  );
  const own = make(
    "details",
    { class: "own" },
    make("summary", {}, "Your own list"),
    make("label", { for: text.id }, "Words"),
    text,
    make(
      "button",
      { type: "button", onclick: () => take("words.txt", new Blob([text.value])) },
      "Train on these words",
    ),
    make("p", { class: "faint" }, "The command line reads them from words.txt: save them there."),
    make("label", { for: file.id }, "or a file, which you can also drop on the page"),
    file,
    table,
  );

  /** @type {{name: string, data: Blob} | null} */ let source = null;
  let [offered, described] = ["", ""];

  /**
   * Read a source of words.
   * @param {string} name
   * @param {Blob} data
   */
  function take(name, data) {
    source = { name, data };
    for (const input of fields) input.value = "";
    table.hidden = true;
    return read();
  }

  async function read() {
    if (!source) return;
    const address = new URL("list", location.href);
    address.hash = "";
    address.searchParams.set("file", source.name);
    fields.forEach((input, i) => address.searchParams.set(COLUMNS[i], input.value.trim()));
    try {
      const response = await fetch(address, { method: "POST", body: source.data });
      const answer = await response.json();
      if (!response.ok || answer.error) throw new Error(answer.error);
      error.textContent = "";
      lab.described(answer.name, answer);
      described = answer.name;
      describe(answer);
      choose(answer.name);
    } catch (failed) {
      own.open = true;
      error.textContent =
        failed instanceof TypeError ? "the lab does not answer" : /** @type {Error} */ (failed).message;
      propose(error.textContent);
    }
  }

  /**
   * Show the fields of a table if an error asks for columns, filled in as it proposes.
   * @param {string} message
   */
  function propose(message) {
    const proposed = columnsOf(message);
    if (!proposed) return;
    table.hidden = false;
    fields.forEach((input, i) => (input.value ||= proposed[COLUMNS[i]] ?? ""));
    fields[0].focus();
  }

  /** @param {any} found as `moreish words --json` */
  function describe(found) {
    about.replaceChildren(
      make("p", {}, ...facts(found).flatMap((line, i) => [i ? "; " : "", make("bdi", {}, line)]), "."),
      ...found.issues.map((/** @type {{message: string}} */ issue) =>
        make("p", { class: "issue" }, "issue: ", make("bdi", {}, shown(issue.message))),
      ),
    );
  }

  select.addEventListener("change", () => choose(select.value));
  file.addEventListener("change", () => file.files?.[0] && take(file.files[0].name, file.files[0]));
  addEventListener("dragover", (event) => {
    if (/** @type {HTMLElement} */ (event.target).matches("input, textarea")) return;
    event.preventDefault();
    document.body.classList.add("dropping");
  });
  for (const kind of ["dragleave", "drop", "dragend"])
    addEventListener(kind, () => document.body.classList.remove("dropping"));
  addEventListener("drop", (event) => {
    const [dropped] = event.dataTransfer?.files ?? [];
    const words = event.dataTransfer?.getData("text/plain");
    if (!dropped && (!words || /** @type {HTMLElement} */ (event.target).matches("input, textarea"))) return;
    event.preventDefault();
    if (dropped) take(dropped.name, dropped);
    else if (words) take("words.txt", new Blob([words]));
  });

  return {
    element: make(
      "div",
      {},
      make("div", { class: "option" }, make("label", { for: "list" }, "list"), select),
      about,
      own,
      error,
    ),
    /**
     * Show the list that is wanted.
     * @param {string} name
     */
    async show(name) {
      const all = lab.settings?.lists ?? [];
      if (all.join("\n") !== offered) {
        offered = all.join("\n");
        select.replaceChildren(...all.map((value) => make("option", { value }, value)));
      }
      select.value = name;
      if (name === described || !all.includes(name)) return;
      described = name;
      try {
        const found = await lab.describe(name);
        if (name === described) describe(found);
      } catch {
        described = "";
      }
    },
  };
}

/**
 * What a list is made of, in lines.
 * @param {any} found as `moreish words --json`
 * @returns {string[]}
 */
export function facts({ words, distinct, repeats, alphabet, length, labels, weights }) {
  const number = (/** @type {number} */ n) => n.toLocaleString("en");
  const characters = [...alphabet];
  const more = characters.length > LONGEST_ALPHABET ? " ..." : "";
  const lines = [
    `${number(words)} words` +
      (repeats ? `, ${number(distinct)} distinct (${number(repeats)} repeat${repeats === 1 ? "" : "s"})` : ""),
    `${number(characters.length)} characters: ${shown(characters.slice(0, LONGEST_ALPHABET).join(""))}${more}`,
    `length ${length.min} to ${length.max}, mean ${length.mean.toFixed(1)}`,
  ];
  if (weights !== null) lines.push(`sum of weights ${number(weights)}`);
  const named = Object.keys(labels);
  if (named.length) lines.push(`labels: ${shown(named.slice(0, 10).join(", "))}${named.length > 10 ? ", ..." : ""}`);
  return lines;
}

/**
 * The columns that an error of a table proposes, by option; null if it asks for none.
 * @param {string} message
 * @returns {Record<string, string> | null}
 */
export function columnsOf(message) {
  if (!message.includes("--column")) return null;
  const found = message.matchAll(/--(column|weights|labels) (?:'([^']*)'|"([^"]*)"|([^\s'")]+))/g);
  return Object.fromEntries([...found].map(([, name, a, b, c]) => [name, a ?? b ?? c]));
}
