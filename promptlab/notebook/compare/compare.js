// The comparison in a notebook: shows the rows that the kernel sends, page by page.
//
// Whatever comes from a table is text. It becomes text nodes and titles only, never
// markup: nothing here sets innerHTML, loads an image or follows a link.

const PAGE = 25;
const TYPING_MS = 120;
const BUSY_MS = 1200;
const NO_KERNEL_MS = 4000;
const UNDO_MS = 12000;
const LEFT_MS = 500;
const MOMENT_MS = 12;
const TEXT_EMS = 13.5; // as in the style sheet

const ICONS = {
  pin: "M5 1.5h6v1.2l-1 .8v3.2l2.2 2v1.5H8.7V14L8 15.2 7.3 14v-3.8H3.8V8.7l2.2-2V3.5l-1-.8z",
  flag: "M3.5 1.5H5V2.3h7.8l-1.7 2.9 1.7 2.9H5v6.4H3.5z",
  star: "M8 1.6l2 4.1 4.5.6-3.3 3.1.8 4.5L8 11.7l-4 2.2.8-4.5L1.5 6.3 6 5.7z",
  problem: "M8 1.5l6.9 12.5H1.1zM7.3 6v4.2h1.4V6zm0 5.3v1.4h1.4v-1.4z",
  question: "M8 1.2a6.8 6.8 0 100 13.6A6.8 6.8 0 008 1.2zM7.3 11h1.5v1.5H7.3zm-2-4.7C5.3 4.7 6.5 3.7 8 3.7s2.7 1 2.7 2.5c0 1.9-1.9 2-1.9 3.7H7.3c0-2.3 1.9-2.4 1.9-3.6 0-.7-.5-1.2-1.2-1.2s-1.2.5-1.2 1.2z",
  note: "M2 11.6L10.6 3 13 5.4 4.4 14H2zM11.4 2.2l.9-.9 2.4 2.4-.9.9z",
  close: "M3.3 4.4l1.1-1.1L8 6.9l3.6-3.6 1.1 1.1L9.1 8l3.6 3.6-1.1 1.1L8 9.1l-3.6 3.6-1.1-1.1L6.9 8z",
  first: "M3 3h1.6v10H3zM13 3v10L5.6 8z",
  previous: "M11 3v10L4 8z",
  next: "M5 3v10l7-5z",
  last: "M11.4 3H13v10h-1.6zM3 3v10l7.4-5z",
};

function icon(name) {
  const space = "http://www.w3.org/2000/svg";
  const svg = document.createElementNS(space, "svg");
  svg.setAttribute("viewBox", "0 0 16 16");
  svg.setAttribute("aria-hidden", "true");
  const path = document.createElementNS(space, "path");
  path.setAttribute("d", ICONS[name]);
  path.setAttribute("fill-rule", "evenodd");
  svg.append(path);
  return svg;
}

const unseen = (text) => el("span", { class: "plc-unseen" }, text);
const cut = (text, length) => (text.length > length ? `${text.slice(0, length - 1)}…` : text);

// ------------------------------------------------------------------ messages

const KINDS = {
  differs: ["Differ", "Rows whose outputs are not all the same"],
  failed: ["Failed", "Rows with a failed trial"],
  truncated: ["Cut off", "Rows with an output that max_tokens cut short"],
  complete: ["Complete", "Rows with a trial in every shown column"],
  pinned: ["Pinned", "Rows that you pinned"],
  marked: ["Marked", "Rows that you marked or noted"],
};
const MARKS = ["star", "problem", "question"];
const DIFFS = ["marks", "all", "off"];
const DIFF_NAMES = { marks: "Mark changes", all: "Show removed too", off: "No marks" };
const KEYS = [
  ["↑, ↓ or k, j", "row above, row below"],
  ["←, → or h, l", "output to the left, to the right"],
  ["Page Up, Page Down", "previous, next page"],
  ["g, G", "first row, last row"],
  ["Enter or e", "show all of a row, or less of it"],
  ["/", "filter by text"],
  ["f", "choose where to look"],
  ["s, S", "choose the order; turn it around"],
  ["d", "differences: marked, with what was removed, not marked"],
  ["b", "compare with this column; in the first, with what is expected"],
  ["c", "choose columns"],
  ["o, O", "show each repeat of a row; of all rows"],
  ["v", "choose the score in the headings"],
  ["p", "pin the row to the top"],
  ["m", "mark the row: star, problem, question, none"],
  ["n", "write a note on the row"],
  ["u", "undo the last pin, mark or note"],
  ["r", "the whole request behind an output, which follows where you go; close it"],
  ["t", "plain text, or rendered Markdown"],
  ["Escape", "close, or back to the rows"],
];
/** "g, G" or "k or j": each key by itself, and the words between. */
const keyNames = (keys) =>
  keys.split(/(, | or )/).map((part) => (/^(, | or )$/.test(part) ? part : el("kbd", {}, part)));

/** Orders by what all outputs of a row are like, the most first. */
const ACROSS = [
  ["different", "Most different first"],
  ["disagree", "Scores furthest apart first"],
  ["longest", "Longest output first"],
];
/** What of a view changes what headings count. */
const COUNTED = ["columns", "baseline", "score", "text", "field", "only"];
/** A word or phrase of a filter, as the kernel reads it: after a field, or with a minus. */
const TERM = /(-(?!\d))?(?:[^\s":<>=!-][^\s":<>=!]*(?:<=|>=|!=|[:<>=]))?(?:"([^"]+)"|(\S+))/g;
const OUTCOMES = {
  won: "Cases with a better score than in the baseline",
  lost: "Cases with a worse score than in the baseline",
  tied: "Cases with the same score as in the baseline",
  unscored: "Answers without a score",
};

const EXPECTED = -1;
const NO_CHANGE = { pinned: false, kind: null, note: "" };

// ------------------------------------------------------------------ one view

class ComparisonView {
  constructor(model, host) {
    this.model = model;
    this.me = Math.random().toString(36).slice(2);
    this.questions = 0;
    this.waiting = new Map();
    this.view = { columns: [], baseline: null, text: "", field: "", only: [], sort: "", descending: false };
    this.start = 0;
    this.total = 0;
    this.rows = [];
    this.at = { row: 0, column: 1 };
    this.goal = null;
    this.expanded = new Set();
    this.diff = "marks";
    this.markdown = false;
    this.undoable = null;
    this.showing = null; // the trial whose request is in the drawer
    this.writing = false;
    this.held = []; // redrawn once the note that is being written is done
    this.timers = {};
    this.queue = [];
    this.build(host);
    this.listen();
    this.open();
  }

  // ---------------------------------------------------------------- the kernel

  /** Asks the kernel; the answer comes if there is one. */
  ask(kind, more = {}) {
    const id = ++this.questions;
    const busy = setTimeout(() => this.wait(), BUSY_MS);
    return new Promise((resolve) => {
      this.waiting.set(id, (answer) => {
        clearTimeout(busy);
        if (!this.waiting.size) this.wait(false);
        resolve(answer);
      });
      try {
        this.model.send({ kind, ...more, from: this.me, id });
      } catch {
        this.lost();
      }
    });
  }

