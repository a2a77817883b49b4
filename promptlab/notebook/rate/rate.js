// A blind comparison: shows what the kernel sends, asks it for what a key or button
// says, and tells whether a vote was stored. Texts are never read as HTML.

const PATIENCE_MS = 5000; // then the view says that the kernel is silent

const ASKS = {
  left: { ask: "vote", choice: "left" },
  right: { ask: "vote", choice: "right" },
  tie: { ask: "vote", choice: "tie" },
  skip: { ask: "vote", choice: "skip" },
  undo: { ask: "undo" },
  reopen: { ask: "reopen" },
};

const KEYS = {
  1: "left",
  ArrowLeft: "left",
  2: "right",
  ArrowRight: "right",
  0: "tie",
  t: "tie",
  s: "skip",
  u: "undo",
  e: "expected",
  r: "reveal",
  "?": "help",
  Escape: "close",
};

const HELP = [
  ["1 or ←", "answer 1 is better"],
  ["2 or →", "answer 2 is better"],
  ["0 or t", "a tie"],
  ["s", "skip: cannot say"],
  ["u", "undo the last vote"],
  ["e", "show or hide what is expected"],
  ["r", "reveal the names and the tally"],
];

const MESSAGES = {
  left: "Stored: answer 1 is better.",
  right: "Stored: answer 2 is better.",
  tie: "Stored: a tie.",
  skip: "Skipped.",
  undo: "Undone.",
  reopen: "The skipped pairs are back.",
  reveal: "Revealed.",
  stale: "An earlier vote was stored meanwhile; this one was not counted.",
};

function render({ model, el: host }) {
  const view = {
    state: null, // the last answer of the kernel
    asked: null, // what it has not answered yet
    timer: 0,
    confirming: false,
  };

  const parts = skeleton(act);
  const { root } = parts;
  // Hides what a saved notebook shows in place of this view, once a kernel answers.
  const veil = el("style", {}, `.${CSS.escape(model.get("hides"))} { display: none; }`);
  host.append(root);

  function send(name, message) {
    if (view.asked !== null) return;
    view.asked = name;
    view.timer = setTimeout(silent, PATIENCE_MS);
    try {
      model.send({ turn: view.state?.turn ?? null, ...message });
    } catch {
      silent(); // the kernel that made this view is gone
    }
  }

  function silent() {
    clearTimeout(view.timer);
    const lost = view.asked in ASKS;
    view.asked = null;
    say(
      `${lost ? "Not stored: the" : "The"} kernel does not answer. ` +
        "Wait if it is busy; if it was restarted, run this cell again.",
      lost,
    );
  }

  function received(answer) {
    clearTimeout(view.timer);
    view.asked = null;
    if (answer.show === "not stored") {
      say(`Not stored: ${answer.why}`, true);
      return;
    }
    const stale = view.state !== null && view.state.turn !== answer.turn;
    if (view.state === null) root.append(veil);
    view.state = answer;
    view.confirming = false;
    say(MESSAGES[answer.done] ?? (stale ? MESSAGES.stale : ""), false);
    show(parts, view);
  }

  function act(name) {
    const shown = view.state?.show;
    if (shown === undefined || shown === "tally") return;
    if (name === "close") {
      help(false);
      confirm(false);
    } else if (name === "help") {
      help(parts.help.hidden);
    } else if (name === "reveal") {
      const { settled, total, identical } = view.state;
      if (settled < total) confirm(true);
      else if (total + identical > 0) send("reveal", { ask: "reveal" });
    } else if (name === "reveal early") {
      send("reveal", { ask: "reveal", early: true });
    } else if (view.confirming) {
      return;
    } else if (name === "expected") {
      if (shown === "pair" && view.state.expected !== null) {
        root.toggleAttribute("data-expected");
        showExpected(parts, view.state);
      }
    } else if (name === "undo" || name === "reopen" || shown === "pair") {
      if (name !== "undo" || view.state.settled > 0) send(name, ASKS[name]);
    }
  }

  function help(on) {
    parts.help.hidden = !on;
    parts.buttons.help.setAttribute("aria-expanded", String(on));
  }

  function confirm(on) {
    if (view.confirming === on) return;
    view.confirming = on;
    show(parts, view);
    (on ? parts.buttons.close : root).focus({ preventScroll: true });
  }

  function say(text, alarming) {
    // With a number in it, for a screen reader does not read the same text twice.
    const number = text && view.state ? ` ${view.state.settled} settled.` : "";
    const unseen = el("span", { class: "pr-unseen" }, number);
    parts.status.replaceChildren(text, unseen);
    parts.status.toggleAttribute("data-alarming", alarming);
  }

  function pressed(event) {
    if (event.ctrlKey || event.altKey || event.metaKey) return;
    const name = KEYS[event.key] ?? KEYS[event.key.toLowerCase()];
    if (name === undefined) return;
    event.preventDefault();
    event.stopPropagation();
    if (!event.repeat) act(name); // a key held down is one press
  }

  root.addEventListener("keydown", pressed);
  const freeKeys = keepKeys(() => root);
  model.on("msg:custom", received);
  send("show", { ask: "show" });

  return () => {
    freeKeys();
    clearTimeout(view.timer);
    model.off("msg:custom", received);
  };
}

