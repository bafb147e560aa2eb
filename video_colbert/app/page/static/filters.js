// The filters, made of the columns that an index has.

import { all, condition, folderCondition } from "./conditions.js";
import { element, iconButton } from "./elements.js";
import { sourceName } from "./passages.js";
import { clock } from "./times.js";

// Of every video, and of little use to people: a path is filtered by folder, and a window's own times by nothing.
const LEFT_OUT = new Set(["path", "id", "digest", "start", "end"]);
const LABELS = { modified: "Date", duration: "Duration, seconds", size: "Size, bytes", width: "Width, pixels", height: "Height, pixels" };
const FIRST = ["modified", "duration"];
const LAST = ["size", "width", "height"];

/** The button and panel of filters; `onChange` is called when one is changed. */
export class Filters {
  #onChange;
  #panel;
  #toggle;
  #choices = [];
  #sources = null;
  #shape = "";

  constructor(place, onChange) {
    this.#onChange = onChange;
    this.#panel = element("div", { id: "filters", class: "filters", role: "group", "aria-label": "Filters", hidden: true });
    this.#toggle = iconButton("filter", "Filters", () => this.#open(this.#panel.hidden), {
      shown: true,
      "aria-expanded": "false",
      "aria-controls": "filters",
    });
    place.append(this.#toggle, this.#panel);
  }

  /** Shows the filters of an index; what was chosen stays as long as its columns do. */
  show(state) {
    const shape = JSON.stringify([state.name, state.columns, state.folders, state.sources]);
    if (shape === this.#shape) return;
    this.#shape = shape;
    this.#choices = [];
    const fields = [];
    const folders = state.folders ?? [];
    if (folders.length) fields.push(this.#folderField(folders));
    for (const column of inOrder(state.columns ?? [])) fields.push(this.#columnField(column));
    this.#sources = null;
    if ((state.sources ?? []).length > 1) fields.push(this.#sourceField(state.sources));
    fields.push(element("button", { type: "button", class: "button clear", on: { click: () => this.clear() } }, "Clear filters"));
    this.#panel.replaceChildren(...fields);
    this.#count();
  }

  /** The condition; null for none. */
  get where() {
    return all(this.#choices.map((choice) => choice()));
  }

  /** The sources that are asked; null for all. */
  get sources() {
    return this.#sources?.value ? [this.#sources.value] : null;
  }

  /** Whether one is chosen. */
  get isAny() {
    return this.where !== null || this.sources !== null;
  }

  /** Chooses none. */
  clear() {
    for (const input of this.#panel.querySelectorAll("input, select")) input.value = "";
    this.#changed();
  }

  #open(isOpen) {
    this.#panel.hidden = !isOpen;
    this.#toggle.setAttribute("aria-expanded", String(isOpen));
    if (isOpen) this.#panel.querySelector("select, input")?.focus();
  }

  #changed() {
    this.#count();
    this.#onChange();
  }

  #count() {
    const number = this.#choices.filter((choice) => choice() !== null).length + (this.sources ? 1 : 0);
    this.#toggle.querySelector("span").textContent = number ? `Filters (${number})` : "Filters";
    this.#toggle.classList.toggle("chosen", number > 0);
  }

  #select(options, any, label) {
    return element(
      "select",
      { "aria-label": label, on: { change: () => this.#changed() } },
      element("option", { value: "" }, any),
      ...options.map(([value, name]) => element("option", { value }, name)),
    );
  }

  #input(type, label, attributes = {}) {
    return element("input", { type, "aria-label": label, ...attributes, on: { change: () => this.#changed() } });
  }

  #folderField(folders) {
    const select = this.#select(folders.map((folder) => [folder, folder]), "any", "Folder");
    this.#choices.push(() => (select.value ? folderCondition(select.value) : null));
    return field("Folder", select);
  }

  #sourceField(sources) {
    this.#sources = this.#select(sources.map((source) => [source, sourceName(source)]), "any way", "Found by");
    return field("Found by", this.#sources);
  }

  #columnField(column) {
    const label = LABELS[column.name] ?? column.name;
    if (column.kind === "true_false") {
      const select = this.#select([["true", "yes"], ["false", "no"]], "any", label);
      this.#choices.push(() => condition(column, { value: select.value }));
      return field(label, select);
    }
    if (column.kind === "text" && column.values?.length) {
      const select = this.#select(column.values.map((value) => [value, value]), "any", label);
      this.#choices.push(() => condition(column, { value: select.value }));
      return field(label, select);
    }
    if (column.kind === "text") {
      const part = this.#input("search", label, { placeholder: "contains" });
      this.#choices.push(() => condition(column, { part: part.value }));
      return field(label, part);
    }
    const type = column.kind === "time" ? "date" : "number";
    const bound = (word, limit) => this.#input(type, `${label}, ${word}`, { step: "any", placeholder: shownBound(column, limit) });
    const [from, to] = [bound("from", column.min), bound("to", column.max)];
    this.#choices.push(() => condition(column, { from: from.value, to: to.value }));
    return field(label, from, element("span", { "aria-hidden": "true" }, "–"), to);
  }
}

function inOrder(columns) {
  const place = ({ name }) => (FIRST.includes(name) ? FIRST.indexOf(name) - FIRST.length : LAST.indexOf(name) + 1);
  return columns.filter(({ name }) => !LEFT_OUT.has(name)).sort((one, other) => place(one) - place(other));
}

function shownBound(column, limit) {
  if (typeof limit !== "number") return "";
  return column.name === "duration" && limit >= 60 ? `${Math.round(limit)} (${clock(limit)})` : String(Math.round(limit * 10) / 10);
}

function field(label, ...inputs) {
  return element("div", { class: "field" }, element("span", { class: "field-label" }, label), ...inputs);
}