  /** The kernel was restarted or shut down: what is shown stays, and nothing comes. */
  lost() {
    this.waiting.clear();
    this.wait(false);
    this.problem("The kernel that holds these rows is gone: run this cell again.");
  }

  listen() {
    this.heard = (answer) => {
      if (answer?.from === this.me) {
        const resolve = this.waiting.get(answer.id);
        this.waiting.delete(answer.id);
        resolve?.(answer);
      } else if (answer?.kind === "mark" && answer.after && this.opening) {
        this.load(this.start, { still: true });
      }
    };
    this.model.on("msg:custom", this.heard);
    // The way to the kernel is new or gone: asking tells which.
    this.left = () => {
      clearTimeout(this.timers.left);
      this.timers.left = setTimeout(() => this.opening && this.load(this.start, { still: true }), LEFT_MS);
    };
    this.model.on("comm_live_update", this.left);
    // Another theme: what is behind the text may be dark now.
    this.themes = new MutationObserver(() => this.theme());
    for (const node of [document.documentElement, document.body]) {
      this.themes.observe(node, { attributes: true, attributeFilter: ["class", "style", "data-jp-theme-light", "data-theme"] });
    }
    this.theme();
  }

  close() {
    this.model.off("msg:custom", this.heard);
    this.model.off("comm_live_update", this.left);
    this.themes.disconnect();
    this.freeKeys();
    this.seen?.disconnect();
    this.found(null);
    this.veil.remove();
    for (const timer of Object.values(this.timers)) clearTimeout(timer);
  }

  async open() {
    // The table below is for when no kernel is there: it shows again if none answers.
    this.timers.kernel = setTimeout(() => {
      this.veil.remove();
      this.root.classList.add("plc-alone");
      this.say("No kernel answers yet: what was saved is shown below.");
    }, NO_KERNEL_MS);
    const answer = await this.ask("open", { count: PAGE });
    clearTimeout(this.timers.kernel);
    this.root.classList.remove("plc-alone");
    this.root.append(this.veil);
    if (answer.problem) return this.problem(answer.problem);
    this.opening = answer.opening;
    Object.assign(this.view, answer.opening.view);
    this.toolbar();
    this.take(answer);
    this.summarise();
  }

  /** Shows the page from a row on, or the one that holds `row`, and moves there; `still`
   * stays where it is. */
  async load(start, { row = null, focus = false, still = false } = {}) {
    const asked = (this.loading = {});
    this.goal = row;
    const answer = await this.ask("page", { view: this.view, start, count: PAGE });
    if (asked !== this.loading) return;
    this.goal = null;
    if (answer.problem) return this.problem(answer.problem);
    this.problem("");
    this.take(answer, { row, focus, still });
  }

  /** What takes the kernel longer to count, when rows are there already. */
  async summarise() {
    const asked = (this.counting = {});
    const answer = await this.ask("summary", { view: this.view });
    if (asked !== this.counting || answer.problem) return;
    this.headings = answer.headings;
    this.counts = answer.counts;
    this.cases = answer.cases;
    this.showHead();
    this.showKinds();
  }

  /** Changes what is looked at, and shows its first page; `still` stays on this one. */
  async change(changes, { still = false, said = "" } = {}) {
    this.view = { ...this.view, ...changes };
    this.showControls();
    const loaded = this.load(still ? this.start : 0, { still });
    if (COUNTED.some((name) => name in changes)) this.summarise();
    await loaded;
    if (said) this.say(said);
  }

  take(answer, { row = null, focus = false, still = false } = {}) {
    if (this.writing) return this.held.push(() => this.take(answer, { row, focus, still }));
    const { scrollTop } = this.scroller;
    if (answer.headings) this.headings = answer.headings;
    this.start = answer.start;
    this.total = answer.total;
    this.rows = answer.rows;
    const place = still ? this.at.row : row === null ? 0 : row - this.start;
    this.at.row = Math.max(0, Math.min(place, this.rows.length - 1));
    this.at.column = Math.min(this.at.column, this.view.columns.length);
    this.theme();
    this.showHead();
    this.showPager();
    if (!still || !this.timers.say) this.sayRows(); // a change made meanwhile keeps its way back
    this.showKinds();
    if (row === null) this.scroller.scrollTop = 0;
    this.showRows(focus);
    this.follow();
    if (still) this.scroller.scrollTop = scrollTop;
  }

  // ---------------------------------------------------------------- the frame

  build(host) {
    // Hides the table that a saved notebook shows in place of this view.
    this.veil = el("style", {}, `.${CSS.escape(this.model.get("hides"))} { display: none; }`);
    this.bar = el("div", { class: "plc-bar", role: "group", "aria-label": "What is shown" });
    this.alert = el("div", { class: "plc-problem", role: "alert", hidden: true });
    this.head = el("tr", { role: "row" });
    this.body = el("tbody", { role: "rowgroup" });
    this.grid = el(
      "table",
      { role: "grid", class: "plc-grid", "aria-label": "Outputs side by side" },
      el("thead", { role: "rowgroup" }, this.head),
      this.body,
    );
    this.scroller = el("div", { class: "plc-scroller", tabindex: -1 }, this.grid);
    this.drawer = el("section", { class: "plc-drawer", role: "dialog", hidden: true, tabindex: -1 });
    this.stage = el("div", { class: "plc-stage" }, this.scroller, this.drawer);
    this.status = el("div", { class: "plc-status", role: "status" }, "Loading rows…");
    this.pager = el("div", { class: "plc-pager", role: "group", "aria-label": "Pages" });
    this.root = el(
      "div",
      { class: "promptlab-compare" },
      this.bar,
      this.alert,
      this.stage,
      el("div", { class: "plc-foot" }, this.status, this.pager),
      this.veil,
    );
    this.root.addEventListener("keydown", (event) => this.key(event));
    this.freeKeys = keepKeys(() => this.root);
    this.body.addEventListener("focusin", (event) => this.focused(event));
    this.body.addEventListener("click", (event) => this.clicked(event));
    this.seen = new IntersectionObserver((entries) => this.appeared(entries), {
      root: this.scroller,
      rootMargin: "200px",
    });
    host.append(this.root);
  }

  /** The element that has focus, also where this view is in a tree of its own. */
  get active() {
    return this.root.getRootNode().activeElement ?? null;
  }

  theme() {
    const style = getComputedStyle(this.root);
    const parts = style.backgroundColor.match(/[\d.]+/g)?.map(Number);
    if (!parts || parts[3] === 0) return;
    const light = 0.299 * parts[0] + 0.587 * parts[1] + 0.114 * parts[2] > 128;
    this.root.dataset.scheme = light ? "light" : "dark";
  }

