// The page: what is asked, what is answered, and what happens to a hit.

import { askedByAddress, writeAddress } from "./address.js";
import { element } from "./elements.js";
import { Filters } from "./filters.js";
import { heldBy, readInfo } from "./index_states.js";
import { firstSecond } from "./moments.js";
import { banner, toast } from "./notices.js";
import { newestVideos } from "./opening.js";
import { momentOf } from "./picture_query.js";
import { QueryBox } from "./query_box.js";
import { Results } from "./results.js";
import { call, OfflineError } from "./server.js";
import { StatusCorner } from "./status.js";
import { exactClock, counted } from "./times.js";
import { Viewer } from "./viewer.js";

const STEP = 24;
// The server gives no more to one search.
const MOST_HITS = 200;
const LOOK_EVERY = 15_000;
const LOOK_WHILE_INDEXING = 2_000;
const OFFLINE = "The server cannot be reached. The page goes on by itself when it is back.";
const CUT_OFF = "the query is longer than the model takes: its end was cut off";
const ZERO_SHOT = "zero-shot: words are not told apart";
const ZERO_SHOT_MEANS =
  "The model compares texts with single pictures: a moment is that of a phrase. A checkpoint trained on clips finds the moment of each word.";

const at = (id) => document.querySelector(`#${id}`);
let info = { indexes: [], mayAdd: false, mayReveal: false };
let asked = null;
let hits = [];
let wanted = STEP;
let answered = "";
let held = "";

const actions = {
  open: (hit, second = firstSecond(hit)) => viewer.open(hit, second, hits),
  cut: (hit, second) => viewer.open(hit, second, hits, { isExport: true }),
  alike: (hit) => {
    box.text = "";
    box.picture = momentOf(hit);
    window.scrollTo({ top: 0 });
    ask();
  },
  copy: async (hit, second) => {
    const text = `${hit.video}@${second.toFixed(1)}`;
    try {
      await navigator.clipboard.writeText(text);
      toast(`Copied ${text}`);
    } catch {
      toast(text);
    }
  },
  reveal: null,
};
const results = new Results(at("results"), actions);
const viewer = new Viewer(at("viewer"), actions);
const corner = new StatusCorner(at("status"));
const box = new QueryBox(at("query"), { onAsk: () => ask(), onProblem: toast });
const names = element("select", { class: "index-names", "aria-label": "Index", hidden: true, on: { change: () => chosen() } });
box.extras.append(names);
const filters = new Filters(box.extras, () => ask());

async function reveal(hit) {
  try {
    await call("reveal", { index: hit.index, video: hit.id });
    toast("Shown in its folder.");
  } catch (error) {
    toast(error.message);
  }
}

function current() {
  return info.indexes.find(({ name }) => name === names.value) ?? info.indexes[0];
}

function chosen() {
  showState();
  ask();
}

/** Asks the server; what was asked before and is not answered yet is given up. `isQuiet` where nothing changed here. */
async function ask({ isQuiet = false, top = STEP } = {}) {
  wanted = isQuiet ? wanted : top;
  const { text, picture } = box;
  const state = current();
  if (!state) return;
  writeAddress({ text, index: info.indexes.length > 1 ? state.name : null });
  asked?.abort();
  asked = new AbortController();
  const { signal } = asked;
  if (!isQuiet) results.showLoading();
  const begun = performance.now();
  try {
    const answer = text || picture ? await call("search", parametersOf(state), signal) : await opening(state, signal);
    if (signal.aborted) return;
    banner(null);
    if (text || picture) show(answer, state, (performance.now() - begun) / 1000, isQuiet);
    else welcome(answer, state, isQuiet);
  } catch (error) {
    if (error.name === "AbortError" || signal.aborted) return;
    failed(error);
  }
}

function parametersOf(state) {
  const { text, picture, textWeight } = box;
  const given = { index: state.name, text, top_k: wanted, where: filters.where, sources: filters.sources };
  if (picture) Object.assign(given, picture.parameters, { text_weight: text ? textWeight : 0 });
  return Object.fromEntries(Object.entries(given).filter(([, value]) => value !== null && value !== ""));
}

