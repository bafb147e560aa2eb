// What matched besides the pictures: the quoted passage, its matched words marked.

import { element } from "./elements.js";
import { exactClock } from "./times.js";

const NAMES = {
  video: "Seen",
  speech: "Said",
  subtitles: "Said",
  screen_text: "Written",
  description: "Described",
  keywords: "Same words",
  document: "Text",
};
// Letters of a passage that a card has room for, and of those before its first matched word.
const SHOWN = 120;
const SHOWN_BEFORE = 30;

/** What a source is called. */
export function sourceName(source) {
  return NAMES[source] ?? source.replaceAll("_", " ");
}

/** The names of the sources that found a hit, each once. */
export function sourcesOf(hit) {
  const sources = hit.sources?.length ? hit.sources : [{ source: "video" }];
  const names = sources.map(({ source, kind }) => sourceName(source === "keywords" && kind ? kind : source));
  return [...new Set(names)];
}

/** The passages of a hit, best first. */
export function passagesOf(hit) {
  return (hit.sources ?? []).filter((source) => typeof source.text === "string" && source.text);
}

/** A passage as a quotation: around its first matched word where it is long and not `whole`. */
export function quotation(source, { whole = false, onPick = null } = {}) {
  const name = sourceName(source.source === "keywords" && source.kind ? source.kind : source.source);
  const time = source.start ?? null;
  const head = time === null ? name : `${name} ${exactClock(time)}`;
  return element(
    "blockquote",
    { class: "passage" },
    onPick && time !== null
      ? element("button", { type: "button", class: "passage-time", on: { click: () => onPick(time) } }, head)
      : element("span", { class: "passage-time" }, head),
    " ",
    element("q", {}, ...marked(source, whole)),
  );
}

function marked(source, whole) {
  const parts = source.parts ?? [{ text: source.text, matched: false }];
  const isCut = !whole && source.text.length > SHOWN;
  const before = parts.findIndex(({ matched }) => matched);
  const shown = isCut && before > 0 ? [{ text: ending(parts[0].text), matched: false }, ...parts.slice(1)] : parts;
  return shown.filter(({ text }) => text).map(({ text, matched }) => (matched ? element("mark", {}, text) : text));
}

/** What stands right before the first matched word of a long passage; its end is cut by the card. */
function ending(text) {
  const letters = [...text];
  return letters.length <= SHOWN_BEFORE ? text : `…${letters.slice(-SHOWN_BEFORE).join("")}`;
}
