// Conditions of a search in the language of its `where`, from what is chosen in the filters.

/** A column's name as a condition writes it. */
function quotedColumn(name) {
  return /^[A-Za-z_][A-Za-z0-9_]*$/.test(name) ? `"${name}"` : `"${name.replaceAll('"', "")}"`;
}

function quotedText(text) {
  return `'${text.replaceAll("'", "''")}'`;
}

/** The condition that a column of a kind has a value, or lies between two; null for any. */
export function condition({ name, kind }, chosen) {
  const column = quotedColumn(name);
  if (kind === "true_false") return chosen.value ? `${column} = ${chosen.value}` : null;
  if (kind === "text") return textCondition(column, chosen);
  const bounds = [];
  const literal = kind === "time" ? quotedText : (number) => String(Number(number));
  if (chosen.from) bounds.push(`${column} >= ${literal(chosen.from)}`);
  if (chosen.to && kind === "time") bounds.push(`${column} < ${quotedText(dayAfter(chosen.to))}`);
  else if (chosen.to) bounds.push(`${column} <= ${literal(chosen.to)}`);
  return bounds.length ? bounds.join(" and ") : null;
}

/** The condition that a video lies in a folder. */
export function folderCondition(folder) {
  const separator = folder.includes("\\") ? "\\" : "/";
  return `path startswith ${quotedText(folder.endsWith(separator) ? folder : folder + separator)}`;
}

/** All of several conditions; null where there is none. */
export function all(conditions) {
  const given = conditions.filter(Boolean);
  return given.length ? given.join(" and ") : null;
}

function textCondition(column, { value, part }) {
  if (value) return `${column} = ${quotedText(value)}`;
  // The language knows no way to mean a % itself: _ stands for any one character.
  return part ? `${column} like ${quotedText(`%${part.replaceAll("%", "_")}%`)}` : null;
}

function dayAfter(day) {
  const date = new Date(`${day}T00:00:00Z`);
  date.setUTCDate(date.getUTCDate() + 1);
  return date.toISOString().slice(0, 10);
}