function show(answer, state, seconds, isQuiet) {
  const shape = JSON.stringify(answer.hits);
  at("results").dataset.query = answer.query;
  hits = answer.hits.map((hit) => ({ ...hit, index: state.name }));
  const found = hits.length < state.videos ? `The best ${hits.length.toLocaleString()} of ${counted(state.videos, "video")}` : counted(hits.length, "video");
  const took = `${found} in ${seconds.toFixed(seconds < 10 ? 2 : 0)} s`;
  at("summary").textContent = answer.truncated ? `${took} · ${CUT_OFF}` : took;
  if (isQuiet && shape === answered) return;
  answered = shape;
  if (hits.length) {
    results.showHits(hits, hits.length >= wanted && wanted < MOST_HITS ? more : null);
    return;
  }
  none();
}

function none() {
  const clear = element("button", { type: "button", class: "button", on: { click: () => filters.clear() } }, "Clear filters");
  const why = filters.isAny ? "No video passes the filters." : "The index holds no video that matches.";
  results.showNone(why, filters.isAny ? [clear] : []);
}

function more() {
  ask({ top: Math.min(MOST_HITS, wanted + STEP) });
}

function failed(error) {
  if (error instanceof OfflineError) {
    results.stopLoading();
    offline();
    return;
  }
  answered = "";
  at("summary").textContent = "";
  const again = element("button", { type: "button", class: "button", on: { click: () => ask() } }, "Try again");
  results.showError(error.message, [again]);
}

function opening(state, signal) {
  if (!state.videos) return { total: 0, videos: [] };
  return newestVideos({ index: state.name, where: filters.where, count: wanted }, signal);
}

function welcome({ total, videos }, state, isQuiet) {
  const shape = JSON.stringify([total, videos, state.progress === null]);
  at("results").dataset.query = "";
  hits = videos;
  const newest = videos.length < total ? `The newest ${videos.length.toLocaleString()} of ${counted(total, "video")}` : `${counted(total, "video")}, the newest first`;
  at("summary").textContent = videos.length ? newest : "";
  if (isQuiet && shape === answered) return;
  answered = shape;
  if (!state.videos) {
    results.showWelcome("There is no video yet", state.progress ? "The first ones appear here as they are read." : "Add a folder of videos with `video-colbert index`, and they appear here.");
    return;
  }
  if (!videos.length) {
    none();
    return;
  }
  const tries = (state.examples ?? []).map((query) =>
    element("button", { type: "button", class: "button", on: { click: () => { box.text = query; ask(); } } }, query),
  );
  const hint = "Say what is to be seen in a few words, such as who does what and where, or drop a picture or a clip anywhere on this page.";
  results.showWelcome(`Search ${counted(state.videos, "video")}`, hint, tries, videos, videos.length < total && wanted < MOST_HITS ? more : null);
}

function offline() {
  banner(OFFLINE);
  corner.showOffline();
}

function showState() {
  const state = current();
  corner.show(info, state?.name);
  if (!state) return;
  filters.show(state);
  const note = at("model-note");
  note.hidden = !state.zero_shot;
  note.textContent = state.zero_shot ? ZERO_SHOT : "";
  note.title = ZERO_SHOT_MEANS;
}

/** Looks what the indexes hold, again and again; what came in is searched too. */
async function look() {
  let wait = LOOK_EVERY;
  try {
    info = readInfo(await call("info"));
    const isBack = !at("banner").hidden;
    banner(null);
    actions.reveal = info.mayReveal ? reveal : null;
    const options = info.indexes.map(({ name }) => name);
    if (JSON.stringify(options) !== names.dataset.options) {
      names.dataset.options = JSON.stringify(options);
      names.replaceChildren(...options.map((name) => element("option", { value: name }, name)));
      names.hidden = options.length < 2;
      const { index } = askedByAddress();
      if (options.includes(index)) names.value = index;
    }
    showState();
    const holds = heldBy(info);
    if (holds !== held || isBack) await ask({ isQuiet: held !== "" });
    held = holds;
    if (info.indexes.some(({ progress }) => progress)) wait = LOOK_WHILE_INDEXING;
  } catch (error) {
    if (error instanceof OfflineError) offline();
    else banner(error.message);
    wait = LOOK_WHILE_INDEXING;
  }
  setTimeout(look, wait);
}

box.text = askedByAddress().text;
window.addEventListener("hashchange", () => {
  box.text = askedByAddress().text;
  ask();
});
look();
