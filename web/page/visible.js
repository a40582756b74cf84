/** A picture that grows step by step is asked for anew at the end, not at each step. */
const SETTLED_MS = 300;
/** Widths are told in steps, so that a pixel more or less is no news. */
const STEP_PX = 80;

/**
 * Tells how large a tile is on the screen and whether it is there at all, now and whenever that
 * changes.
 *
 * @param {HTMLElement} node
 * @param {(view: { width: number, visible: boolean }) => void} tell
 * @returns {() => void} ends it
 */
export function watchSize(node, tell) {
  let inside = true;
  let timer = 0;
  const soon = () => {
    clearTimeout(timer);
    timer = setTimeout(() => {
      const pixels = node.clientWidth * devicePixelRatio;
      const visible = inside && !document.hidden && pixels > 0;
      tell({ width: Math.max(1, Math.ceil(pixels / STEP_PX)) * STEP_PX, visible });
    }, SETTLED_MS);
  };
  const size = new ResizeObserver(soon);
  const place = new IntersectionObserver((entries) => {
    inside = entries.at(-1).isIntersecting;
    soon();
  });
  size.observe(node);
  place.observe(node);
  document.addEventListener('visibilitychange', soon);
  return () => {
    clearTimeout(timer);
    size.disconnect();
    place.disconnect();
    document.removeEventListener('visibilitychange', soon);
  };
}
