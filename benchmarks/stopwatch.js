// Times what a user waits for, in the page itself: from a command, a key, a click or a
// turn of the wheel until what is waited for has been drawn.

(() => {
  const LIMIT_MS = 60000;
  const notebook = () => window.jupyterapp.shell.currentWidget.content;

  /** The comparison below a cell, once it is drawn. */
  const comparison = (cell) => notebook().widgets[cell].node.querySelector(".promptlab-compare");

  /** The rows of it that are in sight, in its frame and in the window. */
  const inSight = (root) => {
    const frame = root.querySelector(".plc-scroller").getBoundingClientRect();
    const top = Math.max(frame.top, 0);
    const bottom = Math.min(frame.bottom, window.innerHeight);
    return [...root.querySelectorAll("tbody tr[data-index]")].filter((line) => {
      const place = line.getBoundingClientRect();
      return place.height > 0 && place.bottom > top + 1 && place.top < bottom - 1;
    });
  };

  const named = (line, name) => line?.querySelector(".plc-case").textContent === name;

  /** Whether each output in sight says how far it is from the baseline. */
  const compared = (lines) =>
    lines.length > 0 &&
    lines.every((line) =>
      [...line.querySelectorAll("td:not(.plc-base) > .plc-text + .plc-more + .plc-facts > .plc-alike")].every(
        (node) => node.textContent,
      ),
    );

  const SHOWN = {
    /** The first row can be read. */
    row: (root) => inSight(root).length > 0,
    /** The row of that name is in sight, and so are the differences. */
    last: (root, name) => {
      const lines = inSight(root);
      return named(lines.at(-1), name) && compared(lines);
    },
    /** So many rows are said to be there, and those in sight are compared. */
    rows: (root, said) =>
      root.querySelector(".plc-status").textContent === said && compared(inSight(root)),
    /** How many rows of each kind there are. */
    counts: (root) => root.querySelector(".plc-count") !== null,
  };

  const drawn = () => new Promise((resolve) => requestAnimationFrame(() => setTimeout(resolve)));

  /** The time at which it is drawn. */
  const until = async (cell, [kind, ...given]) => {
    const last = performance.now() + LIMIT_MS;
    for (;;) {
      const root = comparison(cell);
      if (root && root.checkVisibility() && SHOWN[kind](root, ...given)) break;
      if (performance.now() > last) throw new Error(`${kind} ${given} is not shown after ${LIMIT_MS} ms`);
      await new Promise(requestAnimationFrame);
    }
    await drawn();
    return performance.now();
  };

  let started = null;
  for (const kind of ["keydown", "click", "wheel"]) {
    window.addEventListener(kind, (event) => (started = event.timeStamp), { capture: true, passive: true });
  }

  const run = (cell) => {
    notebook().activeCellIndex = cell;
    notebook().widgets[cell].node.scrollIntoView(); // what comes below it is in sight
    return window.jupyterapp.commands.execute("notebook:run-cell");
  };

  window.stopwatch = {
    /** Runs a cell to its end. */
    run,
    /** The milliseconds from running a cell until something is shown below it. */
    async running(cell, wanted) {
      const start = performance.now();
      run(cell);
      return (await until(cell, wanted)) - start;
    },
    /** The milliseconds from the last key, click or turn until something is shown. */
    async since(cell, wanted) {
      return (await until(cell, wanted)) - started;
    },
    /** Puts the focus on the first output, as a click does. */
    focus: (cell) => comparison(cell).querySelector("td").focus(),
  };
})();