  toolbar() {
    const { opening } = this;
    this.text = el("input", {
      type: "search",
      class: "plc-text-filter",
      placeholder: "Filter",
      "aria-label": "Only rows that hold these words, or a “phrase in quotes”",
      title: "Words, a “phrase in quotes”, expected:billing, -output:sales, score<0.5. Key: /",
      spellcheck: "false",
      autocomplete: "off",
      oninput: () => this.typed(),
    });
    this.field = el(
      "select",
      { "aria-label": "Where to look", title: "Where to look. Key: f", onchange: () => this.typed(0) },
      el("option", { value: "" }, "everywhere"),
      opening.fields.map(([id, name]) => el("option", { value: id }, cut(name, 40))),
    );
    this.kinds = el("div", { class: "plc-kinds", role: "group", "aria-label": "Only rows that" });
    this.order = el("select", {
      "aria-label": "Order of the rows",
      title: "Order of the rows. Key: s",
      onchange: () => this.sort(this.order.value, false),
    });
    this.turn = el("button", {
      type: "button",
      class: "plc-button",
      title: "Turn the order around. Key: S",
      "aria-label": "Descending",
      onclick: () => this.sort(this.view.sort, !this.view.descending),
    });
    this.diffs = el(
      "select",
      {
        "aria-label": "Differences from the baseline",
        title: "Differences from the baseline. Key: d",
        onchange: () => this.setDiff(this.diffs.value),
      },
      DIFFS.map((name) => el("option", { value: name }, DIFF_NAMES[name])),
    );
    this.texts = el(
      "select",
      {
        "aria-label": "How outputs are shown",
        title: "How outputs are shown. Key: t",
        onchange: () => this.setMarkdown(this.texts.value === "markdown"),
      },
      el("option", { value: "plain" }, "Plain text"),
      el("option", { value: "markdown" }, "Rendered"),
    );
    this.chooser = el(
      "button",
      { type: "button", class: "plc-button", title: "Choose columns. Key: c", onclick: () => this.columns() },
    );
    const help = el(
      "button",
      { type: "button", class: "plc-button", title: "Keys: ?", "aria-label": "Keys", onclick: () => this.help() },
      "?",
    );
    this.bar.replaceChildren(
      el("div", { class: "plc-find" }, this.text, this.field),
      this.kinds,
      el(
        "div",
        { class: "plc-options" },
        this.order,
        this.turn,
        opening.columns.length > 1 || opening.expected ? this.diffs : null,
        this.texts,
        opening.columns.length > 2 ? this.chooser : null,
        help,
      ),
    );
    this.showControls();
  }

  showControls() {
    const { opening, view } = this;
    const sorts = [
      ["", "Order of the table"],
      ...ACROSS.filter(([id]) => id === "longest" || (view.columns.length > 1 && (id === "different" || opening.scores.length))),
      ...opening.fields.filter(([id]) => id.startsWith("row:")).map(([id, name]) => [id, `By ${name}`]),
    ];
    if (!sorts.some(([id]) => id === view.sort)) {
      sorts.push([view.sort, view.sort.startsWith("delta") ? "By the difference in score" : "By a column"]);
    }
    this.order.replaceChildren(
      ...sorts.map(([id, name]) => el("option", { value: id, selected: id === view.sort }, cut(name, 30))),
    );
    this.order.value = view.sort;
    this.turn.textContent = view.descending ? "▼" : "▲";
    this.turn.setAttribute("aria-pressed", String(view.descending));
    this.diffs.value = this.diff;
    this.texts.value = this.markdown ? "markdown" : "plain";
    if (this.field.value !== view.field) this.field.value = view.field;
    if (this.text.value !== view.text) this.text.value = view.text;
    this.chooser.textContent =
      view.columns.length === opening.columns.length
        ? "Columns"
        : `${view.columns.length} of ${opening.columns.length} columns`;
  }

  showKinds() {
    if (!this.opening) return;
    const kept = this.kinds.contains(this.active) ? this.active.dataset.kind : null;
    this.kinds.replaceChildren(
      ...this.opening.kinds
        .filter((kind) => kind !== "differs" || this.view.columns.length > 1)
        .map((kind) => {
          const [name, title] = kind === "wrong" ? this.opening.wrong : KINDS[kind];
          const count = this.counts?.[kind];
          return el(
            "button",
            {
              type: "button",
              class: "plc-kind",
              "data-kind": kind,
              "aria-pressed": String(this.view.only.includes(kind)),
              title: count === undefined ? title : `${title}: ${whole(count)}`,
              onclick: () => this.toggle(kind),
            },
            name,
            count ? el("span", { class: "plc-count" }, whole(count)) : null,
          );
        }),
    );
    if (kept) this.kinds.querySelector(`[data-kind="${kept}"]`)?.focus();
  }

  showPager() {
    const { start, total } = this;
    const end = start + this.rows.length;
    const last = Math.max(0, Math.ceil(total / PAGE) - 1) * PAGE;
    const kept = this.pager.contains(this.active) ? this.active.dataset.to : null;
    // A button that has focus must not be switched off: keys would go to the notebook.
    const button = (name, said, to, off) =>
      el(
        "button",
        {
          type: "button",
          class: "plc-icon",
          "data-to": name,
          "aria-label": said,
          "aria-disabled": String(off),
          title: said,
          onclick: () => off || this.load(to),
        },
        icon(name),
      );
    const number = el("input", {
      class: "plc-go",
      "data-to": "go",
      inputmode: "numeric",
      value: total ? start + 1 : 0,
      style: `width: ${Math.max(3, String(total).length) + 2}ch`,
      "aria-label": `Go to row, of ${whole(total)}`,
      onfocus: (event) => event.target.select(),
      onkeydown: (event) => {
        if (event.key === "Enter") this.go(event.target.value);
      },
      onchange: (event) => this.go(event.target.value),
    });
    this.pager.hidden = total <= PAGE;
    this.pager.replaceChildren(
      button("first", "First page", 0, start === 0),
      button("previous", "Previous page", start - PAGE, start === 0),
      el("span", { class: "plc-range" }, "Row ", number, ` to ${whole(end)} of ${whole(total)}`),
      button("next", "Next page", start + PAGE, end >= total),
      button("last", "Last page", last, end >= total),
    );
    if (kept) this.pager.querySelector(`[data-to="${kept}"]`)?.focus();
  }

  sayRows() {
    const { opening, total } = this;
    const all = !this.view.only.length && !this.view.text.trim();
    if (this.view.folded && all) return this.say(`${plural(total, "row")}, repeats folded`);
    const said =
      total === opening.rows ? plural(opening.rows, "row") : `${whole(total)} of ${plural(opening.rows, "row")}`;
    this.say(said);
  }

  /** Tells what happened, to the eye and to a screen reader; with a way back. */
  say(text, undo = null) {
    clearTimeout(this.timers.say);
    this.timers.say = null;
    const kept = this.status.contains(this.active);
    this.status.replaceChildren(
      el("span", { dir: "auto" }, text),
      ...(undo ? [el("button", { type: "button", class: "plc-link", onclick: undo }, "Undo")] : []),
    );
    if (kept) this.focusCell();
    if (undo) this.timers.say = setTimeout(() => this.sayRows(), UNDO_MS);
  }

  wait(on = true) {
    this.busy = on && this.waiting.size > 0;
    this.root.toggleAttribute("aria-busy", this.busy);
    this.status.dataset.busy = this.busy ? "The kernel is busy…" : "";
  }

  problem(text) {
    this.alert.hidden = !text;
    this.alert.textContent = text;
  }

  // ---------------------------------------------------------------- headings

