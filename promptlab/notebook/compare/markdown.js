// A small part of Markdown, as elements and text nodes.

const LONGEST_INLINE = 5000;
const INLINE =
  /(`+)([^`]|[^`][^]*?[^`])\1(?!`)|!\[([^\]\n]*)\]\(([^)\s]*)[^)\n]*\)|\[([^\]\n]+)\]\(([^)\s]*)[^)\n]*\)|(\*\*|__)(?=\S)([^]*?\S)\7|(~~)(?=\S)([^]*?\S)\9|(\*|_)(?=[^\s*_])([^*_\n]*[^\s*_])\11(?![\p{L}\p{N}])/u;

/** A string as a small part of Markdown, made of elements and text nodes alone: headings,
 * lists, tables, quotes, code, bold, italic. Links and images are shown as text. */
export function rendered(text) {
  return blocks(text.split(/\r\n|\n|\r/), 0);
}

function blocks(rows, depth) {
  const made = document.createDocumentFragment();
  let at = 0;
  const take = (test) => {
    const from = at;
    while (at < rows.length && test(rows[at])) at++;
    return rows.slice(from, at);
  };
  while (at < rows.length) {
    const row = rows[at];
    let found;
    if (!row.trim()) {
      at++;
    } else if ((found = /^ {0,3}(`{3,}|~{3,})/.exec(row))) {
      at++;
      const code = take((line) => !line.trimStart().startsWith(found[1]));
      at++;
      made.append(el("pre", {}, el("code", {}, code.join("\n"))));
    } else if ((found = /^ {0,3}(#{1,6})\s+(.*?)\s*#*$/.exec(row))) {
      at++;
      const level = found[1].length;
      made.append(
        el("div", { class: `plc-h plc-h${level}`, role: "heading", "aria-level": level }, inline(found[2])),
      );
    } else if (/^ {0,3}([-*_])(?:\s*\1){2,}\s*$/.test(row)) {
      at++;
      made.append(el("hr"));
    } else if (/^ {0,3}>/.test(row) && depth < 5) {
      const quoted = take((line) => /^ {0,3}>/.test(line));
      const inner = quoted.map((line) => line.replace(/^ {0,3}> ?/, ""));
      made.append(el("blockquote", {}, blocks(inner, depth + 1)));
    } else if (bullet(row) && depth < 8) {
      made.append(list(take((line) => bullet(line) || /^\s+\S/.test(line)), depth));
    } else if (row.includes("|") && /^[\s|:-]*-[\s|:-]*$/.test(rows[at + 1] ?? "")) {
      const given = take((line) => line.includes("|"));
      made.append(table(given));
    } else {
      const from = at++;
      take((line) => line.trim() && !/^ {0,3}(`{3,}|~{3,}|#{1,6}\s|>)/.test(line) && !bullet(line));
      made.append(el("p", {}, inline(rows.slice(from, at).join("\n"))));
    }
  }
  return made;
}

const bullet = (row) => /^(\s*)([-*+]|\d{1,9}[.)])\s+(.*)$/.exec(row);

function list(rows, depth) {
  const [, indent, sign] = bullet(rows[0]);
  const ordered = /\d/.test(sign);
  const made = ordered ? el("ol", { start: parseInt(sign, 10) }) : el("ul");
  let item = [];
  const flush = () => {
    if (!item.length) return;
    const [first, ...more] = item;
    made.append(el("li", {}, inline(first), blocks(more, depth + 1)));
    item = [];
  };
  for (const row of rows) {
    const found = bullet(row);
    if (found && found[1].length <= indent.length) {
      flush();
      item = [found[3]];
    } else {
      item.push(row.slice(Math.min(row.length - row.trimStart().length, indent.length + 2)));
    }
  }
  flush();
  return made;
}

function table(rows) {
  const parts = rows.map((row) =>
    row.trim().replace(/^\||\|$/g, "").split("|").map((part) => part.trim()),
  );
  const [head, , ...body] = parts;
  const line = (tag, cells) => el("tr", {}, cells.slice(0, 50).map((text) => el(tag, {}, inline(text))));
  return el("table", {}, el("thead", {}, line("th", head)), el("tbody", {}, body.map((row) => line("td", row))));
}

function inline(text, depth = 0) {
  const made = document.createDocumentFragment();
  if (text.length > LONGEST_INLINE || depth > 6) {
    made.append(text);
    return made;
  }
  let rest = text;
  for (let found; (found = INLINE.exec(rest)); ) {
    made.append(rest.slice(0, found.index));
    const [all, , code, picture, source, link, target, , bold, , struck, , italic] = found;
    if (code !== undefined) made.append(el("code", {}, code));
    else if (source !== undefined) made.append(el("span", { class: "plc-url" }, `[image: ${picture} ${source}]`));
    else if (link !== undefined) made.append(inline(link, depth + 1), el("span", { class: "plc-url" }, ` (${target})`));
    else if (bold !== undefined) made.append(el("strong", {}, inline(bold, depth + 1)));
    else if (struck !== undefined) made.append(el("s", {}, inline(struck, depth + 1)));
    else made.append(el("em", {}, inline(italic, depth + 1)));
    rest = rest.slice(found.index + all.length);
  }
  made.append(rest);
  return made;
}
