// A pivot in a notebook: a table of buttons, each a number that can be opened.
//
// Whatever comes from a table is text: it becomes text nodes and titles only, never
// markup.

/** A string that does not turn around what stands beside it. */
const apart = (text) => el("bdi", {}, text);

/** The scheme that the page is in: the luminance of its text tells. */
function scheme(node) {
  const canvas = document.createElement("canvas").getContext("2d");
  canvas.fillStyle = getComputedStyle(node).color;
  canvas.fillRect(0, 0, 1, 1);
  const [red, green, blue] = canvas.getImageData(0, 0, 1, 1).data;
  return 0.2126 * red + 0.7152 * green + 0.0722 * blue > 127 ? "dark" : "light";
}

const MOVES = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0] };

class Table {
  constructor(model, root) {
    this.model = model;
    this.root = root;
    this.at = [0, 0];
    root.classList.add("promptlab-pivot");
    this.draw();
  }

  draw() {
    const held = this.root.contains(document.activeElement);
    const shown = this.model.get("shown");
    this.buttons = [];
    if (!shown.lines) {
      this.root.replaceChildren();
      return;
    }
    const across = shown.columns ? [" → ", apart(shown.columns)] : [];
    const head = el(
      "tr",
      {},
      el("th", { scope: "col", class: "plv-corner" }, apart(shown.rows), ...across),
      ...shown.heads.map((name) => el("th", { scope: "col" }, apart(name))),
    );
    const lines = shown.lines.map((line, row) =>
      el(
        "tr",
        {},
        el("th", { scope: "row" }, apart(line.label)),
        ...line.groups.map((place, column) =>
          el("td", {}, place && this.button(place, line.label, shown.columns && shown.heads[column], [row, column])),
        ),
      ),
    );
    const caption = [apart(shown.measure), `: ${shown.what}`];
    this.root.replaceChildren(
      el("table", {}, el("caption", {}, ...caption), el("thead", {}, head), el("tbody", {}, ...lines)),
      ...shown.left_out.map((said) => el("p", {}, "Shown: ", apart(said), ".")),
    );
    this.root.dataset.scheme = scheme(this.root);
    this.mark();
    this.focusable(this.nearest(this.at), held);
  }

  button(place, row, column, at) {
    const of = place.count === "1" ? "1 trial" : `${place.count} trials`;
    const where = column ? `${row}, ${column}` : row;
    const node = el(
      "button",
      {
        type: "button",
        tabindex: -1,
        "aria-label": `${where}: ${[place.text, place.interval].filter(Boolean).join(" ")}, ${of}; open`,
        title: `${where}: ${of}`,
        onclick: () => {
          this.focusable(node, false);
          this.model.send({ kind: "open", row: place.row, column: place.column });
        },
        onkeydown: (event) => this.move(event, at),
      },
      el("span", { class: "plv-value" }, place.text),
      place.interval ? el("span", { class: "plv-interval" }, place.interval) : null,
      el("span", { class: "plv-count" }, place.count),
    );
    for (const kind of ["light", "dark"]) {
      if (!place[kind]) continue;
      node.style.setProperty(`--plv-${kind}`, place[kind][0]);
      node.style.setProperty(`--plv-${kind}-ink`, place[kind][1]);
    }
    if (!place.light) node.classList.add("plv-all");
    this.buttons.push({ node, at, place });
    return node;
  }

  /** Shows which number is open. */
  mark() {
    const [row, column] = this.model.get("opened");
    for (const { node, place } of this.buttons) {
      node.setAttribute("aria-pressed", String(place.row === row && place.column === column));
    }
  }

  move(event, [row, column]) {
    const step = MOVES[event.key];
    if (!step || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    const [down, across] = step;
    const ahead = this.buttons.filter(
      ({ at: [r, c] }) =>
        (down ? c === column && (r - row) * down > 0 : r === row && (c - column) * across > 0),
    );
    const next = down + across > 0 ? ahead[0] : ahead[ahead.length - 1];
    if (next) this.focusable(next.node, true);
  }

  nearest([row, column]) {
    const found = this.buttons.find(({ at }) => at[0] === row && at[1] === column);
    return (found ?? this.buttons[0])?.node;
  }

  /** The one button that Tab leads to. */
  focusable(wanted, focus) {
    for (const { node, at } of this.buttons) {
      node.tabIndex = node === wanted ? 0 : -1;
      if (node === wanted) this.at = at;
    }
    if (focus) wanted?.focus();
  }
}

function render({ model, el: root }) {
  const table = new Table(model, root);
  const draw = () => table.draw();
  const mark = () => table.mark();
  const follow = () => {
    root.dataset.scheme = scheme(root);
  };
  model.on("change:shown", draw);
  model.on("change:opened", mark);
  const theme = new MutationObserver(() => setTimeout(follow, 50));
  theme.observe(document.body, { attributes: true });
  const settled = setTimeout(follow, 50); // once it is in the page
  const freeKeys = keepKeys(() => root);
  return () => {
    freeKeys();
    clearTimeout(settled);
    theme.disconnect();
    model.off("change:shown", draw);
    model.off("change:opened", mark);
  };
}

export default { render };
