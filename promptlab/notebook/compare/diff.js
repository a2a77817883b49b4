// Word differences between two texts.

// A word with what is inside it (it's, 3.5, well-known); a character of a script that
// writes no spaces; white space; any other character; each with the marks put on it.
const TOKEN = new RegExp(
  "[\\p{Script=Han}\\p{Script=Hiragana}\\p{Script=Katakana}\\p{Script=Thai}" +
    "\\p{Script=Lao}\\p{Script=Khmer}\\p{Script=Myanmar}]\\p{M}*" +
    "|[\\p{L}\\p{N}\\p{M}_]+(?:['’-][\\p{L}\\p{N}\\p{M}_]+|[.,]\\p{N}+)*" +
    "|\\s+" +
    "|\\p{Extended_Pictographic}(?:\\u200d\\p{Extended_Pictographic}" +
    "|[\\p{M}\\u{1f3fb}-\\u{1f3ff}])*" +
    "|[^]\\p{M}*",
  "gu",
);
const MOST_STEPS = 3_000_000;
const LONGEST_DIFF = 120_000;

const tokens = (text) => text.match(TOKEN) ?? [];
const lines = (text) => text.match(/[^\n]*\n|[^\n]+$/g) ?? [];
const blank = (token) => /^\s+$/u.test(token);

/** What makes `after` out of `before`: runs of [kind, text], the kind being `same`,
 * `added` or `removed`; null if the texts are too long to tell. */
export function difference(before, after) {
  if (before.length + after.length > LONGEST_DIFF) return null;
  const a = tokens(before);
  const b = tokens(after);
  return tidied(aligned(a, b) ?? byLines(before, after) ?? aroundChange(a, b));
}

/** How alike two texts are: the share of their words that is the same, in order. */
export function likeness(runs) {
  const words = { same: 0, added: 0, removed: 0 };
  for (const [kind, text] of runs) {
    words[kind] += tokens(text).filter((token) => !blank(token)).length;
  }
  const all = 2 * words.same + words.added + words.removed;
  return all ? (2 * words.same) / all : 1;
}

/** By the longest common subsequence; null if that takes too many steps. */
function aligned(a, b) {
  const [start, end] = ends(a, b);
  const n = a.length - start - end;
  const m = b.length - start - end;
  if (n * m > MOST_STEPS) return null;
  const width = m + 1;
  const longest = new Uint16Array((n + 1) * width);
  for (let i = n - 1; i >= 0; i--) {
    for (let j = m - 1; j >= 0; j--) {
      const at = i * width + j;
      longest[at] =
        a[start + i] === b[start + j]
          ? longest[at + width + 1] + 1
          : Math.max(longest[at + width], longest[at + 1]);
    }
  }
  const steps = a.slice(0, start).map((token) => ["same", token]);
  for (let i = 0, j = 0; i < n || j < m; ) {
    const at = i * width + j;
    if (i < n && j < m && a[start + i] === b[start + j]) {
      steps.push(["same", a[start + i]]);
      i++;
      j++;
    } else if (i < n && (j === m || longest[at + width] >= longest[at + 1])) {
      steps.push(["removed", a[start + i++]]);
    } else {
      steps.push(["added", b[start + j++]]);
    }
  }
  for (const token of a.slice(a.length - end)) steps.push(["same", token]);
  return steps;
}

/** Lines first, then words where lines differ; null if there are too many lines. */
function byLines(before, after) {
  const steps = aligned(lines(before), lines(after));
  if (steps === null) return null;
  const refined = [];
  let a = "";
  let b = "";
  const flush = () => {
    if (!a && !b) return;
    const [left, right] = [tokens(a), tokens(b)];
    refined.push(...(aligned(left, right) ?? aroundChange(left, right)));
    a = b = "";
  };
  for (const [kind, line] of steps) {
    if (kind === "removed") a += line;
    else if (kind === "added") b += line;
    else {
      flush();
      refined.push([kind, line]);
    }
  }
  flush();
  return refined;
}

/** Compares only the beginnings and the ends. */
function aroundChange(a, b) {
  const [start, end] = ends(a, b);
  return [
    ["same", a.slice(0, start).join("")],
    ["removed", a.slice(start, a.length - end).join("")],
    ["added", b.slice(start, b.length - end).join("")],
    ["same", a.slice(a.length - end).join("")],
  ];
}

/** How many tokens are the same at the beginning and at the end. */
function ends(a, b) {
  const least = Math.min(a.length, b.length);
  let start = 0;
  while (start < least && a[start] === b[start]) start++;
  let end = 0;
  while (end < least - start && a[a.length - 1 - end] === b[b.length - 1 - end]) end++;
  return [start, end];
}

/** Steps as runs: what is removed before what is added, and white space between two
 * changes as part of both. */
function tidied(steps) {
  const runs = [];
  let removed = "";
  let added = "";
  let gap = "";
  const put = (kind, text) => {
    if (!text) return;
    const last = runs.at(-1);
    if (last && last[0] === kind) last[1] += text;
    else runs.push([kind, text]);
  };
  const flush = () => {
    put("removed", removed);
    put("added", added);
    put("same", gap);
    removed = added = gap = "";
  };
  for (const [kind, text] of steps) {
    if (!text) continue;
    if (kind === "same") {
      if ((removed || added) && !gap && blank(text)) gap = text;
      else {
        flush();
        put("same", text);
      }
      continue;
    }
    removed += gap;
    added += gap;
    gap = "";
    if (kind === "removed") removed += text;
    else added += text;
  }
  flush();
  return runs;
}
