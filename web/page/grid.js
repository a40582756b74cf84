/** Tiles are as large as the stage allows, all of one size. */

/** Tiles are wide on a wide stage, square on a narrow one, and nothing beyond. */
const ASPECT_MAX = 16 / 10;
const GAP_PX = 12;
const WIDTH_MIN_PX = 120;

/**
 * The tile size, in px, that fills a stage best.
 *
 * @param {number} count tiles, at least 1
 * @param {number} width of the stage, px
 * @param {number} height of the stage, px
 * @param {number} [aspectMax] widest, as width by height
 * @returns {{ width: number, height: number }}
 */
export function tileSize(count, width, height, aspectMax = ASPECT_MAX) {
  let best = { width: 0, height: 0 };
  for (let columns = 1; columns <= count; columns += 1) {
    const rows = Math.ceil(count / columns);
    const cellWidth = (width - GAP_PX * (columns - 1)) / columns;
    const cellHeight = (height - GAP_PX * (rows - 1)) / rows;
    const size = {
      width: Math.floor(Math.min(cellWidth, cellHeight * aspectMax)),
      height: Math.floor(Math.min(cellHeight, cellWidth)),
    };
    if (size.width * size.height > best.width * best.height) best = size;
  }
  // More than fits: tiles keep a readable size and the stage scrolls.
  const smallest = Math.min(WIDTH_MIN_PX, width);
  if (best.width < smallest) best = { width: smallest, height: smallest / ASPECT_MAX };
  return best;
}

/**
 * Keeps the tiles of a list fitted to its frame: its parent, or itself.
 *
 * @param {HTMLElement} list
 * @param {{ self?: boolean }} [options] `self`: the list is its own frame, and its tiles may be wide
 */
export function fitTiles(list, { self = false } = {}) {
  const frame = self ? list : list.parentElement;
  const fit = () => {
    // `clientWidth` rounds up: a row that fills it by half a pixel too much would wrap.
    const box = frame.getBoundingClientRect();
    const width = Math.min(frame.clientWidth, Math.floor(box.width));
    const height = Math.min(frame.clientHeight, Math.floor(box.height));
    if (width <= 0) return;
    const tile = tileSize(Math.max(1, list.childElementCount), width, height, self ? 2.4 : undefined);
    list.style.setProperty('--tile-width', `${tile.width}px`);
    list.style.setProperty('--tile-height', `${tile.height}px`);
  };
  new ResizeObserver(fit).observe(frame);
  new MutationObserver(fit).observe(list, { childList: true });
}
