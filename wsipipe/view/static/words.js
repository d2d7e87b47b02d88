// Small things that all pages share: elements, and how values are written.

export function element(name, properties = {}) {
  return Object.assign(document.createElement(name), properties);
}

export function words(name) {
  const text = String(name).replaceAll("_", " ");
  return text.charAt(0).toUpperCase() + text.slice(1);
}

export function percent(value) {
  return value === null || value === undefined ? "" : `${(100 * value).toFixed(1)} %`;
}

export function shown(value) {
  if (value === null || value === undefined) return "–";
  if (typeof value === "boolean") return value ? "yes" : "no";
  if (typeof value !== "number" || Number.isInteger(value)) return String(value);
  return Math.abs(value) >= 1000 ? value.toFixed(1) : String(Number(value.toPrecision(4)));
}

// The longest of 1, 2 or 5 times a power of ten micrometres that is at most `longest`, and its label.
export function roundLength(longest) {
  const decade = 10 ** Math.floor(Math.log10(longest));
  const length = [5, 2, 1].map((step) => step * decade).find((one) => one <= longest * (1 + 1e-9));
  return { length, label: length >= 1000 ? `${length / 1000} mm` : `${Number(length.toPrecision(3))} µm` };
}