  showHead() {
    const { view, opening } = this;
    const kept = this.head.contains(this.active) ? this.active.dataset.as : null;
    this.grid.setAttribute("aria-rowcount", this.total + 1);
    this.grid.setAttribute("aria-colcount", view.columns.length + 1);
    this.grid.style.setProperty("--plc-columns", view.columns.length);
    const sorted = (id) => (view.sort !== id ? null : view.descending ? "descending" : "ascending");
    const byCase = opening.fields.some(([id]) => id === "row:case");
    this.head.replaceChildren(
      el(
        "th",
        { role: "columnheader", scope: "col", class: "plc-corner", "aria-sort": sorted("row:case") },
        this.cases === undefined ? null : el("div", { class: "plc-by" }, plural(this.cases, "case")),
        byCase ? this.sorter("row:case", "case", "Sort by case") : unseen("row"),
        this.scorePicker(),
      ),
      ...this.headings.map((heading) => this.heading(heading, sorted)),
    );
    if (kept) this.head.querySelector(`[data-as="${CSS.escape(kept)}"]`)?.focus();
  }

  /** The score that headings show, and the others there are. */
  scorePicker() {
    const { scores } = this.opening;
    if (!scores.length) return null;
    const shown = this.view.score || scores[0][0];
    if (scores.length === 1) return el("div", { class: "plc-by" }, "score: ", el("bdi", {}, cut(scores[0][1], 40)));
    return el(
      "select",
      {
        class: "plc-picker",
        "data-as": "score",
        "aria-label": "Score in the headings",
        title: "Score in the headings. Key: v",
        onchange: (event) => this.change({ score: event.target.value }, { still: true }),
      },
      scores.map(([id, name]) => el("option", { value: id, selected: id === shown }, cut(name, 40))),
    );
  }

  /** How a column scores, alone and against the baseline. */
  standing({ column, score }) {
    if (!this.opening.scores.length) return null;
    if (!score) return el("div", { class: "plc-standing" }, el("span", { class: "plc-score" }, "…"));
    const id = `delta@${column}:`;
    return el(
      "div",
      { class: "plc-standing" },
      el("div", { class: "plc-score" }, this.sorter(`score@${column}:`, score.text, `Sort by ${score.title}`)),
      score.delta
        ? el(
            "div",
            { class: `plc-delta plc-${score.way ?? "unsure"}` },
            el("span", { class: "plc-way", "aria-hidden": "true" }, { better: "▲ ", worse: "▼ " }[score.way] ?? ""),
            this.sorter(id, score.delta, `Sort by the difference to the baseline, with the 95 % interval of this comparison alone: ${score.way ? `${score.way} than the baseline` : "it may be none"}`),
          )
        : null,
      el(
        "div",
        { class: "plc-outcomes" },
        score.outcomes.map(([kind, name, count], index) => [
          index ? el("span", { class: "plc-key", "aria-hidden": "true" }, " · ") : null,
          el(
            "button",
            {
              type: "button",
              class: "plc-outcome",
              "data-as": kind,
              "aria-pressed": String(this.view.only.includes(kind)),
              title: `Only these. ${OUTCOMES[name]}`,
              onclick: () => this.toggle(kind),
            },
            `${whole(count)} ${name}`,
          ),
        ]),
      ),
    );
  }

  heading(heading, sorted) {
    const { view } = this;
    const base = heading.column === view.baseline;
    const ids = [`score@${heading.column}:`, `delta@${heading.column}:`, ...heading.facts.map((fact) => fact.sort)];
    const sort = ids.map((id) => id && sorted(id)).find(Boolean);
    return el(
      "th",
      { role: "columnheader", scope: "col", class: base ? "plc-base" : null, "aria-sort": sort },
      el("div", { class: "plc-by" }, cut(heading.labels.map(([name]) => name).join(" · "), 60)),
      el(
        "div",
        { class: "plc-title" },
        el("bdi", { class: "plc-label", title: heading.labels.map((pair) => pair.join(" = ")).join("\n") },
          heading.labels.map(([, value]) => value).join(" · ")),
        this.opening.columns.length > 1 || this.opening.expected
          ? el(
              "button",
              {
                type: "button",
                class: "plc-pick",
                "data-as": `base ${heading.column}`,
                "aria-pressed": String(base),
                title: "Compare the others with this column. Key: b",
                onclick: () => this.compareWith(base ? null : heading.column),
              },
              "baseline",
            )
          : null,
      ),
      heading.also.length
        ? el("div", { class: "plc-also" }, el("bdi", {}, heading.also.map((pair) => pair.join(" ")).join(" · ")))
        : null,
      this.standing(heading),
      el(
        "div",
        { class: "plc-facts" },
        heading.facts.map((fact) =>
          fact.sort
            ? this.sorter(fact.sort, fact.text, `Sort by ${fact.title}`)
            : el("span", { class: `plc-fact plc-${fact.kind}`, title: fact.title }, fact.text),
        ),
      ),
    );
  }

  sorter(id, name, title) {
    const on = this.view.sort === id;
    const sign = on ? (this.view.descending ? " ▼" : " ▲") : "";
    return el(
      "button",
      { type: "button", class: "plc-sort", "data-as": id, "data-on": on, title, onclick: () => this.sort(id, on && !this.view.descending) },
      el("bdi", {}, name),
      el("span", { "aria-hidden": "true" }, sign),
    );
  }

  // ---------------------------------------------------------------- rows

  showRows(focus = false) {
    const held = focus || this.body.contains(this.active);
    if (held) this.scroller.focus({ preventScroll: true });
    this.seen.disconnect();
    this.queue = [];
    this.body.replaceChildren(...this.rows.map((row, index) => this.row(row, index)));
    if (!this.rows.length) this.body.append(this.nothing());
    this.clip();
    for (const line of this.body.children) this.seen.observe(line);
    if (held) this.focusCell();
    else this.rove();
  }

  nothing() {
    const none = this.opening.rows === 0;
    return el(
      "tr",
      { role: "row" },
      el(
        "td",
        { role: "gridcell", class: "plc-nothing", colspan: this.view.columns.length + 1, tabindex: 0 },
        el(
          "div",
          {},
          el("p", {}, none ? "There are no trials to compare." : "No row matches."),
          none
            ? null
            : el("button", { type: "button", class: "plc-button", onclick: () => this.clear() }, "Show all rows"),
        ),
      ),
    );
  }

  row(row, index) {
    const before = this.rows[index - 1];
    const again = before && before.case === row.case && row.case !== null;
    const line = el("tr", {
      role: "row",
      "aria-rowindex": this.start + index + 2,
      "data-index": index,
      class: [
        row.mark.pinned && "plc-pinned",
        again && "plc-again",
        this.expanded.has(row.row) && "plc-open",
      ]
        .filter(Boolean)
        .join(" "),
    });
    line.append(
      this.rowHead(row),
      ...row.outputs.map((output, column) => {
        const base = this.view.columns[column] === this.view.baseline;
        const cell = el("td", { role: "gridcell", tabindex: -1, class: base ? "plc-base" : null });
        cell.append(...this.output(row, output, column));
        return cell;
      }),
    );
    return line;
  }

