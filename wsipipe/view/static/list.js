// The list of slides: one row per slide of the run; those that are finished lead to their page.
import { element, percent, words } from "./words.js";

const answer = await fetch("slides.json");
const told = await answer.json();
document.getElementById("name").textContent = told.name;
document.getElementById("notice").textContent = told.notice;
document.title = `${told.name} – wsipipe`;
document.getElementById("rows").append(...told.slides.map(row));
document.getElementById("said").textContent =
  told.slides.length === 1 ? "1 slide." : `${told.slides.length} slides. Choose one to look at it.`;

function row(slide) {
  const done = slide.status === "done";
  const address = `slide/${encodeURIComponent(slide.id)}/`;
  const picture = element("td", { className: "thumbnail" });
  const name = element("td");
  if (done) {
    const small = element("img", { src: `${address}thumbnail.jpg`, alt: "", loading: "lazy" });
    picture.append(small);
    name.append(element("a", { href: address, textContent: slide.id }));
  } else {
    name.append(slide.id);
  }
  if (slide.case_id) name.append(element("small", { textContent: `case ${slide.case_id}` }));
  const numbers = ["p_negative", "p_low_grade", "p_high_grade", "p_invasive"].map((column) =>
    element("td", { className: "number", textContent: percent(slide[column]) }));
  const status = element("td", { textContent: slide.status, className: `status ${slide.status}` });
  const category = element("td", { textContent: done ? words(slide.category ?? "no category") : "" });
  const tiles = element("td", { className: "number", textContent: slide.tiles ?? "" });
  const reason = element("td", { textContent: [slide.error, slide.reason].filter(Boolean).join(": ") });
  const line = element("tr");
  line.append(picture, name, status, category, ...numbers, tiles, reason);
  return line;
}
