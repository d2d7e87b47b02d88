// One slide: the pictures (OpenSeadragon), what is drawn over them, the panel beside them, and the keys.
import { Overlay } from "./overlay.js";
import { describe, layerControls, showTile, topTiles } from "./panel.js";
import { roundLength } from "./words.js";

const facts = await told("slide.json");
const [tiles, regions, tissues] = await Promise.all(["tiles.json", "regions.json", "tissues.json"].map(told));
const { Point, TileSource } = OpenSeadragon;
// OpenSeadragon adds a rule for touch screens to the page, which our policy forbids; view.css has it.
const rule = document.createElement("style");
rule.setAttribute("data-openseadragon-mobile-css", "true");
document.head.append(rule);

const viewer = OpenSeadragon({
  element: document.getElementById("viewer"),
  drawer: "canvas",
  showNavigationControl: false,
  showNavigator: true,
  navigatorPosition: "TOP_RIGHT",
  navigatorSizeRatio: 0.18,
  navigatorAutoFade: false,
  keyboardNavEnabled: false,
  gestureSettingsMouse: { clickToZoom: false, dblClickToZoom: true },
  animationTime: matchMedia("(prefers-reduced-motion: reduce)").matches ? 0 : 0.5,
  visibilityRatio: 0.4,
  minZoomImageRatio: 0.6,
  maxZoomPixelRatio: facts.pixels.downsample > 1 ? 8 : 4,
  maxImageCacheCount: 400,
});
const overlay = new Overlay(viewer, facts, { tiles, regions, tissues });
let heat = null;
const layers = [
  { key: "1", id: "probability", name: "Probability", on: true, opacity: 1, count: facts.heat ? 1 : 0 },
  { key: "2", id: "regions", name: "Suspected regions", on: true, opacity: 1, count: regions.length },
  { key: "3", id: "tiles", name: "Tiles, by score", on: false, opacity: 0.6, count: tiles.id.length },
  { key: "4", id: "tissue", name: "Tissue", on: false, opacity: 1, count: tissues.length },
];

describe(facts);
layerControls(layers, show);
topTiles(tiles, (at) => choose(at, true));
for (const layer of layers) show(layer);
place();

async function told(name) {
  const answer = await fetch(name);
  if (!answer.ok) throw new Error(`${name}: ${answer.status}`);
  return answer.json();
}

// The slide one unit wide; the map where its pixels lie on it. A pyramid's last pixel may reach past the slide.
function place() {
  const { pixels, width, height } = facts;
  const down = pixels.downsample;
  const source = new TileSource({
    width: Math.ceil(width / down),
    height: Math.ceil(height / down),
    tileSize: pixels.tile,
    tileOverlap: 0,
    minLevel: pixels.coarsest,
    maxLevel: pixels.finest,
    getTileUrl: (level, x, y) => `pixels/${level}/${y}_${x}.jpg`,
  });
  viewer.addTiledImage({ tileSource: source, width: (Math.ceil(width / down) * down) / width, success: placeHeat });
}

function placeHeat() {
  viewer.viewport.goHome(true);
  document.body.dataset.ready = facts.heat ? "slide" : "all";
  if (!facts.heat) return;
  const source = new TileSource({
    width: facts.heat.width,
    height: facts.heat.height,
    tileSize: facts.pixels.tile,
    tileOverlap: 0,
    minLevel: 0,
    maxLevel: facts.heat.levels - 1,
    getTileUrl: (level, x, y) => `heat/${level}/${y}_${x}.png`,
  });
  viewer.addTiledImage({
    tileSource: source,
    width: (facts.heat.width * facts.heat.l0) / facts.width,
    opacity: 0,
    success: ({ item }) => {
      heat = item;
      show(layers[0]);
      document.body.dataset.ready = "all";
    },
  });
}

function show(layer) {
  const opacity = layer.on ? layer.opacity : 0;
  if (layer.id === "probability") heat?.setOpacity(opacity);
  else overlay.setOpacity(layer.id, opacity);
}

function choose(at, go = false) {
  overlay.select(at);
  if (at < 0) return showTile(null);
  if (go) {
    const [x, y, wide] = [tiles.x[at], tiles.y[at], tiles.width[at]].map((length) => length / facts.width);
    const high = tiles.height[at] / facts.width;
    viewer.viewport.fitBounds(new OpenSeadragon.Rect(x - wide, y - high, 3 * wide, 3 * high));
  }
  const wanted = tiles.id[at];
  return told(`tile/${wanted}.json`).then((row) => overlay.selected === at && showTile(row));
}

viewer.addHandler("canvas-click", (event) => {
  if (!event.quick) return;
  const at = viewer.viewport.pointFromPixel(event.position);
  choose(overlay.hit(at.x * facts.width, at.y * facts.width));
});

const STEP_PX = 90;
const pan = (x, y) => () => viewer.viewport.panBy(viewer.viewport.deltaPointsFromPixels(new Point(x, y)));
const zoom = (factor) => () => viewer.viewport.zoomBy(factor);
const home = () => viewer.viewport.goHome();
const keys = {
  ArrowLeft: pan(-STEP_PX, 0), ArrowRight: pan(STEP_PX, 0), ArrowUp: pan(0, -STEP_PX), ArrowDown: pan(0, STEP_PX),
  "+": zoom(1.5), "=": zoom(1.5), "-": zoom(1 / 1.5), _: zoom(1 / 1.5), 0: home, Escape: () => choose(-1),
};
for (const layer of layers) keys[layer.key] = () => document.getElementById(`layer-${layer.id}`).click();

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.altKey || event.metaKey || !keys[event.key]) return;
  if (event.key.startsWith("Arrow") && event.target.closest("input, aside")) return;
  event.preventDefault();
  keys[event.key]();
  viewer.viewport.applyConstraints();
});
for (const [id, act] of [["closer", zoom(1.5)], ["farther", zoom(1 / 1.5)], ["whole", home]]) {
  document.getElementById(id).addEventListener("click", () => {
    act();
    viewer.viewport.applyConstraints();
  });
}

viewer.addHandler("update-viewport", () => {
  const pxPerUm = (viewer.viewport.getZoom(true) * viewer.viewport.getContainerSize().x) / (facts.width * facts.mpp);
  const { length, label } = roundLength(160 / pxPerUm);
  document.getElementById("scale-bar").style.width = `${length * pxPerUm}px`;
  document.getElementById("scale-label").textContent = label;
});
viewer.canvas.setAttribute("role", "application");
viewer.canvas.setAttribute("aria-label", "Slide; arrow keys pan, plus and minus zoom");
window.wsipipe = { viewer, overlay, facts, tiles };
