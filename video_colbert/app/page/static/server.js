// What the page asks of its server: the functions of the API, which other programs call too, and the media of a hit.

/** An answer that is a refusal; its message is a sentence for the reader. */
export class RefusedError extends Error {}

/** The server cannot be reached. */
export class OfflineError extends Error {}

/**
 * Calls a function of the API and gives what it answers.
 *
 * Throws a RefusedError with the server's sentence, an OfflineError, or an AbortError where `signal` says so.
 */
export async function call(name, parameters = {}, signal = undefined) {
  const begun = await request(`gradio_api/call/v2/${name}`, {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify(parameters),
    signal,
  });
  const { event_id: event } = await begun.json();
  const stream = await request(`gradio_api/call/${name}/${event}`, { signal });
  const answer = lastEvent(await bodyOf(stream));
  if (answer.event !== "complete") throw new RefusedError(sentenceOf(answer.data));
  const [value] = answer.data;
  if (value && typeof value.error === "string") throw new RefusedError(value.error);
  return value;
}

/** The picture of a video at a second. */
export function pictureAddress(hit, second, height = 216) {
  return `${mediaAddress(hit)}/picture?t=${second.toFixed(3)}&h=${height}`;
}

/** The file itself, for what a browser plays. */
export function fileAddress(hit) {
  return `${mediaAddress(hit)}/file`;
}

/** A stretch of a video that any browser plays. */
export function excerptAddress(hit, start, end) {
  return `${mediaAddress(hit)}/excerpt?start=${start.toFixed(3)}&end=${end.toFixed(3)}`;
}

/** A stretch of a video as a file of its own. */
export function cutAddress(hit, start, end, isExact) {
  return `${mediaAddress(hit)}/cut?start=${start.toFixed(3)}&end=${end.toFixed(3)}&exact=${isExact ? 1 : 0}`;
}

/** The bytes at an address, with the name that the server gives them; throws as `call` does. */
export async function download(address) {
  const response = await request(address);
  const named = /filename\*=UTF-8''([^;]+)|filename="([^"]+)"/i.exec(response.headers.get("Content-Disposition") ?? "");
  const name = named ? decodeURIComponent(named[1] ?? named[2]) : "clip.mp4";
  return { name, content: await response.blob() };
}

/** Why an address of media gives nothing: the server's sentence. */
export async function whyRefused(address) {
  try {
    await request(address, { headers: { Range: "bytes=0-0" } });
    return "This browser cannot play the file.";
  } catch (error) {
    return error.message;
  }
}

function mediaAddress(hit) {
  return `media/${encodeURIComponent(hit.index)}/${encodeURIComponent(hit.id)}`;
}

async function request(address, options = {}) {
  let response;
  try {
    response = await fetch(address, options);
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new OfflineError("The server cannot be reached.");
  }
  if (!response.ok) throw new RefusedError(sentenceOf(await bodyOf(response), response.status));
  return response;
}

async function bodyOf(response) {
  try {
    return await response.text();
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new OfflineError("The server was lost while it answered.");
  }
}

function lastEvent(stream) {
  const events = stream.split("\n\n").map((block) => {
    const fields = block.split("\n").map((line) => /^(event|data): (.*)$/.exec(line)).filter(Boolean);
    return Object.fromEntries(fields.map(([, field, value]) => [field, value]));
  });
  const last = events.filter(({ event }) => event === "complete" || event === "error").at(-1);
  if (!last) throw new OfflineError("The server ended before it answered.");
  return { event: last.event, data: JSON.parse(last.data) };
}

function sentenceOf(data, status = undefined) {
  let told = data;
  if (typeof data === "string" && /^[{[]/.test(data)) {
    try {
      told = JSON.parse(data);
    } catch {
      // It is a text that only looks like JSON, and is shown as it is.
    }
  }
  if (told && typeof told === "object") told = told.error ?? told.detail ?? told.message;
  if (typeof told === "string" && told.trim()) return told.trim();
  return `The server could not answer${status ? ` (status ${status})` : ""}.`;
}