function skeleton(act) {
  const buttons = {};
  function button(name, text, keys, attributes = {}) {
    const made = el(
      "button",
      { type: "button", "data-act": name, ...attributes },
      el("span", {}, text),
    );
    if (keys) {
      made.append(el("span", { class: "pr-key", "aria-hidden": "true" }, keys[0]));
      made.setAttribute("aria-keyshortcuts", keys.slice(1).join(" "));
    }
    made.addEventListener("click", () => {
      if (made.getAttribute("aria-disabled") !== "true") act(name);
    });
    buttons[name] = made;
    return made;
  }
  function answer(number) {
    const text = el("div", { class: "pr-text", dir: "auto" });
    const label = `Answer ${number}`;
    const pane = el(
      "section",
      { class: "pr-answer", "aria-label": label },
      el("h4", {}, label),
      text,
    );
    return { pane, text };
  }

  const title = el("h3", {}, "Which answer is better?");
  const asked = el("span", { class: "pr-case", dir: "auto" });
  const progress = el("div", { class: "pr-progress" });
  const bar = el("div", { class: "pr-fill" });
  const inputs = el("dl");
  const question = el("section", { class: "pr-question", "aria-label": "Question" });
  const expected = el("div", { class: "pr-expected" });
  question.append(inputs, expected);
  const left = answer(1);
  const right = answer(2);
  const pair = el(
    "div",
    { class: "pr-pair" },
    question,
    el("div", { class: "pr-answers" }, left.pane, right.pane),
    el(
      "div",
      { class: "pr-votes" },
      button("left", "1 is better", ["←", "1", "ArrowLeft"]),
      button("tie", "Tie", ["0", "0", "t"]),
      button("right", "2 is better", ["→", "2", "ArrowRight"]),
    ),
  );
  const message = el("div", { class: "pr-message" });
  const tally = el("div", { class: "pr-tally" });
  const confirm = el(
    "div",
    { class: "pr-confirm", role: "group", "aria-label": "Reveal early?" },
    el("p"),
    button("reveal early", "Reveal now"),
    button("close", "Go on voting"),
  );
  const tools = el(
    "div",
    { class: "pr-tools" },
    button("skip", "Skip", ["s", "s"]),
    button("undo", "Undo", ["u", "u"]),
    button("expected", "Expected", ["e", "e"], { "aria-pressed": "false" }),
    button("reopen", "Back to the skipped"),
    el("span", { class: "pr-space" }),
    button("reveal", "Reveal", ["r", "r"]),
    button("help", "Keys", ["?", "?"], { "aria-expanded": "false" }),
  );
  const help = el("dl", { class: "pr-help" });
  for (const [keys, text] of HELP) {
    help.append(el("dt", {}, keys), el("dd", {}, text));
  }
  help.hidden = true;
  const status = el("span", { class: "pr-status", role: "status" });
  const note = el("p", { class: "pr-note" });
  const root = el(
    "div",
    {
      class: "promptlab-rate",
      tabindex: "0",
      role: "group",
      "aria-label": "Blind comparison",
    },
    el("header", {}, title, asked, progress),
    el("div", { class: "pr-bar", "aria-hidden": "true" }, bar),
    pair,
    message,
    tally,
    confirm,
    tools,
    help,
    el(
      "footer",
      {},
      status,
      el("span", { class: "pr-hint" }, "Click here to vote with the keys"),
    ),
    note,
  );
  return {
    ...{ root, title, asked, progress, bar, pair, question, inputs, expected, left, right },
    ...{ message, tally, confirm, tools, help, status, note, buttons },
  };
}

const TITLES = {
  pair: "Which answer is better?",
  finished: "All pairs are voted on",
  nothing: "Nothing to vote on",
};

