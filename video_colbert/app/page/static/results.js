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
      const cards = this.#place.querySelector("ol:not(.waiting, .newest)");
      if (cards) cards.classList.add("stale");
      else this.#show(element("ol", { class: "cards waiting" }, ...skeletonCards(8)));
    }, SHOW_LOADING_AFTER);
  }

  /** The hits of an answer; `onMore` asks for further ones, where there are any. */
  showHits(hits, onMore = null) {
    const quotes = hits.some((hit) => passagesOf(hit).length) ? "cards with-quotes" : "cards";
    this.#end(this.#cards(quotes, hits), moreButton(onMore));
  }

  /** No hit, and what may help: `remedies` are buttons. */
  showNone(sentence, remedies = []) {
    this.#end(message("none", "Nothing found", sentence, remedies));
  }

  /** What went wrong, and a way to try again. */
  showError(sentence, remedies = []) {
    this.#end(message("error", "This search failed", sentence, remedies, { role: "alert" }));
  }

  /** Nothing is asked yet: a hint, and below it some videos, where there are any. */
  showWelcome(title, sentence, remedies = [], videos = [], onMore = null) {
    const listed = videos.length ? this.#cards("cards newest", videos, "Newest videos") : null;
    this.#end(message("welcome", title, sentence, remedies), listed, moreButton(onMore));
  }

  /** What was shown stays, no longer waiting. */
  stopLoading() {
    clearTimeout(this.#waiting);
    this.#place.removeAttribute("aria-busy");
    this.#place.querySelector("ol.waiting")?.remove();
    this.#place.querySelector("ol")?.classList.remove("stale");
  }

  #cards(kind, hits, label = null) {
    return element("ol", { class: kind, "aria-label": label }, ...hits.map((hit) => card(hit, this.#actions)));
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

function moreButton(onMore) {
  return onMore && element("button", { type: "button", class: "button more", on: { click: onMore } }, "Show more");
}

function message(kind, title, sentence, remedies, attributes = {}) {
  return element("div", { class: `message ${kind}`, ...attributes }, element("h2", {}, title), element("p", {}, sentence), element("div", { class: "remedies" }, ...remedies));
}
