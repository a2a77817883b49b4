/* What a box of plain ipywidgets lacks: keys of its own, and names for screen readers. */

const CONTROL = "input, select, textarea, [role='slider']";

/** Names what has nothing but a tooltip, and groups the controls of a line. */
function name(box) {
  for (const node of box.querySelectorAll("[title]")) {
    // Where a control has a label, though an empty one, the tooltip may be on that.
    if (node.matches("label")) label(node.parentElement.querySelector(CONTROL), node.title);
    else if (node.matches(CONTROL)) label(node, node.title);
    else if (node.matches("button") && !said(node)) label(node, node.title);
  }
  for (const line of box.querySelectorAll(".plp-line")) {
    line.setAttribute("role", "group");
    label(line, line.querySelector(".plp-name")?.textContent);
  }
}

/** What a button says, without its icon. */
function said(button) {
  return button.textContent.replace(/[\s\ue000-\uf8ff]/g, "");
}

function label(node, text) {
  if (node && text && !node.hasAttribute("aria-label")) node.setAttribute("aria-label", text);
}

export default {
  render({ el }) {
    const find = () => el.closest(".promptlab-box");
    const freeKeys = keepKeys(find);
    const changes = new MutationObserver(() => name(find()));
    const begun = setTimeout(() => {
      const box = find();
      if (!box) return;
      name(box);
      changes.observe(box, { childList: true, subtree: true });
    }, 50); // once it is in the page
    return () => {
      freeKeys();
      clearTimeout(begun);
      changes.disconnect();
    };
  },
};
