// Plays a video in one element: the file where the browser plays it, and else a short excerpt around the second.

import { excerptAddress, fileAddress, whyRefused } from "./server.js";

// An excerpt begins so long before the second that is asked for, and lasts so long; a shorter video is played whole.
const BEFORE = 5;
const LENGTH = 30;

/** The player of the dialog; times are seconds of the whole video, whatever part of it is loaded. */
export class Player {
  #video;
  #hit = null;
  #excerpt = null;
  #onState;

  /** `onState(state, sentence)` hears of "loading", "ready" and "failed". */
  constructor(video, { onTime, onState }) {
    this.#video = video;
    this.#onState = onState;
    const tell = () => onTime(this.second);
    for (const event of ["timeupdate", "seeked"]) video.addEventListener(event, tell);
    video.addEventListener("loadeddata", () => onState("ready", this.#excerpt ? "excerpt" : "file"));
    video.addEventListener("error", () => this.#failed());
  }

  /** The second of the whole video that is on show. */
  get second() {
    return this.#video.currentTime + (this.#excerpt?.start ?? 0);
  }

  /** What is loaded, where it is an excerpt: its start and end. */
  get excerpt() {
    return this.#excerpt;
  }

  /** Loads a hit and plays it from a second. */
  play(hit, second) {
    this.#hit = hit;
    this.#excerpt = null;
    if (hit.playable) this.#load(fileAddress(hit), second);
    else this.#loadExcerpt(second);
  }

  /** Goes to a second; another excerpt is made where it is not in this one. */
  seek(second) {
    if (this.#excerpt && (second < this.#excerpt.start || second > this.#excerpt.end)) {
      this.#loadExcerpt(second);
      return;
    }
    this.#video.currentTime = second - (this.#excerpt?.start ?? 0);
    this.#begin();
  }

  /** Stops, and lets the file go. */
  stop() {
    this.#hit = null;
    this.#video.pause();
    this.#video.removeAttribute("src");
    this.#video.load();
  }

  #loadExcerpt(second) {
    const length = this.#hit.duration || second + LENGTH;
    const start = length <= LENGTH ? 0 : Math.max(0, Math.min(second - BEFORE, length - LENGTH));
    this.#excerpt = { start, end: Math.min(length, start + LENGTH) };
    this.#load(excerptAddress(this.#hit, start, this.#excerpt.end), second);
  }

  #load(address, second) {
    const video = this.#video;
    this.#onState("loading");
    video.addEventListener("loadedmetadata", () => {
      video.currentTime = second - (this.#excerpt?.start ?? 0);
      this.#begin();
    }, { once: true });
    video.src = address;
    this.wanted = second;
  }

  #begin() {
    // A browser that lets nothing play by itself leaves it to the reader; so does one whose source has just changed.
    this.#video.play().catch(() => {});
  }

  async #failed() {
    if (!this.#hit || !this.#video.getAttribute("src")) return;
    if (!this.#excerpt) {
      // The server takes it for playable; this browser does not.
      this.#loadExcerpt(this.wanted);
      return;
    }
    const sentence = await whyRefused(this.#video.src);
    this.#onState("failed", sentence);
  }
}
