// Elements of the page. Here alone is a text from a file, a caption or a query put into the page, always as a text
// node or an attribute's value: nothing is ever read as markup.

/**
 * An element with its attributes and children.
 *
 * Of the attributes, `on` holds listeners by event and `style` values by CSS property, which are set one by one since
 * the server's policy allows no style attribute; null, undefined and false leave one out, and true writes it bare.
 */
export function element(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name === "on") {
      for (const [event, listener] of Object.entries(value)) made.addEventListener(event, listener);
    } else if (name === "style") {
      for (const [property, text] of Object.entries(value)) made.style.setProperty(property, text);
    } else if (value === true) {
      made.setAttribute(name, "");
    } else if (value !== null && value !== undefined && value !== false) {
      made.setAttribute(name, String(value));
    }
  }
  made.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== false));
  return made;
}

/** One of the pictures of icons.svg, which says nothing to a screen reader. */
export function icon(name) {
  const space = "http://www.w3.org/2000/svg";
  const picture = document.createElementNS(space, "svg");
  picture.setAttribute("class", "icon");
  picture.setAttribute("aria-hidden", "true");
  const use = document.createElementNS(space, "use");
  use.setAttribute("href", `page/icons.svg#${name}`);
  picture.append(use);
  return picture;
}

/** A button with an icon, whose label is seen where `shown`, and else only read out and shown as a tip. */
export function iconButton(name, label, onClick, { shown = false, ...attributes } = {}) {
  const names = shown ? {} : { "aria-label": label, title: label };
  const kind = shown ? "button" : "button icon-button";
  return element(
    "button",
    { type: "button", class: kind, ...names, ...attributes, on: { click: onClick } },
    icon(name),
    shown && element("span", {}, label),
  );
}
