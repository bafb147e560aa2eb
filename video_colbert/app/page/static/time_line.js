// The line that stands for a video's whole length, with what matched shaded and the words of the query on it.

import { element } from "./elements.js";
import { matchedRanges, telling } from "./moments.js";
import { clock, exactClock, span } from "./times.js";

// What a letter and the space around a word take of a card's width, in percent.
const LETTER = 2.3;
const AROUND = 3;
const LANES = 2;

/**
 * The time line of a hit.
 *
 * `onPick` is called with the second of a word or a place that is clicked. Words that find no room in the two rows
 * keep their mark on the line, and their name as a tip.
 */
export function timeLine(hit, onPick, { letter = LETTER } = {}) {
  const length = hit.duration || hit.end || 1;
  const share = (second) => Math.min(100, Math.max(0, (100 * second) / length));
  const ranges = matchedRanges(hit).map((range) =>
    element("span", {
      class: range.isBest ? "range" : "range further",
      title: `${span(range.start, range.end)} ${(range.words ?? []).join(" ")}`.trim(),
      style: { left: `${share(range.start)}%`, width: `${Math.max(0.8, share(range.end) - share(range.start))}%` },
    }),
  );
  const marks = (hit.moments ?? []).map((moment) =>
    element("span", {
      class: moment.muted ? "mark muted" : "mark",
      title: `${moment.word} ${exactClock(moment.time)}`,
      style: { left: `${share(moment.time)}%` },
    }),
  );
  const track = element(
    "div",
    { class: "track", on: { click: (event) => onPick(pickedSecond(event, length)) } },
    ...ranges,
    ...marks,
    element("span", { class: "playhead", hidden: true }),
  );
  const words = placed(hit.moments ?? [], share, letter).map(({ moment, centre, width, lane }) =>
    element(
      "button",
      {
        type: "button",
        class: moment.muted ? "word muted" : "word",
        tabindex: "-1",
        title: `${moment.word} ${exactClock(moment.time)}`,
        style: { ...sidewards(centre, width), top: `${lane * 1.15}rem` },
        on: { click: () => onPick(moment.time) },
      },
      moment.word,
    ),
  );
  const attributes = { class: "time-line", role: "group", "aria-label": described(hit) };
  return element("div", attributes, track, element("div", { class: "words-on-line" }, ...words));
}

/** Moves the mark of the second that plays. */
export function showPlayhead(line, second, length) {
  const playhead = line.querySelector(".playhead");
  playhead.hidden = false;
  playhead.style.setProperty("left", `${Math.min(100, (100 * second) / (length || 1))}%`);
}

function pickedSecond(event, length) {
  const box = event.currentTarget.getBoundingClientRect();
  return (length * Math.min(box.width, Math.max(0, event.clientX - box.left))) / box.width;
}

/** Where a word stands: below its mark, and at the end of the line where it would stand out. */
function sidewards(centre, width) {
  if (centre < width / 2) return { left: "0" };
  if (centre > 100 - width / 2) return { right: "0" };
  return { left: `${centre}%`, translate: "-50%" };
}

/** The words that find room, words that mean something first, each with the middle and width that it takes and its row. */
function placed(moments, share, letter) {
  const taken = Array.from({ length: LANES }, () => []);
  const found = [];
  const inOrder = [...moments].sort((one, other) => Number(one.muted ?? false) - Number(other.muted ?? false) || one.time - other.time);
  for (const moment of inOrder) {
    const width = Math.min(100, moment.word.length * letter + AROUND);
    const left = Math.min(100 - width, Math.max(0, share(moment.time) - width / 2));
    const lane = taken.findIndex((row) => row.every(([from, to]) => left >= to || left + width <= from));
    if (lane < 0) continue;
    taken[lane].push([left, left + width]);
    found.push({ moment, centre: share(moment.time), width, lane });
  }
  return found;
}

function described(hit) {
  if (hit.isListed) return `The whole video, ${clock(hit.duration)}`;
  const words = telling(hit).map((moment) => `${moment.word} at ${exactClock(moment.time)}`);
  return words.length ? `Moments: ${words.join(", ")}` : `Matches ${span(hit.start, hit.end)}`;
}
