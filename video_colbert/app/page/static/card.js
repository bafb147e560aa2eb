// The card of a hit. All cards of an answer are of one height, whatever they hold.

import { element, icon, iconButton } from "./elements.js";
import { bestSecond, firstSecond } from "./moments.js";
import { passagesOf, quotation, sourcesOf } from "./passages.js";
import { pictureAddress } from "./server.js";
import { timeLine } from "./time_line.js";
import { clock, counted, day, exactClock } from "./times.js";

/**
 * A hit as an item of the list; of a video that no query found, without what a query says of it.
 *
 * `actions` has what its buttons do: open(hit, second), alike(hit), copy(hit, second), reveal(hit), which is null where
 * the server allows none, and cut(hit, second).
 */
export function card(hit, actions) {
  const second = firstSecond(hit);
  const [passage] = passagesOf(hit);
  return element(
    "li",
    { class: hit.gone ? "card gone" : "card", "data-video": hit.id },
    picture(hit, actions),
    element(
      "div",
      { class: "card-text" },
      element("h2", { class: "name", title: hit.video }, hit.name),
      element(
        "p",
        { class: "facts", title: hit.folder },
        element("span", { class: "folder" }, folderName(hit.folder)),
        element("span", { class: "day" }, day(hit.modified)),
      ),
      ...(hit.isListed ? [] : found(hit, passage, actions)),
      element(
        "div",
        { class: "card-actions" },
        furtherWindows(hit, actions),
        hit.gone ? null : iconButton("alike", hit.isListed ? "More like this video" : "More like this moment", () => actions.alike(hit)),
        iconButton("copy", `Copy path and time, ${exactClock(second)}`, () => actions.copy(hit, second)),
        actions.reveal && !hit.gone ? iconButton("folder", "Reveal in folder", () => actions.reveal(hit)) : null,
        hit.gone ? null : iconButton("cut", "Export this moment", () => actions.cut(hit, second)),
      ),
    ),
  );
}

function found(hit, passage, actions) {
  return [
    relevance(hit),
    timeLine(hit, (picked) => actions.open(hit, picked)),
    element("div", { class: "quoted" }, passage ? quotation(passage) : null),
  ];
}

/** As many empty cards as are likely to come, of the height of real ones. */
export function skeletonCards(number) {
  const lines = () => ["name", "facts", "relevance", "time-line"].map((kind) => element("span", { class: `bone ${kind}` }));
  return Array.from({ length: number }, () =>
    element("li", { class: "card skeleton", "aria-hidden": "true" }, element("span", { class: "bone picture" }), element("div", { class: "card-text" }, ...lines())),
  );
}

function picture(hit, actions) {
  const second = firstSecond(hit);
  const shown = element("img", {
    src: pictureAddress(hit, bestSecond(hit)),
    alt: "",
    loading: "lazy",
    decoding: "async",
    on: { error: (event) => event.currentTarget.replaceWith(noPicture(hit)) },
  });
  return element(
    "button",
    {
      type: "button",
      class: "picture",
      "aria-label": playLabel(hit, second),
      on: { click: () => actions.open(hit, second) },
    },
    hit.gone ? noPicture(hit) : shown,
    hit.gone ? null : element("span", { class: "play" }, icon("play")),
    hit.isListed ? null : element("span", { class: "badge at" }, exactClock(second)),
    hit.duration ? element("span", { class: "badge duration" }, clock(hit.duration)) : null,
  );
}

function playLabel(hit, second) {
  if (hit.gone) return `${hit.name}, the file is gone`;
  return hit.isListed ? `Play ${hit.name}` : `Play ${hit.name} from ${exactClock(second)}`;
}

function noPicture(hit) {
  return element("span", { class: "no-picture" }, hit.gone ? "The file is gone" : "No picture");
}

function relevance(hit) {
  const isKnown = hit.probability != null;
  const share = Math.round(100 * Math.min(1, Math.max(0, (isKnown ? hit.probability : hit.relevance) ?? 0)));
  const levels = Object.entries(hit.level_scores ?? {}).map(([level, score]) => `${level} ${score.toFixed(3)}`);
  const scores = [`score ${hit.score.toFixed(3)}`, ...levels].join(", ");
  return element(
    "div",
    { class: "relevance", title: isKnown ? `${share} % likely to be right; ${scores}` : `${scores}; full is the first hit, empty a video picked at random` },
    element(
      "div",
      { class: "bar", role: "meter", "aria-label": isKnown ? "Probability" : "Relevance", "aria-valuemin": 0, "aria-valuemax": 100, "aria-valuenow": share, "aria-valuetext": isKnown ? `${share} % likely to be right, ${scores}` : `${share} % of the way from any video to the first hit, ${scores}` },
      element("span", { style: { width: `${share}%` } }),
    ),
    element("span", { class: "found-by" }, ...sourcesOf(hit).map((name) => element("span", { class: "source" }, name))),
  );
}

function furtherWindows(hit, actions) {
  const windows = hit.windows ?? [];
  if (!windows.length) return element("span", { class: "spread" });
  const [next] = windows;
  return element(
    "button",
    { type: "button", class: "further-windows spread", on: { click: () => actions.open(hit, bestSecond({ ...next, sources: [] })) } },
    `+ ${counted(windows.length, "more moment")}`,
  );
}

function folderName(folder) {
  const parts = (folder ?? "").split(/[/\\]/).filter(Boolean);
  return parts.length > 2 ? `…/${parts.slice(-2).join("/")}` : (folder ?? "");
}
