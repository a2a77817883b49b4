/* Elements and numbers, for the scripts of all views. What comes from a table is text: it
 * becomes text nodes and attributes, never markup. */

/** An element with attributes, listeners (`onclick`) and children; null is left out. */
function el(tag, given = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(given)) {
    if (value === undefined || value === null || value === false) continue;
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else node.setAttribute(name, value === true ? "" : String(value));
  }
  node.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined));
  return node;
}

const whole = (number) => number.toLocaleString("en-US");
const plural = (number, noun) => `${whole(number)} ${noun}${number === 1 ? "" : "s"}`;
