// The dialog that plays a hit from its moment, its words lit as they match.

import { element, iconButton } from "./elements.js";
import { exportForm } from "./export_form.js";
import { steps, wordsOf } from "./moments.js";
import { passagesOf, quotation } from "./passages.js";
import { Player } from "./player.js";
import { showPlayhead, timeLine } from "./time_line.js";
import { clock, exactClock, span } from "./times.js";

// A step counts as passed when the player is this near to it.
const NEAR = 0.25;
// A player stands a little beside the second that it was sent to.
const SLACK = 0.05;
const WIDE_LETTER = 1.0;

/** The dialog; its keys are n and p for the next and previous moment, j and k for the next and previous video. */
export class Viewer {
  #dialog;
  #actions;
  #player;
  #parts = {};
  #hit = null;
  #hits = [];

  constructor(dialog, actions) {
    this.#dialog = dialog;
    this.#actions = actions;
    this.#parts.video = element("video", { controls: true, playsinline: true, preload: "auto", "aria-label": "Video" });
    this.#parts.state = element("p", { class: "stage-state", role: "status" });
    this.#parts.head = element("div", { class: "viewer-head" });
    this.#parts.body = element("div", { class: "viewer-body" });
    const stage = element("div", { class: "stage" }, this.#parts.video, this.#parts.state);
    dialog.replaceChildren(this.#parts.head, stage, this.#parts.body);
    this.#player = new Player(this.#parts.video, {
      onTime: (second) => this.#light(second),
      onState: (state, sentence) => this.#tell(state, sentence),
    });
    dialog.addEventListener("close", () => this.#closed());
    dialog.addEventListener("keydown", (event) => this.#key(event));
    dialog.addEventListener("click", (event) => event.target === dialog && dialog.close());
  }

  /** Opens a hit at a second; `hits` are those that j and k go through. */
  open(hit, second, hits, { isExport = false } = {}) {
    this.#hit = hit;
    this.#hits = hits;
    this.#fill(second);
    if (!this.#dialog.open) this.#dialog.showModal();
    if (hit.gone) this.#tell("failed", `The file is gone: ${hit.video}`);
    else this.#player.play(hit, second);
    if (isExport) this.#parts.exported.querySelector("input").focus();
    else this.#parts.close.focus();
  }

  #fill(second) {
    const hit = this.#hit;
    const go = (picked) => this.#go(picked);
    this.#parts.close = iconButton("close", "Close", () => this.#dialog.close());
    this.#parts.head.replaceChildren(
      element("div", { class: "viewer-title" }, element("h2", { id: "viewer-name" }, hit.name), element("p", { class: "path" }, hit.video)),
      this.#parts.close,
    );
    this.#parts.words = wordsOf(hit).map((word) => ({
      ...word,
      button: element(
        "button",
        { type: "button", class: word.muted ? "lit-word muted" : "lit-word", title: exactClock(word.time), on: { click: () => go(word.time) } },
        word.word,
      ),
    }));
    this.#parts.line = timeLine(hit, go, { letter: WIDE_LETTER });
    this.#parts.exported = exportForm(hit, second);
    this.#parts.now = element("span", { class: "now" }, this.#clock(second));
    this.#parts.body.replaceChildren(
      element("p", { class: "lit-words", role: "group", "aria-label": "Words of the query", hidden: !this.#parts.words.length }, ...this.#parts.words.map(({ button }) => button)),
      this.#parts.line,
      element(
        "div",
        { class: "steps" },
        iconButton("previous", "Previous moment", () => this.#step(-1), { shown: true, "aria-keyshortcuts": "p" }),
        this.#parts.now,
        iconButton("next", "Next moment", () => this.#step(1), { shown: true, "aria-keyshortcuts": "n" }),
        element("span", { class: "keys" }, ...keys()),
      ),
      ...passagesOf(hit).map((passage) => quotation(passage, { whole: true, onPick: go })),
      this.#windows(go),
      element(
        "div",
        { class: "viewer-actions" },
        hit.gone ? null : iconButton("alike", "More like this moment", () => this.#alike(), { shown: true }),
        iconButton("copy", "Copy path and time", () => this.#actions.copy(hit, this.#second()), { shown: true }),
        this.#actions.reveal && !hit.gone ? iconButton("folder", "Reveal in folder", () => this.#actions.reveal(hit), { shown: true }) : null,
      ),
      hit.gone ? element("span") : this.#parts.exported,
    );
  }

  #windows(go) {
    const windows = [this.#hit, ...(this.#hit.windows ?? [])];
    if (windows.length < 2) return element("span");
    const items = windows.map((window) =>
      element("li", {}, element("button", { type: "button", class: "button", on: { click: () => go(windowSecond(window)) } }, `${span(window.start, window.end)}  ·  ${window.score.toFixed(3)}`)),
    );
    return element("section", { class: "windows" }, element("h3", {}, "Moments of this video"), element("ol", {}, ...items));
  }

  #closed() {
    this.#player.stop();
    // The browser gives the focus back, unless a newer answer has replaced the card that had it.
    if (document.activeElement !== document.body) return;
    const cards = [...document.querySelectorAll(".card")];
    cards.find((card) => card.dataset.video === this.#hit.id)?.querySelector(".picture").focus();
  }

  #go(second) {
    if (!this.#hit.gone) this.#player.seek(second);
  }

  #step(direction) {
    const now = this.#second();
    const seconds = steps(this.#hit);
    const ahead = seconds.filter((second) => second > now + NEAR);
    const behind = seconds.filter((second) => second < now - NEAR);
    const next = direction > 0 ? (ahead[0] ?? seconds[0]) : (behind.at(-1) ?? seconds.at(-1));
    if (next !== undefined) this.#go(next);
  }

  #turn(direction) {
    const place = this.#hits.indexOf(this.#hit) + direction;
    if (place >= 0 && place < this.#hits.length) this.#actions.open(this.#hits[place]);
  }

  #alike() {
    this.#dialog.close();
    this.#actions.alike(this.#hit);
  }

  #second() {
    return this.#player.second;
  }

  #clock(second) {
    return `${exactClock(second)} / ${clock(this.#hit.duration ?? this.#hit.end)}`;
  }

  #light(second) {
    for (const { button, start, end } of this.#parts.words ?? []) {
      const isLit = start - SLACK <= second && second <= end + SLACK;
      button.classList.toggle("lit", isLit);
      button.toggleAttribute("data-lit", isLit);
    }
    if (!this.#hit) return;
    this.#parts.now.textContent = this.#clock(second);
    showPlayhead(this.#parts.line, second, this.#hit.duration || this.#hit.end);
  }

  #tell(state, sentence = "") {
    const { start, end } = this.#player.excerpt ?? {};
    const sentences = {
      loading: start === undefined ? "Loading …" : "Making an excerpt that this browser plays …",
      ready: start === undefined ? "" : `Excerpt ${span(start, end)}, made for this browser`,
      failed: sentence,
    };
    this.#parts.state.textContent = sentences[state];
    this.#parts.state.className = `stage-state ${state}`;
  }

  #key(event) {
    if (event.target.matches("input, select, textarea") || event.ctrlKey || event.metaKey || event.altKey) return;
    const does = { n: () => this.#step(1), p: () => this.#step(-1), j: () => this.#turn(1), k: () => this.#turn(-1) }[event.key];
    if (!does) return;
    event.preventDefault();
    does();
  }
}

function keys() {
  return [["n", "p"], ["j", "k"]].flatMap(([one, other], place) => [
    element("kbd", {}, one),
    element("kbd", {}, other),
    place ? " video" : " moment  ",
  ]);
}

function windowSecond(window) {
  const [moment] = (window.moments ?? []).filter(({ muted }) => !muted);
  return moment ? moment.time : (window.start + window.end) / 2;
}
