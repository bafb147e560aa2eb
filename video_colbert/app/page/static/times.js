// Times, dates and counts as people read them.

/** Seconds as m:ss, or h:mm:ss. */
export function clock(seconds) {
  const whole = Math.max(0, Math.round(seconds));
  const parts = [Math.floor(whole / 60) % 60, whole % 60].map((part) => String(part).padStart(2, "0"));
  const hours = Math.floor(whole / 3600);
  return hours ? `${hours}:${parts.join(":")}` : `${Number(parts[0])}:${parts[1]}`;
}

/** Seconds as m:ss.s, which tells the moments of a short clip apart. */
export function exactClock(seconds) {
  const tenths = Math.max(0, Math.round(seconds * 10));
  return `${clock(Math.floor(tenths / 10))}.${tenths % 10}`;
}

/** A stretch of time. */
export function span(start, end) {
  const name = end - start < 60 ? exactClock : clock;
  return `${name(start)}–${name(end)}`;
}

/** The day of a time in seconds since 1970, in the reader's own way of writing it; nothing where it is not known. */
export function day(seconds) {
  if (!Number.isFinite(seconds)) return "";
  return new Date(seconds * 1000).toLocaleDateString(undefined, { year: "numeric", month: "short", day: "numeric" });
}

/** A number of things, such as "1 video" and "1,234 videos". */
export function counted(number, thing, things = `${thing}s`) {
  return `${number.toLocaleString()} ${number === 1 ? thing : things}`;
}
