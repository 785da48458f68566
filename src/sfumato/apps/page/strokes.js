/** Draw strokes of the brush on a canvas; it knows neither pointer nor page. */

/** @typedef {{x: number, y: number}} Point */
/** @typedef {{kind: "keep" | "paint" | "erase", radius: number, soft: boolean, points: Point[]}} Stroke */
/** @typedef {{keep: string, paint: string, erase: string}} Colours */

/** What the server reads: white keeps the photo, black paints. @type {Colours} */
export const MEANING = { keep: "#ffffff", paint: "#000000", erase: "#000000" };

/** What the user sees. @type {Colours} */
export const SHOWN = { keep: "#ffc75f", paint: "#4f7fd9", erase: "#000000" };

/** Farther than any canvas is wide. */
const ASIDE = 10000;

/**
 * Draw a stroke as one line, so that it does not darken where it crosses itself.
 *
 * A soft one is the shadow of a narrower line that is drawn beside the canvas: the one way to blur that all
 * browsers know.
 * @param {CanvasRenderingContext2D} context
 * @param {Stroke} stroke
 * @param {Colours} colours
 */
export function drawStroke(context, stroke, colours) {
  const aside = stroke.soft ? ASIDE : 0;
  context.save();
  context.globalCompositeOperation = stroke.kind === "erase" ? "destination-out" : "source-over";
  context.strokeStyle = context.shadowColor = colours[stroke.kind];
  context.lineCap = context.lineJoin = "round";
  context.lineWidth = stroke.radius * (stroke.soft ? 1.5 : 2);
  context.shadowBlur = stroke.soft ? 0.6 * stroke.radius : 0;
  context.shadowOffsetX = aside;
  context.beginPath();
  stroke.points.forEach(({ x, y }, index) => {
    if (index === 0) context.moveTo(x - aside - 0.01, y); // a line of no length is not drawn everywhere
    context.lineTo(x - aside, y);
  });
  context.stroke();
  context.restore();
}