function show(parts, view) {
  const { state } = view;
  const { root, buttons } = parts;
  if (root.contains(document.activeElement) && state.show !== root.dataset.show) {
    root.focus({ preventScroll: true }); // what had it may be hidden now
  }
  root.dataset.show = state.show;
  root.toggleAttribute("data-confirming", view.confirming);
  parts.title.textContent = TITLES[state.show] ?? `Result by ${state.by}`;
  showProgress(parts, state);
  parts.note.textContent = note(state);
  parts.message.textContent = "";
  parts.confirm.firstChild.textContent =
    "Reveal the names and the tally now? Not yet voted on: " +
    `${plural(state.total - state.settled, "pair")}.`;
  buttons.undo.setAttribute("aria-disabled", String(state.settled === 0));
  buttons.reopen.hidden = state.show !== "finished" || state.skipped === 0;
  if (state.show === "pair") showPair(parts, state);
  if (state.show === "tally") showTally(parts, state);
  if (state.show === "finished") {
    parts.message.textContent =
      "The names are still hidden: reveal them with the tally, or undo the last vote.";
  }
  if (state.show === "nothing") {
    parts.message.textContent = state.identical
      ? "In every pair the two answers are the same text."
      : "No case has two answers to compare.";
    parts.tools.hidden = state.identical === 0;
  }
}

function showProgress(parts, state) {
  const skipped = state.skipped ? ` · ${state.skipped} skipped` : "";
  parts.progress.textContent = state.total
    ? `${whole(state.settled)} of ${plural(state.total, "pair")}${skipped}`
    : "";
  parts.bar.style.width = state.total
    ? `${(100 * state.settled) / state.total}%`
    : "0";
}

function showPair(parts, state) {
  parts.asked.textContent = `case ${state.case}`;
  parts.inputs.replaceChildren(
    ...state.inputs.flatMap(([name, value]) => [
      el("dt", { dir: "auto" }, name),
      el("dd", { dir: "auto" }, value),
    ]),
  );
  for (const side of ["left", "right"]) {
    const { text } = parts[side];
    text.textContent = state[side] === "" ? "empty" : state[side];
    text.toggleAttribute("data-empty", state[side] === "");
    text.scrollTop = 0;
  }
  parts.inputs.scrollTop = 0;
  showExpected(parts, state);
  for (const scroller of [parts.inputs, parts.left.text, parts.right.text]) {
    const scrolls = scroller.scrollHeight > scroller.clientHeight;
    if (scrolls) scroller.setAttribute("tabindex", "0");
    else scroller.removeAttribute("tabindex");
  }
  hold(parts.left.pane);
  hold(parts.question);
}

function showExpected(parts, state) {
  const on = parts.root.hasAttribute("data-expected") && state.expected !== null;
  parts.buttons.expected.hidden = state.expected === null;
  parts.buttons.expected.setAttribute("aria-pressed", String(on));
  parts.expected.hidden = !on;
  parts.expected.replaceChildren(
    ...(on
      ? [
          el("span", { class: "pr-name" }, "expected"),
          el("div", { dir: "auto" }, state.expected),
        ]
      : []),
  );
}

// The buttons must not jump from pair to pair: what was once that high stays so.
function hold(node) {
  const held = parseFloat(node.style.minHeight) || 0;
  if (node.offsetHeight > held) node.style.minHeight = `${node.offsetHeight}px`;
}

function showTally(parts, state) {
  const head = ["", "wins", "ties", "losses", "pairs", "won", ""];
  const body = state.tally.map((row) => {
    const share = row.pairs ? `${Math.round((100 * row.wins) / row.pairs)}%` : "–";
    const bar = el("div", { class: "pr-ends" });
    for (const end of ["wins", "ties", "losses"]) {
      const part = el("span", { class: `pr-${end}`, title: plural(row[end], end) });
      part.style.flexGrow = String(row[end]);
      bar.append(part);
    }
    return el(
      "tr",
      {},
      el("th", { scope: "row", dir: "auto" }, row.variant),
      ...[row.wins, row.ties, row.losses, row.pairs, share].map((text) =>
        el("td", {}, typeof text === "number" ? whole(text) : text),
      ),
      el("td", { class: "pr-picture", "aria-hidden": "true" }, bar),
    );
  });
  parts.tally.replaceChildren(
    el(
      "table",
      {},
      el(
        "thead",
        {},
        el("tr", {}, ...head.map((text) => el("th", { scope: "col" }, text))),
      ),
      el("tbody", {}, ...body),
    ),
  );
  if (state.settled < state.total) {
    parts.message.textContent =
      `Revealed after ${state.settled} of ${plural(state.total, "pair")}. ` +
      "Run this cell again to go on with the others.";
  }
}

function note(state) {
  const notes = [];
  if (state.identical) {
    const counts = state.identical === 1 ? "counts as a tie" : "count as ties";
    notes.push(`${plural(state.identical, "pair")} of identical answers ${counts}`);
  }
  if (state.left_out) {
    notes.push(`${plural(state.left_out, "pair")} left out, as an answer is missing`);
  }
  return notes.join(" · ");
}

export default { render };
