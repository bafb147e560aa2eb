// The place of the results: the cards, or what there is to say where there are none.

import { card, skeletonCards } from "./card.js";
import { element } from "./elements.js";
import { passagesOf } from "./passages.js";

// An answer that comes sooner replaces the cards that are there, without a flicker.
const SHOW_LOADING_AFTER = 150;

/** What the section of the results shows; one state at a time. */
export class Results {
  #place;
  #actions;
  #waiting = null;

  constructor(place, actions) {
    this.#place = place;
    this.#actions = actions;
  }

  /** Empty cards, unless the answer is quicker. */
  showLoading() {
    this.#place.setAttribute("aria-busy", "true");
    clearTimeout(this.#waiting);
    this.#waiting = setTimeout(() => {
      const cards = this.#place.querySelector("ol:not(.waiting)");
      if (cards) cards.classList.add("stale");
      else this.#show(element("ol", { class: "cards waiting" }, ...skeletonCards(8)));
    }, SHOW_LOADING_AFTER);
  }

  /** The hits of an answer; `onMore` asks for further ones, where there are any. */
  showHits(hits, onMore = null) {
    const quotes = hits.some((hit) => passagesOf(hit).length) ? "cards with-quotes" : "cards";
    const more = onMore && element("button", { type: "button", class: "button more", on: { click: onMore } }, "Show more");
    this.#end(element("ol", { class: quotes }, ...hits.map((hit) => card(hit, this.#actions))), more);
  }

  /** No hit, and what may help: `remedies` are buttons. */
  showNone(sentence, remedies = []) {
    this.#end(message("none", "Nothing found", sentence, remedies));
  }

  /** What went wrong, and a way to try again. */
  showError(sentence, remedies = []) {
    this.#end(message("error", "This search failed", sentence, remedies, { role: "alert" }));
  }

  /** Nothing is asked yet. */
  showWelcome(title, sentence, remedies = []) {
    this.#end(message("welcome", title, sentence, remedies));
  }

  /** What was shown stays, no longer waiting. */
  stopLoading() {
    clearTimeout(this.#waiting);
    this.#place.removeAttribute("aria-busy");
    this.#place.querySelector("ol.waiting")?.remove();
    this.#place.querySelector("ol")?.classList.remove("stale");
  }

  #end(...content) {
    clearTimeout(this.#waiting);
    this.#place.removeAttribute("aria-busy");
    this.#show(...content);
  }

  #show(...content) {
    this.#place.replaceChildren(...content.filter(Boolean));
  }
}

function message(kind, title, sentence, remedies, attributes = {}) {
  return element("div", { class: `message ${kind}`, ...attributes }, element("h2", {}, title), element("p", {}, sentence), element("div", { class: "remedies" }, ...remedies));
}
