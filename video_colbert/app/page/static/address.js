// The part of the page's address that says what is searched, so that it can be kept, sent and gone back to.

/** What the address asks for: {text, index}. */
export function askedByAddress() {
  const asked = new URLSearchParams(location.hash.slice(1));
  return { text: asked.get("q") ?? "", index: asked.get("index") };
}

/** Writes what is searched into the address. */
export function writeAddress({ text, index }) {
  const asked = new URLSearchParams();
  if (text) asked.set("q", text);
  if (index) asked.set("index", index);
  const hash = asked.toString();
  history.replaceState(null, "", hash ? `#${hash}` : location.pathname + location.search);
}
