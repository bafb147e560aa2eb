// What the page shows while nothing is asked: the videos of the index, the newest first.

import { call } from "./server.js";

/** The newest videos, in the form of hits that no query found: {total, videos}; throws as `call` does. */
export async function newestVideos({ index, where, count }, signal) {
  const given = { index, top_k: count };
  if (where) given.where = where;
  const { total, videos } = await call("videos", given, signal);
  return { total, videos: videos.map((video) => ({ ...video, index, isListed: true })) };
}
