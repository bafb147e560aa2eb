// The times of a hit: where it is shown and played from, and where each word of the query is.

/** The second that a hit is shown at and played from: that of the passage or the word that matched best. */
export function bestSecond(hit) {
  const passage = (hit.sources ?? [])[0];
  if (passage && passage.text !== null && passage.text !== undefined && passage.start !== null) {
    return passage.matched?.find((word) => word.time !== null && word.time !== undefined)?.time ?? passage.start ?? 0;
  }
  const [best] = telling(hit).sort((one, other) => other.similarity - one.similarity);
  if (best) return best.time;
  const [range] = hit.ranges ?? [];
  if (range) return (range.start + range.end) / 2;
  return (hit.start + hit.end) / 2;
}

/** The second that a hit is played from: a video that no query found, from its beginning. */
export function firstSecond(hit) {
  return hit.isListed ? 0 : bestSecond(hit);
}

/** The moments of words that mean something; all of them where none does. */
export function telling(hit) {
  const shown = (hit.moments ?? []).filter((moment) => !moment.muted);
  return shown.length ? shown : [...(hit.moments ?? [])];
}

/** The stretches of a video that match, of all its windows, in order of time; the best window's are `isBest`. */
export function matchedRanges(hit) {
  if (hit.isListed) return [];
  const windows = [hit, ...(hit.windows ?? [])];
  const ranges = windows.flatMap((window) => {
    const found = window.ranges?.length ? window.ranges : [{ start: window.start, end: window.end, words: [] }];
    return found.map((range) => ({ ...range, isBest: window === hit }));
  });
  return ranges.sort((one, other) => one.start - other.start);
}

/** The stretch that is exported unless another is asked for: around the second that is played. */
export function exportedRange(hit, second) {
  const around = matchedRanges(hit).find((range) => range.start <= second && second <= range.end);
  const start = Math.max(0, (around?.start ?? second - 2) - 0.5);
  return { start, end: Math.min(hit.duration ?? Infinity, (around?.end ?? second + 2) + 0.5) };
}

/** The seconds one can step through, in order, each once: of words, of passages and of further windows. */
export function steps(hit) {
  if (hit.isListed) return [];
  const passages = (hit.sources ?? []).filter((source) => source.text && source.start !== null);
  const seconds = [
    bestSecond(hit),
    ...telling(hit).map((moment) => moment.time),
    ...passages.map((passage) => passage.start),
    ...(hit.windows ?? []).map((window) => bestSecond({ ...window, sources: [] })),
  ];
  const sorted = seconds.filter(Number.isFinite).sort((one, other) => one - other);
  return sorted.filter((second, place) => place === 0 || second - sorted[place - 1] > 0.05);
}

/**
 * The words of the query in its order, each with from when to when it is lit: within the range that it is in, as long as
 * its moment is the nearest.
 */
export function wordsOf(hit) {
  const moments = hit.moments ?? [];
  const times = [...new Set(moments.map(({ time }) => time))].sort((one, other) => one - other);
  return moments.map((moment) => {
    const { time } = moment;
    const ranges = (hit.ranges ?? []).filter((range) => range.words?.includes(moment.word));
    const own = ranges.find((range) => range.start <= time && time <= range.end) ?? { start: time - 0.5, end: time + 0.5 };
    const before = times[times.indexOf(time) - 1] ?? -Infinity;
    const after = times[times.indexOf(time) + 1] ?? Infinity;
    return { ...moment, start: Math.max(own.start, (before + time) / 2), end: Math.min(own.end, (time + after) / 2) };
  });
}
