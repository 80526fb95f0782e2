"use strict";
// Everything is in the page: data in a JSON element, images as their bytes. Texts are set as text.
const data = JSON.parse(document.getElementById("data").textContent);
const source = (i) => "data:image/webp;base64," + data.thumbnails[i];
const make = (tag, text, name) => {
  const made = document.createElement(tag);
  if (text !== undefined) made.textContent = text;
  if (name) made.className = name;
  return made;
};
const percent = (share) => (100 * share).toFixed(1) + " %";
const said = (i) => {
  const image = data.images[i];
  if (!image) return "";  // shown, but the report is not about it
  return data.classes[image.true] + (image.predicted === image.true ? ", predicted right" :
    ", predicted " + data.classes[image.predicted]);
};

const picture = (i) => {
  if (!data.thumbnails[i]) return make("span", "the file is gone, or another", "gone");
  const image = make("img");
  image.loading = "lazy"; image.decoding = "async";
  image.src = source(i); image.alt = said(i);
  return image;
};

for (const place of document.querySelectorAll("[data-image]")) {
  const i = Number(place.dataset.image);
  const found = picture(i);
  if (found.tagName === "IMG" && place.dataset.alt) found.alt = place.dataset.alt;
  place.replaceWith(found);
}

// The images behind a number --------------------------------------------------------------------
const dialog = document.getElementById("gallery");
const show = (title, chosen) => {
  dialog.querySelector("h2").textContent = title;
  const list = dialog.querySelector("ul");
  list.replaceChildren(...chosen.slice(0, 200).map((i) => {
    const item = make("li"), card = make("figure", undefined, "card"), pair = make("div", undefined, "pair");
    const caption = make("figcaption"), image = data.images[i];
    pair.append(picture(i));
    const path = make("bdi", image.path);
    caption.append(path, make("br"), make("span", data.classes[image.true], "true"));
    if (image.predicted !== image.true)
      caption.append(" → ", make("span", data.classes[image.predicted], "said"));
    // Rounded down: no confidence is 1.
    caption.append(" " + (Math.floor(1000 * image.confidence) / 1000).toFixed(3));
    card.append(pair, caption); item.append(card);
    return item;
  }));
  dialog.querySelector("p").textContent = chosen.length > 200 ? "The first 200 of " + chosen.length + "." : "";
  dialog.showModal();
};
if (dialog) {
  dialog.querySelector(".close").addEventListener("click", () => dialog.close());
  dialog.addEventListener("click", (event) => { if (event.target === dialog) dialog.close(); });
}
for (const cell of document.querySelectorAll("button[data-true]")) {
  cell.addEventListener("click", () => {
    const wanted = cell.dataset, chosen = [];
    data.images.forEach((image, i) => {
      if (image.part === Number(wanted.part) && image.true === Number(wanted.true) &&
          image.predicted === Number(wanted.predicted)) chosen.push(i);
    });
    show(cell.getAttribute("aria-label"), chosen);
  });
}

// What abstaining costs ---------------------------------------------------------------------------
const slider = document.getElementById("abstain");
if (slider) {
  const told = () => {
    const limit = Number(slider.value) / 100;
    const kept = data.images.filter((image) => image.part === 0 && image.confidence >= limit);
    const all = data.images.filter((image) => image.part === 0).length;
    const right = kept.filter((image) => image.predicted === image.true).length;
    document.getElementById("abstained").textContent = kept.length ?
      "Below a confidence of " + limit.toFixed(2) + " no label is given: " + percent(kept.length / all) +
      " of the images get one, and " + right + " of " + kept.length + " labels are right (" +
      percent(right / kept.length) + ")." : "No image is that certain.";
  };
  slider.addEventListener("input", told);
  told();
}

// The map -----------------------------------------------------------------------------------------
const map = document.querySelector("#map svg");
if (map) {
  const points = [...map.querySelectorAll("circle")], peek = document.getElementById("peek");
  let here = null;
  const look = (point) => {
    if (here) here.classList.remove("here");
    here = point; point.classList.add("here");
    const i = Number(point.dataset.point), text = make("p");
    text.append(make("bdi", data.images[i].path), make("br"), said(i));
    peek.replaceChildren(picture(i), text);
  };
  for (const point of points) {
    point.addEventListener("pointerenter", () => look(point));
    point.addEventListener("click", () => look(point));
  }
  map.addEventListener("keydown", (event) => {
    const step = { ArrowRight: [1, 0], ArrowLeft: [-1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[event.key];
    if (!step) return;
    event.preventDefault();
    if (!here) return look(points[0]);
    const at = (point) => [Number(point.getAttribute("cx")), Number(point.getAttribute("cy"))];
    const [x, y] = at(here);
    let best = null, nearest = Infinity;
    for (const point of points) {
      const [dx, dy] = [at(point)[0] - x, at(point)[1] - y];
      const along = dx * step[0] + dy * step[1], across = Math.abs(dx * step[1]) + Math.abs(dy * step[0]);
      if (along > 0 && along + 2 * across < nearest) { nearest = along + 2 * across; best = point; }
    }
    if (best) look(best);
  });
}