  rowHead(row) {
    const { mark } = row;
    const tool = (name, said, on, key, run) =>
      el(
        "button",
        {
          type: "button",
          class: "plc-icon",
          tabindex: -1,
          "aria-label": said,
          "aria-pressed": String(on),
          "aria-keyshortcuts": key,
          title: `${said}. Key: ${key}`,
          onclick: run,
        },
        icon(name),
      );
    return el(
      "th",
      { role: "rowheader", scope: "row", tabindex: -1 },
      el(
        "div",
        { class: "plc-name" },
        el("bdi", { class: "plc-case" }, row.case ?? `row ${row.row + 1}`),
        el(
          "span",
          { class: "plc-tools" },
          tool("pin", mark.pinned ? "Pinned" : "Pin", mark.pinned, "p", () => this.pin(row)),
          tool(mark.kind ?? "flag", mark.kind ? `Marked: ${mark.kind}` : "Mark", mark.kind !== null, "m", () => this.mark(row)),
          tool("note", "Note", mark.note !== "", "n", () => this.note(row)),
        ),
      ),
      row.tags.length || row.fold
        ? el(
            "div",
            { class: "plc-tags" },
            row.tags
              .filter(([name]) => name !== "repeat" || !row.fold || row.fold.open)
              .map(([name, value]) => el("span", {}, el("span", { class: "plc-key" }, `${name} `), el("bdi", {}, value))),
            row.fold
              ? el(
                  "button",
                  {
                    type: "button",
                    class: "plc-link plc-fold",
                    tabindex: -1,
                    "aria-expanded": String(row.fold.open),
                    title: `${row.fold.open ? "Show as one row" : "Show each"}. Key: o`,
                    onclick: () => this.unfold(row),
                  },
                  plural(row.fold.rows, "repeat"),
                )
              : null,
          )
        : null,
      row.inputs.length
        ? el("div", { class: "plc-inputs" }, row.inputs.map((input) => this.input(input, row.inputs.length)))
        : null,
      row.expected
        ? el(
            "div",
            { class: "plc-wanted" },
            el(
              "button",
              {
                type: "button",
                class: "plc-key plc-plain",
                tabindex: -1,
                "aria-pressed": String(this.view.baseline === EXPECTED),
                title: "Compare the outputs with what is expected",
                onclick: () => this.compareWith(this.view.baseline === EXPECTED ? null : EXPECTED),
              },
              "expected",
            ),
            el("span", { class: "plc-said", dir: "auto" },
              row.expected[0] ? this.shortened(row.expected) : el("i", { class: "plc-missing" }, "empty")),
          )
        : null,
      mark.note ? el("div", { class: "plc-note", dir: "auto" }, unseen("note: "), mark.note) : null,
    );
  }

  input([name, text, length], many) {
    return el(
      "div",
      { class: "plc-input", dir: "auto" },
      many > 1 ? el("span", { class: "plc-key" }, `${name} `) : unseen(`${name}: `),
      this.shortened([text, length]),
    );
  }

  shortened([text, length]) {
    return length > [...text].length ? `${text}…` : text;
  }

  output(row, output, column) {
    if (output === null) {
      return [el("div", { class: "plc-missing", title: "No trial of the table belongs here" }, "no trial")];
    }
    if (output.text === null) {
      return [
        el(
          "div",
          { class: "plc-failed" },
          el("b", {}, "Failed"),
          el("div", { class: "plc-text", dir: "auto" }, output.error ?? "no output"),
        ),
        this.facts(row, output),
      ];
    }
    const text = el("div", { class: "plc-text", dir: "auto" });
    this.fill(text, output);
    return [text, this.more(row, output), this.facts(row, output)];
  }

  /** Shows an output without marks; they come when it is in sight. */
  fill(node, output) {
    node.classList.toggle("plc-rendered", this.markdown);
    node.classList.remove("plc-other");
    if (output.text !== null && !output.text.trim()) node.replaceChildren(el("i", { class: "plc-missing" }, "empty"));
    else if (this.markdown) node.replaceChildren(rendered(output.text));
    else node.replaceChildren(output.text);
  }

  more(row, output) {
    const { sent } = output;
    const rest = output.length - sent;
    const node = el("div", { class: "plc-more" });
    const open = this.expanded.has(row.row);
    node.append(
      el(
        "button",
        { type: "button", class: "plc-link plc-unfold", tabindex: -1, "aria-expanded": String(open), onclick: () => this.expand(row) },
        open ? "Less" : "More",
      ),
    );
    if (open && rest > 0) {
      node.append(
        el("span", { class: "plc-rest" }, `${whole(sent)} of ${plural(output.length, "character")} `),
        el(
          "button",
          { type: "button", class: "plc-link", tabindex: -1, onclick: () => this.read(row, [output]) },
          `Show ${whole(Math.min(rest, 200_000))} more`,
        ),
      );
      node.classList.add("plc-cut");
    } else if (rest > 0) {
      node.classList.add("plc-cut");
      node.append(el("span", { class: "plc-rest" }, plural(output.length, "character")));
    }
    return node;
  }

  facts(row, output) {
    const node = el("div", { class: "plc-facts" });
    const fact = (name, text, title) => node.append(el("span", { class: `plc-fact plc-${name}`, title }, text));
    if (output.repeats) node.append(el("bdi", { class: "plc-repeats", title: "What each repeat answered; key o shows all" }, output.repeats));
    if (output.verdict) fact(output.verdict, this.opening.verdicts[output.verdict], output.why || null);
    for (const [text, title] of output.scores) fact("chip", text, title);
    for (const [name, text, title] of output.notes) fact(name, text, title);
    for (const [text, title] of output.facts) fact("mean", text, title);
    node.append(el("span", { class: "plc-fact plc-alike" }));
    return node;
  }

  /** Notes which texts are longer than the room they have. */
  clip() {
    const nodes = [...this.body.querySelectorAll("td > .plc-text")];
    if (!nodes.length) return;
    const room = TEXT_EMS * parseFloat(getComputedStyle(nodes[0]).fontSize) + 2;
    // All is measured before anything is changed: one layout, not one for each text.
    const tall = nodes.map((node) => node.scrollHeight > room);
    nodes.forEach((node, index) => node.parentElement.classList.toggle("plc-tall", tall[index]));
  }

  // ---------------------------------------------------------------- differences

  appeared(entries) {
    for (const entry of entries) {
      if (!entry.isIntersecting) continue;
      this.seen.unobserve(entry.target);
      this.queue.push(entry.target);
    }
    this.compareQueued();
  }

  /** Compares rows for a moment, then lets keys and scrolling in. */
  compareQueued() {
    clearTimeout(this.timers.queue);
    const until = performance.now() + MOMENT_MS;
    while (this.queue.length && performance.now() < until) this.compareRow(this.queue.shift());
    if (this.queue.length) this.timers.queue = setTimeout(() => this.compareQueued());
    this.highlight();
  }

  compareRow(line) {
    const row = this.rows[line.dataset.index];
    if (!row || this.diff === "off" || this.view.baseline === null) return;
    const { base, open } = this.baseline(row);
    if (base === null) return;
    row.outputs.forEach((output, column) => {
      if (!output || output.text === null || this.view.columns[column] === this.view.baseline) return;
      const cell = line.children[column + 1];
      const alike = cell.querySelector(".plc-alike");
      if (output.same || (output.same === null && output.text === base)) {
        alike.textContent = this.view.baseline === EXPECTED ? "" : "= baseline";
        alike.title = "The same text as in the baseline";
        return;
      }
      const runs = difference(base, output.text);
      if (runs === null) {
        alike.textContent = "too long to compare";
        return;
      }
      const share = likeness(runs);
      const percent = share === 1 ? 100 : Math.min(99, Math.round(100 * share));
      if (!runs.some(([kind]) => kind !== "same")) alike.textContent = "differs further on";
      else if (share === 1) alike.textContent = "other white space";
      else if (tokens(output.text).length > 9) alike.textContent = `${percent}% alike`;
      alike.title = "Share of the words that are the same as in the baseline, in order";
      const text = cell.querySelector(":scope > .plc-text");
      if (this.markdown) return;
      if (share < 0.15 && tokens(output.text).length > 60) {
        text.classList.add("plc-other");
        alike.textContent = `${percent}% alike: another text`;
        return;
      }
      text.replaceChildren(this.marked(runs, open || output.sent < output.length));
    });
  }

