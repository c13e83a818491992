/** @file What a person takes away: the command line, the link, the saved run, and the page without a server. */

import { make, set } from "./dom.js";

/**
 * Make the parts of the header that a person copies from.
 * @param {import("./lab.js").Lab} lab
 */
export function keep(lab) {
  const command = make("code", { id: "command", tabindex: "0", "aria-label": "The same on the command line" });
  const said = make("p", { class: "said", role: "status" });

  /** @param {string} text @param {string} done */
  async function copy(text, done) {
    try {
      await navigator.clipboard.writeText(text);
      said.textContent = done;
    } catch {
      said.textContent = text; // to be copied by hand
    }
  }

  async function save() {
    try {
      const { folder } = await lab.send({ do: "save" });
      const quoted = /^[\w./:\\-]+$/.test(folder) ? folder : `"${folder}"`;
      said.replaceChildren(
        `Saved in ${folder}. All commands work on it: `,
        make("code", {}, `moreish sample ${quoted}`),
        ", ",
        make("code", {}, `moreish eval ${quoted}`),
        ", ",
        make("code", {}, `moreish serve ${quoted}`),
      );
    } catch (error) {
      said.textContent = /** @type {Error} */ (error).message;
    }
  }

  const button = (/** @type {string} */ text, /** @type {() => void} */ onclick) =>
    make("button", { type: "button", onclick }, text);
  const copyCommand = button("Copy command", () => copy(lab.settings?.command ?? "", "The command is copied."));
  lab.on("settings", (/** @type {import("./lab.js").Settings} */ settings) => {
    command.textContent = settings.command;
    set(command, { hidden: !settings.command });
    set(copyCommand, { hidden: !settings.command });
  });
  return [
    command,
    make(
      "div",
      { class: "buttons" },
      copyCommand,
      button("Copy link", () => copy(lab.state.address(), "The link is copied. It works while this lab runs.")),
      button("Save run", save),
      make("a", { href: "export", download: "", class: "button" }, "Export page"),
    ),
    said,
  ];
}
