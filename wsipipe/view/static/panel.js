// The panel beside the slide: verdict, layers, top tiles, and the row of the tile that was chosen.
import { element, percent, shown, words } from "./words.js";

const at = (id) => document.getElementById(id);

export function describe(facts) {
  at("name").textContent = facts.id;
  at("notice").textContent = facts.notice;
  document.title = `${facts.id} – wsipipe`;
  at("category").textContent = facts.category ? words(facts.category) : "No category";
  at("reason").textContent = facts.reason;
  at("reason").hidden = !facts.reason;
  at("said").textContent = facts.pixels.said;
  at("said").hidden = !facts.pixels.said;
  at("notices").append(...facts.notices.map((text) => element("li", { textContent: text })));
  const known = Object.entries(facts.probabilities).filter(([, value]) => value !== null);
  at("probabilities").tBodies[0].append(...known.map(([name, value]) => probability(name, value, facts.category)));
  at("probabilities").hidden = known.length === 0;
  legend(facts);
}

function probability(name, value, category) {
  const line = element("tr", { className: name === category ? "chosen" : "" });
  const bar = element("progress", { max: 1, value });
  bar.setAttribute("aria-label", words(name));
  const middle = element("td");
  middle.append(bar);
  line.append(element("th", { scope: "row", textContent: words(name) }), middle);
  line.append(element("td", { className: "number", textContent: percent(value) }));
  return line;
}

function legend({ colors, heat, tiles }) {
  at("legend").hidden = !heat && !tiles;
  const pen = at("legend").querySelector("canvas").getContext("2d");
  colors.forEach((colour, x) => {
    pen.fillStyle = colour;
    pen.fillRect(x, 0, 1, 12);
  });
}

export function layerControls(layers, changed) {
  for (const layer of layers) {
    const line = element("div", { className: "layer" });
    const box = element("input", { type: "checkbox", id: `layer-${layer.id}`, checked: layer.on });
    const label = element("label", { htmlFor: box.id });
    label.append(element("kbd", { textContent: layer.key }), ` ${layer.name}`);
    const slide = element("input", { type: "range", min: 0.05, max: 1, step: 0.05, value: layer.opacity });
    slide.setAttribute("aria-label", `Opacity: ${layer.name}`);
    box.addEventListener("change", () => {
      layer.on = box.checked;
      changed(layer);
    });
    slide.addEventListener("input", () => {
      layer.opacity = Number(slide.value);
      changed(layer);
    });
    if (layer.count === 0) {
      layer.on = box.checked = false;
      box.disabled = slide.disabled = true;
      label.append(element("small", { textContent: "none" }));
    }
    line.append(box, label, slide);
    at("layers").append(line);
  }
}

export function topTiles(tiles, chosen) {
  const top = [...tiles.rank.keys()].filter((row) => tiles.rank[row] > 0).sort((a, b) => tiles.rank[a] - tiles.rank[b]);
  at("top").append(
    ...top.map((row) => {
      const button = element("button", { type: "button", textContent: tiles.rank[row] });
      button.setAttribute("aria-label", `Tile ${tiles.id[row]}, number ${tiles.rank[row]}`);
      button.title = `mean probability ${tiles.score[row]}`;
      button.addEventListener("click", () => chosen(row));
      const item = element("li");
      item.append(button);
      return item;
    }),
  );
  if (!top.length) at("top").replaceWith(element("p", { textContent: "No tile was kept." }));
}

export function showTile(row) {
  at("tile-hint").hidden = row !== null;
  at("tile-title").textContent = row ? `Tile ${row.tile_id}` : "Tile";
  at("tile").replaceChildren(
    ...Object.entries(row ?? {}).map(([name, value]) => {
      const line = element("div");
      line.append(element("dt", { textContent: name }), element("dd", { textContent: shown(value) }));
      return line;
    }),
  );
  if (row) at("tile-title").scrollIntoView({ block: "nearest" });
}