  /** The text that a row's outputs are compared with, and whether more of it follows. */
  baseline(row) {
    if (this.view.baseline === EXPECTED) {
      if (!row.expected) return { base: null };
      const [base, length] = row.expected;
      return { base, open: length > [...base].length };
    }
    const output = row.outputs[this.view.columns.indexOf(this.view.baseline)];
    if (!output || output.text === null) return { base: null };
    return { base: output.text, open: output.sent < output.length };
  }

  /** The text with its differences; where more follows (`open`), the last is left unmarked. */
  marked(runs, open) {
    const made = document.createDocumentFragment();
    const lastSame = runs.map(([kind]) => kind).lastIndexOf("same");
    runs.forEach(([kind, text], index) => {
      const known = !(open && index > lastSame && runs.length > 2);
      if (kind === "same" || (kind === "added" && !known)) made.append(text);
      else if (kind === "added") made.append(el("ins", {}, text));
      else if (!known) return;
      else if (this.diff === "all") made.append(el("del", {}, text));
      else if (runs[index + 1]?.[0] !== "added") {
        made.append(el("span", { class: "plc-gone", title: `not here: ${cut(text.trim(), 200)}` }, unseen("words left out")));
      }
    });
    return made;
  }

  // ---------------------------------------------------------------- found words

  /** Marks what was looked for, over the text and without changing it. */
  highlight() {
    if (!globalThis.Highlight || !CSS.highlights) return;
    const words = [...this.view.text.matchAll(TERM)]
      .filter(([, minus]) => !minus)
      .map(([, , phrase, word]) => (phrase ?? word).toLowerCase());
    const field = this.opening?.fields.find(([id]) => id === this.view.field);
    if (!words.length || (field && field[2])) return this.found(null);
    const ranges = [];
    const walker = document.createTreeWalker(this.body, NodeFilter.SHOW_TEXT);
    for (let node; (node = walker.nextNode()) && ranges.length < 2000; ) {
      const holder = node.parentElement.closest(".plc-text, .plc-input, .plc-said, .plc-note, .plc-case, .plc-tags");
      if (!holder) continue;
      const text = node.data.toLowerCase();
      if (text.length !== node.data.length) continue; // İ is longer in lower case
      for (const word of words) {
        for (let at = text.indexOf(word); at >= 0 && ranges.length < 2000; at = text.indexOf(word, at + word.length)) {
          const range = new Range();
          range.setStart(node, at);
          range.setEnd(node, at + word.length);
          ranges.push(range);
        }
      }
    }
    this.found(ranges);
  }

  found(ranges) {
    if (!globalThis.Highlight || !CSS.highlights) return;
    const all = CSS.highlights.get("promptlab-found") ?? new Highlight();
    for (const range of this.ranges ?? []) all.delete(range);
    this.ranges = ranges;
    for (const range of ranges ?? []) all.add(range);
    CSS.highlights.set("promptlab-found", all);
  }

  // ---------------------------------------------------------------- moving

  get cell() {
    return this.body.children[this.at.row]?.children[this.at.column];
  }

  /** Only one cell can be reached by Tab: the one that had focus last. */
  rove() {
    for (const node of this.body.querySelectorAll("[tabindex='0']")) node.tabIndex = -1;
    const cell = this.cell ?? this.body.querySelector("td, th");
    if (cell) cell.tabIndex = 0;
    return cell;
  }

  focusCell() {
    const cell = this.rove();
    if (!cell) return this.scroller.focus({ preventScroll: true });
    cell.focus({ preventScroll: true });
    cell.scrollIntoView({ block: "nearest", inline: "nearest" });
  }

  focused(event) {
    const cell = event.target.closest("td, th");
    const line = cell?.closest("tr[data-index]");
    if (!line) return;
    this.at = { row: Number(line.dataset.index), column: [...line.children].indexOf(cell) };
    this.rove();
    this.follow();
  }

  clicked(event) {
    if (event.target.closest("button, textarea")) return;
    const cell = event.target.closest("td, th");
    if (cell && !String(getSelection())) cell.focus({ preventScroll: true });
  }

  /** The row that has focus, or that is about to: keys may be faster than the kernel. */
  get here() {
    return this.goal ?? this.start + this.at.row;
  }

  move(rows, columns) {
    this.at.column = Math.max(0, Math.min(this.at.column + columns, this.view.columns.length));
    this.jump(this.here + rows);
  }

  /** Moves to a row by its number among those shown, from 0. */
  jump(row) {
    const to = Math.max(0, Math.min(row, this.total - 1));
    if (this.goal === null && to >= this.start && to < this.start + this.rows.length) {
      this.at.row = to - this.start;
      this.focusCell();
    } else if (this.total) {
      this.load(to, { row: to, focus: true });
    }
  }

  go(text) {
    const row = parseInt(text.replace(/\D/g, ""), 10);
    if (row !== this.start + 1 && Number.isFinite(row)) this.jump(row - 1);
  }

  // ---------------------------------------------------------------- keys

  key(event) {
    if (event.ctrlKey && ["Home", "End"].includes(event.key) && this.body.contains(event.target)) {
      event.preventDefault();
      return this.jump(event.key === "Home" ? 0 : this.total - 1);
    }
    if (event.ctrlKey || event.metaKey || event.altKey || !this.opening) return;
    const typing = event.target.closest("input, select, textarea");
    if (event.key === "Escape") return this.escape(event, typing);
    if (typing === this.text && ["Enter", "ArrowDown"].includes(event.key)) {
      event.preventDefault();
      return this.focusCell();
    }
    if (typing) return;
    const pressed = event.target.closest("button");
    if (pressed && ["Enter", " "].includes(event.key)) return;
    const inRows = this.scroller.contains(event.target) && !this.head.contains(event.target);
    const run = this.command(event.key, inRows);
    if (!run) return;
    event.preventDefault();
    run();
  }

