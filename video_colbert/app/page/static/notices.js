// Short notices that pass, and the banner that stays while something is wrong.

const SHOWN_FOR = 4000;
let timer = null;

/** Shows a sentence for a few seconds. */
export function toast(sentence) {
  const place = document.querySelector("#toast");
  place.textContent = sentence;
  place.classList.add("shown");
  clearTimeout(timer);
  timer = setTimeout(() => place.classList.remove("shown"), SHOWN_FOR);
}

/** Shows a sentence until it is taken back with null. */
export function banner(sentence) {
  const place = document.querySelector("#banner");
  if (place.hidden === (sentence === null) && place.textContent === (sentence ?? "")) return;
  place.hidden = sentence === null;
  place.textContent = sentence ?? "";
}
