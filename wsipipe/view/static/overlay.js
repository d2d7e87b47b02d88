// Shapes over the slide, drawn on one canvas in level-0 pixels: tissue, tiles, regions, the chosen tile.

const TISSUE = "#0f766e", REGION = "#d6006c", BOX = "#111827", RIM = "#ffffff", CHOSEN = "#ffb000";
const CELL = 4096; // side of the squares in which a click looks for tiles

export class Overlay {
  constructor(viewer, facts, { tiles, regions, tissues }) {
    this.viewer = viewer;
    this.facts = facts;
    this.tiles = tiles;
    this.selected = -1;
    this.opacity = { tissue: 0, tiles: 0, regions: 0 };
    this.paths = { tissue: outlines(tissues), regions: outlines(regions) };
    this.fills = byColour(tiles, facts.colors);
    this.top = [...tiles.rank.keys()].filter((at) => tiles.rank[at] > 0).sort((a, b) => tiles.rank[b] - tiles.rank[a]);
    this.index = squares(tiles);
    this.canvas = document.createElement("canvas");
    this.canvas.id = "overlay";
    this.canvas.setAttribute("aria-hidden", "true");
    viewer.canvas.append(this.canvas);
    viewer.addHandler("update-viewport", () => this.draw());
  }

  setOpacity(layer, value) {
    this.opacity[layer] = value;
    this.draw();
  }

  select(at) {
    this.selected = at;
    this.draw();
  }

  // Row of the tile at a place in level-0 pixels, -1 where there is none.
  hit(x, y) {
    const near = this.index.get(`${Math.floor(x / CELL)},${Math.floor(y / CELL)}`) ?? [];
    const { x: left, y: top, width, height } = this.tiles;
    const inside = (at) => x >= left[at] && x < left[at] + width[at] && y >= top[at] && y < top[at] + height[at];
    return near.find(inside) ?? -1;
  }

  draw() {
    const { viewport } = this.viewer;
    if (!viewport) return;
    const size = viewport.getContainerSize();
    const ratio = window.devicePixelRatio || 1;
    const [wide, high] = [Math.round(size.x * ratio), Math.round(size.y * ratio)];
    if (this.canvas.width !== wide || this.canvas.height !== high) {
      this.canvas.width = wide;
      this.canvas.height = high;
    }
    const pen = this.canvas.getContext("2d");
    pen.setTransform(1, 0, 0, 1, 0, 0);
    pen.clearRect(0, 0, wide, high);
    const origin = viewport.pixelFromPoint(new OpenSeadragon.Point(0, 0), true);
    const scale = (viewport.getZoom(true) * size.x * ratio) / this.facts.width;
    pen.setTransform(scale, 0, 0, scale, origin.x * ratio, origin.y * ratio);
    this.strokes(pen, this.paths.tissue, TISSUE, this.opacity.tissue, (2 * ratio) / scale);
    this.drawTiles(pen, ratio / scale);
    this.strokes(pen, this.paths.regions, REGION, this.opacity.regions, (2.5 * ratio) / scale);
    this.drawTop(pen, ratio / scale);
    this.drawChosen(pen, ratio / scale);
  }

  strokes(pen, path, colour, opacity, width) {
    if (!opacity) return;
    pen.globalAlpha = opacity;
    pen.lineJoin = "round";
    for (const [ink, share] of [[RIM, 2], [colour, 1]]) {
      pen.strokeStyle = ink;
      pen.lineWidth = share * width;
      pen.stroke(path);
    }
  }

  drawTiles(pen, px) {
    if (!this.opacity.tiles) return;
    const lines = this.tiles.width.length && this.tiles.width[0] > 8 * px;
    for (const [colour, path] of this.fills) {
      pen.globalAlpha = 0.75 * this.opacity.tiles;
      pen.fillStyle = colour;
      pen.fill(path);
      if (!lines) continue;
      pen.strokeStyle = RIM;
      pen.lineWidth = px;
      pen.stroke(path);
    }
  }

  // Outlines and numbers of the top tiles; number 1 lies above the others.
  drawTop(pen, px) {
    if (!this.opacity.tiles) return;
    pen.globalAlpha = Math.min(1, 0.4 + this.opacity.tiles);
    for (const at of this.top) this.frame(pen, at, BOX, 2 * px);
    for (const at of this.top) this.badge(pen, at, px);
  }

  badge(pen, at, px) {
    const { x, y, width, height, rank } = this.tiles;
    const [cx, cy] = [x[at] + width[at] / 2, y[at] + height[at] / 2];
    pen.beginPath();
    pen.arc(cx, cy, 10 * px, 0, 2 * Math.PI);
    pen.fillStyle = BOX;
    pen.fill();
    pen.strokeStyle = RIM;
    pen.lineWidth = 1.5 * px;
    pen.stroke();
    pen.fillStyle = RIM;
    pen.font = `bold ${11 * px}px system-ui, sans-serif`;
    pen.textAlign = "center";
    pen.textBaseline = "middle";
    pen.fillText(String(rank[at]), cx, cy + 0.5 * px);
  }

  drawChosen(pen, px) {
    if (this.selected < 0) return;
    pen.globalAlpha = 1;
    this.frame(pen, this.selected, CHOSEN, 3 * px);
  }

  frame(pen, at, colour, width) {
    const { x, y, width: wide, height } = this.tiles;
    for (const [ink, share] of [[RIM, 2], [colour, 1]]) {
      pen.strokeStyle = ink;
      pen.lineWidth = share * width;
      pen.strokeRect(x[at], y[at], wide[at], height[at]);
    }
  }
}

function outlines(shapes) {
  const path = new Path2D();
  for (const ring of shapes.flatMap((shape) => shape.rings)) {
    for (let at = 0; at < ring.length; at += 2) path[at ? "lineTo" : "moveTo"](ring[at], ring[at + 1]);
    path.closePath();
  }
  return path;
}

// One path for all tiles of a colour: a slide of many thousand tiles is a few strokes of the pen.
function byColour(tiles, colours) {
  const paths = new Map();
  tiles.score.forEach((score, at) => {
    const colour = colours[8 * Math.min(31, Math.floor(Math.max(0, score) * 32))];
    if (!paths.has(colour)) paths.set(colour, new Path2D());
    paths.get(colour).rect(tiles.x[at], tiles.y[at], tiles.width[at], tiles.height[at]);
  });
  return paths;
}

function squares(tiles) {
  const found = new Map();
  tiles.id.forEach((_, at) => {
    const [left, right] = [tiles.x[at], tiles.x[at] + tiles.width[at]].map((x) => Math.floor(x / CELL));
    const [top, bottom] = [tiles.y[at], tiles.y[at] + tiles.height[at]].map((y) => Math.floor(y / CELL));
    for (let row = top; row <= bottom; row += 1) {
      for (let column = left; column <= right; column += 1) {
        const key = `${column},${row}`;
        if (!found.has(key)) found.set(key, []);
        found.get(key).push(at);
      }
    }
  });
  return found;
}
