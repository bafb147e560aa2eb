// The corner that says what is searched: how many videos, what could not be read, what is gone, what is being read.

import { element, iconButton } from "./elements.js";
import { call } from "./server.js";
import { counted } from "./times.js";

/** The corner; `onAdded` is called when a folder is given. */
export class StatusCorner {
  #toggle;
  #panel;
  #body;
  #live;
  #shape = "";

  constructor(place) {
    this.#live = element("span", { class: "sr", role: "status" });
    this.#toggle = element("button", {
      type: "button",
      class: "status-toggle",
      "aria-expanded": "false",
      "aria-controls": "status-panel",
      on: { click: () => this.#open(this.#panel.hidden) },
    }, "…");
    this.#body = element("div", { class: "status-body" });
    this.#panel = element(
      "div",
      { id: "status-panel", class: "status-panel", hidden: true, tabindex: "-1" },
      element("div", { class: "status-head" }, element("h2", {}, "What is searched"), iconButton("close", "Close", () => this.#open(false))),
      this.#body,
    );
    this.#panel.addEventListener("keydown", (event) => event.key === "Escape" && this.#open(false));
    place.replaceChildren(this.#panel, this.#toggle, this.#live);
  }

  /** Shows what the server says of its indexes; `current` is the name of the one that is searched. */
  show(info, current) {
    const shape = JSON.stringify([info, current]);
    if (shape === this.#shape) return;
    this.#shape = shape;
    const state = info.indexes.find(({ name }) => name === current) ?? info.indexes[0];
    this.#toggle.replaceChildren(...this.#short(state));
    this.#toggle.className = state?.num_bad || state?.num_gone ? "status-toggle trouble" : "status-toggle";
    // What is typed into a form of the panel stays.
    if (this.#panel.contains(document.activeElement) && document.activeElement.matches("input")) return;
    this.#body.replaceChildren(...info.indexes.map((index) => this.#section(index, info, info.indexes.length > 1)));
  }

  /** Says that the server cannot be reached. */
  showOffline() {
    this.#shape = "";
    this.#toggle.replaceChildren(element("span", { class: "dot off" }), "Not connected");
    this.#toggle.className = "status-toggle offline";
  }

  #open(isOpen) {
    this.#panel.hidden = !isOpen;
    this.#toggle.setAttribute("aria-expanded", String(isOpen));
    (isOpen ? this.#panel : this.#toggle).focus();
  }

  #short(state) {
    if (!state) return ["No index"];
    const parts = [element("span", { class: state.progress ? "dot busy" : "dot" }), counted(state.videos, "video")];
    if (state.progress) parts.push(element("span", {}, ` · reading ${progressText(state.progress)}`));
    if (state.num_bad) parts.push(element("span", { class: "bad" }, ` · ${state.num_bad.toLocaleString()} unreadable`));
    if (state.num_gone) parts.push(element("span", { class: "bad" }, ` · ${state.num_gone.toLocaleString()} gone`));
    return parts;
  }

  #section(state, info, isNamed) {
    const facts = [counted(state.videos, "video")];
    if (state.windows > state.videos) facts.push(counted(state.windows, "window"));
    if (state.seconds) facts.push(`${(state.seconds / 3600).toFixed(state.seconds < 36_000 ? 1 : 0)} hours`);
    return element(
      "section",
      { class: "index-state" },
      isNamed && element("h3", {}, state.name),
      element("p", {}, facts.join(", ")),
      element("p", { class: "fine" }, `Model: ${state.model}`),
      state.zero_shot && element("p", { class: "fine" }, "zero-shot: words are not told apart"),
      state.progress && progress(state.progress),
      ...state.notices.map((notice) => element("p", { class: "fine" }, notice)),
      fileList(state.num_bad, "could not be read", state.bad.map(({ video, reason }) => [video, reason])),
      fileList(state.num_gone, "gone", state.gone.map((path) => [path, null])),
      info.mayAdd && this.#adding(state),
    );
  }

  #adding(state) {
    const folder = element("input", { type: "text", required: true, placeholder: "/path/to/videos", "aria-label": "Folder of videos", spellcheck: "false" });
    const told = element("p", { class: "fine", role: "status" });
    const add = async (event) => {
      event.preventDefault();
      told.textContent = "";
      try {
        await call("add_folder", { index: state.name, folder: folder.value.trim() });
        told.textContent = "Its videos appear as they are read.";
        folder.value = "";
      } catch (error) {
        told.textContent = error.message;
      }
    };
    return element(
      "form",
      { class: "adding", on: { submit: add } },
      element("label", {}, "Add a folder ", folder),
      element("button", { type: "submit", class: "button" }, "Add"),
      told,
    );
  }
}

function progress({ done, total, text }) {
  return element(
    "div",
    { class: "progress" },
    element("progress", { max: total || null, value: total ? done : null, "aria-label": "Reading videos" }),
    element("p", { class: "fine" }, text || progressText({ done, total })),
  );
}

function progressText({ done, total }) {
  return total ? `${Math.floor(done).toLocaleString()} of ${total.toLocaleString()}` : "…";
}

/** The files of which the server named some: how many there are, and those. */
function fileList(number, what, files) {
  if (!number) return null;
  const items = files.map(([file, reason]) => element("li", {}, element("span", { class: "path" }, file), reason && element("span", { class: "fine" }, reason)));
  const left = number - files.length;
  if (left > 0) items.push(element("li", { class: "fine" }, `and ${left.toLocaleString()} more`));
  return element("details", { class: "files" }, element("summary", {}, `${counted(number, "file")} ${what}`), element("ul", {}, ...items));
}
