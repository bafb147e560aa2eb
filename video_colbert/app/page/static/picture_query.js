// A dropped file, or a moment of a video, as what is searched by.

import { bestSecond } from "./moments.js";
import { pictureAddress } from "./server.js";
import { span } from "./times.js";

// Models look at pictures of 224 to 448 pixels a side: more would only take longer to send.
const MOST_PIXELS = 1024;
const QUALITY = 0.92;
const MOST_BYTES = 12 * 1024 * 1024;

/**
 * What is searched by for a dropped file: a picture is made smaller and sent as a JPEG file, a clip as it is.
 *
 * Throws an Error with a sentence where it is neither, or too large to be sent.
 */
export async function pictureOf(file) {
  if (file.type.startsWith("image/") && file.type !== "image/gif") {
    const small = await shrunk(file);
    return { label: file.name, preview: URL.createObjectURL(small), parameters: { image: await base64(small) } };
  }
  if (!file.type.startsWith("video/") && file.type !== "image/gif" && !/\.(mkv|avi|mov|m4v|webm|mts|ts|wmv|flv)$/i.test(file.name)) {
    throw new Error(`${file.name} is neither a picture nor a video.`);
  }
  if (file.size > MOST_BYTES) {
    throw new Error(`${file.name} is too large to search by: at most ${MOST_BYTES / 1024 / 1024} MB. Drop a shorter clip of it.`);
  }
  return { label: file.name, preview: null, parameters: { clip_file: await base64(file) } };
}

/** What is searched by for a moment of a hit: the window that matched. */
export function momentOf(hit) {
  const video = hit.id;
  return {
    label: `${hit.name} ${span(hit.start, hit.end)}`,
    preview: pictureAddress(hit, bestSecond(hit), 64),
    video,
    parameters: { clip: { video, start: hit.start, end: hit.end } },
  };
}

async function shrunk(file) {
  let picture;
  try {
    picture = await createImageBitmap(file);
  } catch {
    throw new Error(`${file.name} is no picture that this browser can read.`);
  }
  const scale = Math.min(1, MOST_PIXELS / Math.max(picture.width, picture.height));
  const canvas = document.createElement("canvas");
  canvas.width = Math.max(1, Math.round(picture.width * scale));
  canvas.height = Math.max(1, Math.round(picture.height * scale));
  const context = canvas.getContext("2d");
  // What is transparent is white, as pages show it.
  context.fillStyle = "#fff";
  context.fillRect(0, 0, canvas.width, canvas.height);
  context.drawImage(picture, 0, 0, canvas.width, canvas.height);
  return new Promise((resolve) => canvas.toBlob(resolve, "image/jpeg", QUALITY));
}

function base64(blob) {
  return new Promise((resolve, reject) => {
    const reader = new FileReader();
    reader.onload = () => resolve(reader.result.slice(reader.result.indexOf(",") + 1));
    reader.onerror = () => reject(new Error("The file could not be read."));
    reader.readAsDataURL(blob);
  });
}