  command(key, inRows) {
    const row = this.rows[this.at.row];
    const output = row?.outputs[this.at.column - 1];
    const column = this.view.columns[this.at.column - 1];
    const moves = {
      ArrowDown: () => this.move(1, 0),
      ArrowUp: () => this.move(-1, 0),
      ArrowRight: () => this.move(0, 1),
      ArrowLeft: () => this.move(0, -1),
      PageDown: () => this.jump((Math.floor(this.here / PAGE) + 1) * PAGE),
      PageUp: () => this.jump((Math.floor(this.here / PAGE) - 1) * PAGE),
      Home: () => this.move(0, -100),
      End: () => this.move(0, 100),
      Enter: () => row && this.expand(row),
    };
    moves.j = moves.ArrowDown;
    moves.k = moves.ArrowUp;
    moves.l = moves.ArrowRight;
    moves.h = moves.ArrowLeft;
    moves.e = moves.Enter;
    const anywhere = {
      "/": () => (this.text.focus(), this.text.select()),
      "?": () => this.help(),
      f: () => this.field.focus(),
      s: () => this.order.focus(),
      S: () => this.sort(this.view.sort, !this.view.descending),
      c: () => this.columns(),
      v: () => this.head.querySelector(".plc-picker")?.focus(),
      d: () => this.setDiff(DIFFS[(DIFFS.indexOf(this.diff) + 1) % DIFFS.length]),
      t: () => this.setMarkdown(!this.markdown),
      u: () => this.undo(),
      g: () => this.jump(0),
      G: () => this.jump(this.total - 1),
      b: () => this.compareWith(column ?? (this.opening.expected ? EXPECTED : null)),
      p: () => row && this.pin(row),
      m: () => row && this.mark(row),
      n: () => row && this.note(row),
      o: () => row && this.unfold(row),
      O: () => this.opening.repeated && this.change({ folded: !this.view.folded, opened: [] }),
      r: () => (this.shown ? this.shut() : output && this.request(output.trial)),
    };
    const inDrawer = this.drawer.contains(this.active) && this.shown;
    if (inDrawer && key === "r") return anywhere.r;
    if (inDrawer && "hjkl".includes(key)) return moves[key];
    return (inRows && moves[key]) || (!this.drawer.contains(this.active) && anywhere[key]) || null;
  }

  escape(event, typing) {
    event.preventDefault();
    event.stopPropagation();
    if (!this.drawer.hidden) this.shut();
    else if (typing === this.text && this.text.value) {
      this.text.value = "";
      this.typed(0);
    } else this.focusCell();
  }

  // ---------------------------------------------------------------- narrowing down

  typed(after = TYPING_MS) {
    clearTimeout(this.timers.typed);
    this.timers.typed = setTimeout(() => {
      if (this.text.value !== this.view.text || this.field.value !== this.view.field) {
        this.change({ text: this.text.value, field: this.field.value });
      }
    }, after);
  }

  toggle(kind) {
    const only = new Set(this.view.only);
    if (!only.delete(kind)) {
      // A case has one outcome in a column: another takes its place.
      const column = kind.includes("@") && kind.slice(kind.indexOf("@"));
      for (const other of only) if (column && other.endsWith(column)) only.delete(other);
      only.add(kind);
    }
    this.change({ only: [...only] });
  }

  compareWith(column) {
    const name = column === null ? "nothing" : column === EXPECTED ? "what is expected" : this.opening.columns[column];
    this.change({ baseline: column }, { still: true, said: `Compared with ${name}` });
  }

  sort(id, descending) {
    this.change({ sort: id, descending });
  }

  /** Shows the repeats of a row one by one, or as one row. */
  unfold(row) {
    if (!row.fold) return;
    const opened = new Set(this.view.opened);
    if (!opened.delete(row.fold.number)) opened.add(row.fold.number);
    this.change({ opened: [...opened] }, { still: true });
  }

  clear() {
    this.scroller.focus({ preventScroll: true });
    this.change({ text: "", field: "", only: [] });
  }

  setDiff(name) {
    this.diff = name;
    this.showControls();
    this.again();
    this.say(`Differences: ${DIFF_NAMES[name].toLowerCase()}`);
  }

  setMarkdown(on) {
    this.markdown = on;
    this.showControls();
    this.again();
    this.say(on ? "Outputs are rendered" : "Outputs are plain text");
  }

  /** Shows the same rows again, where they are. */
  again() {
    if (this.writing) return this.held.push(() => this.again());
    const top = this.scroller.scrollTop;
    this.showRows();
    this.scroller.scrollTop = top;
  }

  // ---------------------------------------------------------------- whole texts

  expand(row) {
    const open = !this.expanded.delete(row.row);
    if (open) this.expanded.add(row.row);
    this.again();
    const unread = (output) => output?.text && !output.read && output.sent < output.length;
    const cut = row.outputs.filter(unread);
    if (open && cut.length) this.read(row, cut);
  }

  /** Reads on where outputs of a row are cut. */
  async read(row, outputs) {
    const ask = (output) => this.ask("text", { trial: output.trial, part: "output", start: output.sent });
    const answers = await Promise.all(outputs.map(ask));
    if (!this.rows.includes(row)) return;
    outputs.forEach((output, index) => {
      const { problem, text, end } = answers[index];
      if (problem) return this.problem(problem);
      output.text += text;
      output.sent = end;
      output.read = true;
    });
    this.again();
  }

  // ---------------------------------------------------------------- marks

  pin(row) {
    this.put(row, { pinned: !row.mark.pinned }, row.mark.pinned ? "Unpinned" : "Pinned to the top");
  }

  mark(row) {
    const kind = MARKS[MARKS.indexOf(row.mark.kind) + 1] ?? null;
    this.put(row, { kind }, kind ? `Marked as ${kind}` : "Mark removed");
  }

  note(row) {
    const index = this.rows.indexOf(row);
    const head = this.body.children[index]?.firstElementChild;
    if (!head || head.querySelector("textarea")) return;
    const before = row.mark.note;
    let done = false;
    const finish = (keep) => {
      if (done) return;
      done = true;
      this.writing = false;
      const note = area.value.trim();
      const held = this.active === area;
      if (held) head.focus({ preventScroll: true });
      area.remove();
      head.querySelector(".plc-note")?.removeAttribute("hidden");
      if (keep && note !== before) {
        this.put(row, { note }, note ? "Note kept" : "Note deleted");
      }
      for (const redraw of this.held.splice(0)) redraw();
    };
    const area = el("textarea", {
      class: "plc-writing",
      rows: 3,
      dir: "auto",
      maxlength: 10000,
      "aria-label": "Note. Enter keeps it, Escape does not",
      placeholder: "Enter keeps the note",
      onkeydown: (event) => {
        if (event.key === "Escape") {
          event.preventDefault();
          event.stopPropagation();
          finish(false);
        } else if (event.key === "Enter") {
          event.preventDefault();
          event.stopPropagation();
          // JupyterLab keeps Shift + Enter from breaking a line in any text field.
          if (event.shiftKey) area.setRangeText("\n", area.selectionStart, area.selectionEnd, "end");
          else finish(true);
        }
      },
      onblur: () => finish(true),
    });
    area.value = before;
    this.writing = true;
    head.querySelector(".plc-note")?.setAttribute("hidden", "");
    head.append(area);
    area.focus();
  }

  async put(row, change, said) {
    const answer = await this.ask("mark", { row: row.row, change });
    if (answer.problem) return this.problem(answer.problem);
    const before = Object.fromEntries(Object.keys(change).map((name) => [name, answer.before[name] ?? NO_CHANGE[name]]));
    this.undoable = { row, change: before };
    const shown = this.rows.find((other) => other.row === row.row); // not `row` after a reload
    for (const each of new Set([row, shown ?? row])) each.mark = answer.after;
    const name = row.case ?? `row ${row.row + 1}`;
    const redraw = () => ("pinned" in change ? this.load(this.start, { still: true }) : this.again());
    if (this.writing) this.held.push(redraw);
    else await redraw();
    this.summarise();
    this.say(`${said}: ${name}`, () => this.undo());
  }

