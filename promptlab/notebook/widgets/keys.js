/* Keys: those pressed in our widgets are not the notebook's shortcuts. */

// JupyterLab looks for a shortcut from the element that has focus upwards, and stops where
// this attribute is. `d d`, `x` and their like are bound to that element itself, so it must
// be there and not above it; Ctrl+S and its like are bound further up, and go on to work.
const OURS = "data-lm-suppress-shortcuts";

/** Keeps plain keys that are pressed within the element that `find` gives from the notebook;
 * gives a function that ends it. */
function keepKeys(find) {
  const keep = (event) => {
    const { target } = event;
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (!find()?.contains(target) || target.hasAttribute(OURS)) return;
    target.setAttribute(OURS, "");
    setTimeout(() => target.removeAttribute(OURS)); // once this key is through
  };
  window.addEventListener("keydown", keep, true); // before the notebook's own listener
  return () => window.removeEventListener("keydown", keep, true);
}
