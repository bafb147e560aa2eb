// What the server says of its indexes, in the form that the page shows.

const KINDS = { times: "time", "true or false": "true_false", "whole numbers": "number", numbers: "number", text: "text" };

/** The indexes and what may be done: {indexes, mayAdd, mayReveal}. */
export function readInfo(answer) {
  return {
    indexes: answer.indexes.map(readIndex),
    mayAdd: Boolean(answer.may_add),
    mayReveal: Boolean(answer.may_reveal),
  };
}

function readIndex(state) {
  const columns = (state.columns ?? []).map(({ name, holds }) => ({ name, kind: KINDS[holds] ?? "text", values: state.values?.[name] }));
  return { bad: [], gone: [], notices: [], folders: [], sources: [], examples: [], progress: null, ...state, columns };
}

/** What changes when an index holds something else. */
export function heldBy({ indexes }) {
  return JSON.stringify(indexes.map(({ name, videos, windows, passages }) => [name, videos, windows, passages]));
}