  undo() {
    if (!this.undoable) return this.say("There is nothing to undo");
    const { row, change } = this.undoable;
    this.put(row, change, "Undone");
  }

  // ---------------------------------------------------------------- the drawer

  show(title, ...content) {
    this.draw(title, content);
    this.drawer.querySelector(".plc-content").focus({ preventScroll: true });
  }

  /** Fills the drawer and opens it; focus stays where it is. */
  draw(title, content) {
    this.showing = null;
    if (this.drawer.hidden) this.before = this.active;
    const id = `plc-${this.me}`;
    this.drawer.setAttribute("aria-labelledby", id);
    this.drawer.replaceChildren(
      el(
        "header",
        {},
        el("h2", { id, dir: "auto" }, title),
        el("button", { type: "button", class: "plc-icon", "aria-label": "Close", title: "Close. Key: Escape", onclick: () => this.shut() }, icon("close")),
      ),
      el("div", { class: "plc-content", tabindex: 0 }, content),
    );
    this.drawer.hidden = false;
    this.root.classList.add("plc-drawn");
  }

  /** Whether the drawer shows a request. */
  get shown() {
    return !this.drawer.hidden && this.showing !== null;
  }

  /** Shows the request of the output that has focus, where that of another is shown. */
  follow() {
    if (this.drawer.hidden || this.showing === null) return;
    const output = this.rows[this.at.row]?.outputs[this.at.column - 1];
    if (output && output.trial !== this.showing) this.request(output.trial, { follows: true });
    else if (!this.rows.length) this.shut();
  }

  shut() {
    this.drawer.hidden = true;
    this.root.classList.remove("plc-drawn");
    if (this.body.contains(this.active)) return;
    if (this.before?.isConnected && this.root.contains(this.before)) this.before.focus({ preventScroll: true });
    else this.focusCell();
  }

  help() {
    this.show(
      "Keys",
      el(
        "dl",
        { class: "plc-keys" },
        KEYS.map(([keys, what]) => el("div", {}, el("dt", {}, keyNames(keys)), el("dd", {}, what))),
      ),
      el("p", { class: "plc-quiet" }, "Filter: every word must be in the row, in any order; “words in quotes” as they stand. expected:billing looks in one field, score<0.5 compares, -output:sales leaves out. In a field of numbers: > 2, <= 0.5."),
      el("p", { class: "plc-quiet" }, `Pins, marks and notes are kept in the project’s .promptlab folder under “${this.opening.name}”; promptlab.marks() reads them.`),
    );
  }

  columns() {
    const { opening, view } = this;
    if (opening.columns.length < 3) return;
    const most = 6;
    const chosen = new Set(view.columns);
    const boxes = opening.columns.map((name, index) => {
      const box = el("input", {
        type: "checkbox",
        checked: chosen.has(index),
        onchange: () => {
          if (box.checked) chosen.add(index);
          else chosen.delete(index);
          if (!chosen.size || chosen.size > most) {
            box.checked = !box.checked;
            if (box.checked) chosen.add(index);
            else chosen.delete(index);
            note.textContent = chosen.size > 1 ? `At most ${most} columns are read side by side.` : "One column stays.";
            return;
          }
          note.textContent = `${chosen.size} of ${opening.columns.length} columns`;
          const columns = [...chosen].sort((a, b) => a - b);
          const gone = view.baseline !== EXPECTED && !chosen.has(this.view.baseline);
          this.change(gone ? { columns, baseline: columns.length > 1 ? columns[0] : null } : { columns }, { still: true });
        },
      });
      return el("label", { class: "plc-choice" }, box, el("bdi", {}, name));
    });
    const note = el("p", { class: "plc-quiet", role: "status" }, `${chosen.size} of ${opening.columns.length} columns`);
    this.show(`Columns: ${opening.by.join(" · ")}`, note, boxes);
  }

  async request(trial, { follows = false } = {}) {
    if (!follows) this.show("Request", el("p", { class: "plc-quiet" }, "Loading…"));
    this.showing = trial;
    const { request, problem } = await this.ask("request", { trial });
    if (this.drawer.hidden || this.showing !== trial) return;
    const show = (title, ...content) => {
      if (this.drawer.contains(this.active)) this.show(title, ...content);
      else this.draw(title, content);
      this.showing = trial;
    };
    if (problem) return show("Request", el("p", {}, problem));
    const pairs = (given) =>
      el(
        "dl",
        { class: "plc-pairs" },
        given.map(([name, value]) => el("div", {}, el("dt", {}, name), el("dd", { dir: "auto" }, value))),
      );
    const section = (title, ...content) => el("section", {}, el("h3", {}, title), content);
    const turns = new Set(request.messages.map((message) => message.turn)).size;
    let turn = -1;
    show(
      request.title.join(" · "),
      request.note ? el("p", { class: "plc-quiet" }, request.note) : null,
      request.messages.length
        ? section(
            turns > 1 ? `Conversation of ${turns} calls` : "Messages",
            request.messages.map((message) => {
              const begins = turns > 1 && message.turn !== turn;
              turn = message.turn;
              return [begins ? el("div", { class: "plc-turn" }, `Call ${turn + 1}`) : null, this.message(request.trial, message)];
            }),
          )
        : null,
      request.messages.length
        ? null
        : section("Inputs", request.inputs.map((input) => this.message(request.trial, input))),
      request.scores.length
        ? section("Scores", request.scores.map((score) => this.score(request.trial, score)))
        : null,
      section(request.messages.length ? "Sent with them" : "Parameters", pairs(request.parameters)),
      request.dropped.length ? section("Not sent", pairs(request.dropped)) : null,
      section("Came back", pairs(request.outcome)),
    );
  }

  /** A score, and why it is that. */
  score(trial, { name, value, why }) {
    if (why) return this.message(trial, { ...why, role: `${name}: ${value}` });
    return el("div", { class: "plc-message plc-given" }, el("div", { class: "plc-role" }, `${name}: ${value}`));
  }

  message(trial, { role, text, sent, length, part }) {
    const known = { system: "system", user: "user", assistant: "assistant" }[role];
    const content = el("div", { class: "plc-text", dir: "auto" });
    const node = el("div", { class: `plc-message plc-${known ?? "given"}` }, el("div", { class: "plc-role" }, role), content);
    content.replaceChildren(text === "" ? el("i", { class: "plc-missing" }, "empty") : text);
    if (sent >= length) return node;
    const button = el("button", { type: "button", class: "plc-link" });
    const label = () => (button.textContent = `${whole(sent)} of ${plural(length, "character")}: show more`);
    button.addEventListener("click", async () => {
      const answer = await this.ask("text", { trial, part, start: sent });
      if (answer.problem) return;
      content.append(answer.text);
      sent = answer.end;
      if (sent < length) label();
      else {
        this.drawer.querySelector(".plc-content").focus({ preventScroll: true });
        button.remove();
      }
    });
    label();
    node.append(button);
    return node;
  }
}

export default {
  render({ model, el: host }) {
    const view = new ComparisonView(model, host);
    return () => view.close();
  },
};
