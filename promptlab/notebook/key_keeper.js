/* A box of plain ipywidgets: keys pressed in it are its own. */

export default {
  render({ el }) {
    return keepKeys(() => el.closest(".promptlab-keys"));
  },
};
