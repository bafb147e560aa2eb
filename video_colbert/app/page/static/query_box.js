// The box of the query: words, and with them or in their place a picture, a clip or a moment of a video.

import { element, icon, iconButton } from "./elements.js";
import { pictureOf } from "./picture_query.js";

// How long typing must pause before the search runs.
const PAUSE = 200;
const MOST_LETTERS = 2000;

/** The form; `onAsk` is called when there is something new to answer, `onProblem` with a sentence. */
export class QueryBox {
  #form;
  #onAsk;
  #onProblem;
  #picture = null;
  #timer = null;
  #parts = {};

  constructor(form, { onAsk, onProblem }) {
    this.#form = form;
    this.#onAsk = onAsk;
    this.#onProblem = onProblem;
    this.#build();
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.#ask();
    });
    for (const event of ["dragover", "dragenter"]) document.addEventListener(event, (over) => this.#over(over));
    document.addEventListener("dragleave", (event) => event.relatedTarget === null && form.classList.remove("dropping"));
    document.addEventListener("drop", (event) => this.#dropped(event));
    document.addEventListener("paste", (event) => this.#pasted(event));
    document.addEventListener("keydown", (event) => {
      if (event.key === "/" && !event.target.closest("input, select, textarea, dialog[open]") && !document.querySelector("dialog[open]")) {
        event.preventDefault();
        this.focus();
      }
    });
  }

  /** The words. */
  get text() {
    return this.#parts.text.value.trim();
  }

  set text(words) {
    this.#parts.text.value = words;
  }

  /** What is searched by besides words: {label, preview, parameters}; null for words alone. */
  get picture() {
    return this.#picture;
  }

  set picture(picture) {
    this.#picture = picture;
    this.#showPicture();
  }

  /** The share of the words in the score, where there are both. */
  get textWeight() {
    return Number(this.#parts.weight.value) / 100;
  }

  /** The place for what else belongs to the query, such as filters. */
  get extras() {
    return this.#parts.extras;
  }

  /** Puts the cursor into the box. */
  focus() {
    this.#parts.text.focus();
    this.#parts.text.select();
  }

  #build() {
    const later = () => {
      this.#showPicture();
      clearTimeout(this.#timer);
      this.#timer = setTimeout(() => this.#ask(), PAUSE);
    };
    this.#parts.text = element("input", {
      type: "search",
      id: "text",
      name: "text",
      placeholder: "Describe what you are looking for, or drop a picture or a clip",
      "aria-label": "What to look for",
      "aria-keyshortcuts": "/",
      autocomplete: "off",
      spellcheck: "false",
      maxlength: MOST_LETTERS,
      autofocus: true,
      on: { input: later },
    });
    this.#parts.file = element("input", {
      type: "file",
      id: "picture-file",
      accept: "image/*,video/*",
      hidden: true,
      "aria-label": "Picture or clip",
      on: { change: (event) => this.#take(event.target.files) },
    });
    this.#parts.chip = element("span", { class: "chip", hidden: true });
    this.#parts.weight = element("input", { type: "range", id: "text-weight", min: 0, max: 100, step: 5, value: 50, on: { change: () => this.#ask() } });
    this.#parts.weighing = element(
      "label",
      { class: "weighing", hidden: true },
      element("span", {}, "picture"),
      this.#parts.weight,
      element("span", {}, "words"),
      element("span", { class: "sr" }, " Share of the words"),
    );
    this.#parts.extras = element("div", { class: "extras" });
    this.#form.replaceChildren(
      element(
        "div",
        { class: "box" },
        icon("search"),
        this.#parts.chip,
        this.#parts.text,
        iconButton("picture", "Search by a picture or a clip", () => this.#parts.file.click()),
        this.#parts.file,
      ),
      this.#parts.weighing,
      this.#parts.extras,
    );
  }

  #ask() {
    clearTimeout(this.#timer);
    this.#onAsk();
  }

  #over(event) {
    if (![...(event.dataTransfer?.types ?? [])].includes("Files")) return;
    event.preventDefault();
    this.#form.classList.add("dropping");
  }

  #dropped(event) {
    this.#form.classList.remove("dropping");
    if (!event.dataTransfer?.files.length) return;
    event.preventDefault();
    this.#take(event.dataTransfer.files);
  }

  #pasted(event) {
    if (event.clipboardData?.files.length) this.#take(event.clipboardData.files);
  }

  async #take([file]) {
    this.#parts.file.value = "";
    if (!file) return;
    try {
      this.picture = await pictureOf(file);
      this.#ask();
    } catch (error) {
      this.#onProblem(error.message);
    }
  }

  #showPicture() {
    const { chip, weighing } = this.#parts;
    chip.hidden = this.#picture === null;
    weighing.hidden = this.#picture === null || !this.text;
    if (this.#picture === null) {
      chip.replaceChildren();
      return;
    }
    const { label, preview } = this.#picture;
    const forget = () => {
      this.picture = null;
      this.#ask();
      this.#parts.text.focus();
    };
    chip.replaceChildren(
      preview ? element("img", { src: preview, alt: "" }) : icon("picture"),
      element("span", { class: "chip-label", title: label }, label),
      iconButton("close", `Do not search by ${label}`, forget),
    );
  }
}
