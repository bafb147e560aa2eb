// The export of a stretch of a video as a file of its own.

import { element } from "./elements.js";
import { exportedRange } from "./moments.js";
import { cutAddress, download } from "./server.js";

/** A form that asks for the start and end, and saves the file. */
export function exportForm(hit, second) {
  const range = exportedRange(hit, second);
  const start = secondsInput(range.start, hit.duration);
  const end = secondsInput(range.end, hit.duration);
  const exact = element("input", { type: "checkbox", checked: true });
  const save = element("button", { type: "submit", class: "button" }, "Export");
  const told = element("p", { class: "export-state", role: "status" });
  const onSubmit = async (event) => {
    event.preventDefault();
    const [from, to] = [start.valueAsNumber, end.valueAsNumber];
    if (!(to > from)) {
      told.textContent = "The end must be after the start.";
      return;
    }
    save.disabled = true;
    told.textContent = "Cutting …";
    try {
      const { name, content } = await download(cutAddress(hit, from, to, exact.checked));
      saveAs(name, content);
      told.textContent = `Saved ${name}.`;
    } catch (error) {
      told.textContent = error.message;
    } finally {
      save.disabled = false;
    }
  };
  return element(
    "form",
    { class: "export", on: { submit: onSubmit } },
    element("span", { class: "export-title" }, "Export"),
    element("label", {}, "from ", start),
    element("label", {}, "to ", end, " s"),
    element("label", { title: "Cut at exactly these seconds and encode again; else from the key frame before, as it is" }, exact, " exactly"),
    save,
    told,
  );
}

function secondsInput(value, duration) {
  return element("input", { type: "number", min: 0, max: duration ?? null, step: "any", required: true, value: value.toFixed(2) });
}

function saveAs(name, content) {
  const address = URL.createObjectURL(content);
  element("a", { href: address, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(address), 60_000);
}
