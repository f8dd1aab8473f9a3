"use strict";
// What stands beside the map: series of a pixel with their band, budgets, the legend. All text goes in as text, never as HTML.
const make = (tag, props = {}, ...children) => {
  const {data, ...rest} = props, element = Object.assign(document.createElement(tag), rest);
  Object.assign(element.dataset, data ?? {});
  element.append(...children.filter(child => child !== null && child !== undefined));
  return element;
};
const svg = (tag, attributes = {}, ...children) => {
  const element = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) name === "style" ? element.style.cssText = value : element.setAttribute(name, value);
  element.append(...children);
  return element;
};
const TONES = {NEE: "--nee", GPP: "--gpp", RECO: "--reco"};

// Series of one layer: line and band, zero where it is on the scale; `frame` is marked.
function chart(frames, parts, units, tone, frame, label) {
  const wide = 340, tall = 128, left = 44, right = 8, top = 8, bottom = 20;
  const mean = parts[""], low = parts._q05 ?? mean.map((v, i) => v === null || !parts._sd ? v : v - parts._sd[i]), high = parts._q95 ?? mean.map((v, i) => v === null || !parts._sd ? v : v + parts._sd[i]);
  const all = [...low, ...high].filter(v => v !== null), least = Math.min(0, ...all), most = Math.max(0, ...all) || 1e-9, n = frames.length;
  const x = i => left + (n < 2 ? .5 : i / (n - 1)) * (wide - left - right), y = v => top + (most - v) / (most - least || 1) * (tall - top - bottom), p = (i, v) => `${x(i).toFixed(1)},${y(v).toFixed(1)}`;
  const known = mean.map((v, i) => i).filter(i => mean[i] !== null);
  const drawing = svg("svg", {viewBox: `0 0 ${wide} ${tall}`, role: "img", "aria-label": label});
  drawing.append(svg("polygon", {points: [...known.map(i => p(i, high[i])), ...known.toReversed().map(i => p(i, low[i]))].join(" "), style: `fill: var(${tone}); opacity: .25`}));
  drawing.append(svg("line", {x1: left, x2: wide - right, y1: y(0), y2: y(0), class: "axis"}));
  if (n > 1) drawing.append(svg("polyline", {points: known.map(i => p(i, mean[i])).join(" "), style: `fill: none; stroke: var(${tone}); stroke-width: 1.6`}));
  else for (const i of known) drawing.append(svg("line", {x1: x(i), x2: x(i), y1: y(low[i]), y2: y(high[i]), style: `stroke: var(${tone}); stroke-width: 10; opacity: .3`}), svg("circle", {cx: x(i), cy: y(mean[i]), r: 4, style: `fill: var(${tone})`}));
  if (frame >= 0 && mean[frame] !== null) drawing.append(svg("line", {x1: x(frame), x2: x(frame), y1: top, y2: tall - bottom, class: "now"}), svg("circle", {cx: x(frame), cy: y(mean[frame]), r: 3.2, style: `fill: var(${tone})`}));
  const digits = digitsOf(Math.max(Math.abs(least), Math.abs(most)));
  for (const v of new Set([least, 0, most])) if (v === 0 || Math.abs(y(v) - y(0)) > 11) drawing.append(svg("text", {x: left - 5, y: y(v) + 4, class: "left"}, signed(v, digits)));
  drawing.append(svg("text", {x: left, y: tall - 5}, frames[0].split(",")[0]));
  if (n > 1) drawing.append(svg("text", {x: wide - right, y: tall - 5, class: "left"}, frames[n - 1].split(",")[0]));
  return make("figure", {className: "chart"}, make("figcaption", {textContent: `${label} [${raised(units)}]`}), drawing);
}

// Rows of a budget: mean and interval per area, and the total.
function budget(rows) {
  const body = make("tbody"), periods = [...new Set(rows.map(row => `${row.period}|${row.quantity}`))];
  for (const period of periods) {
    const here = rows.filter(row => `${row.period}|${row.quantity}` === period), [first] = here;
    const name = first.quantity === "flux" ? first.period : word(first.quantity, first.period);
    body.append(make("tr", {className: "heading"}, make("td", {colSpan: 3, textContent: `${name} · ${raised(first.units)}`})));
    for (const row of here) {
      if (row.mean === null) { body.append(make("tr", {}, make("th", {textContent: row.variable}), make("td", {colSpan: 2, textContent: word("unknown")}))); continue; }
      const digits = digitsOf(Math.max(Math.abs(row.mean), Math.abs(row.q95 ?? 0), Math.abs(row.q05 ?? 0)));
      const range = row.q05 === null ? "–" : `${signed(row.q05, digits)} … ${signed(row.q95, digits)}`, total = row.total_tCO2, size = digitsOf(Math.abs(total));
      body.append(make("tr", {data: {variable: row.variable, mean: row.mean}}, make("th", {textContent: row.variable}), make("td", {}, make("b", {textContent: signed(row.mean, digits)}), make("small", {textContent: ` ${range}`})),
        make("td", {textContent: `${signed(total, size)} tCO₂`})));
    }
  }
  const head = make("tr", {}, make("th", {textContent: word("variable")}), make("th", {textContent: `${word("value")}, ${word("interval")}`}), make("th", {textContent: word("total")}));
  return make("table", {}, make("thead", {}, head), body);
}

function budgetBlock(title, found, now) {
  const area = found.rows[0]?.area_ha, {frames, series} = found.months ?? {frames: []}, at = frames.indexOf(now);
  const course = frames.length > 1 ? make("details", {}, make("summary", {textContent: word("course")}), ...Object.keys(series).flatMap(name => [make("b", {textContent: name}), chart(frames, series[name], "gC m-2 d-1", TONES[name], at, name)])) : null;
  return make("section", {}, make("h3", {textContent: title + (area ? ` · ${word("area", signed(area, digitsOf(area)))}` : "")}), budget([...found.rows, ...(found.ledger ?? [])]), course,
    make("p", {className: "note", textContent: `${word("perDraw")} ${word("spreadOf", found.spread)}. ${word("sign")}.`}));
}

// Colours of a field, its ends in words, hatching.
function legend(field) {
  if (field.of && !field.of.size) return make("div", {className: "legend"}, make("b", {textContent: field.title}), make("div", {className: "ends", textContent: word(field.asked ? "reading" : "unknown")}));
  const canvas = make("canvas", {width: 256, height: 1, className: "bar"}), image = new ImageData(256, 1);
  new Uint32Array(image.data.buffer).set(field.lut);
  canvas.getContext("2d").putImageData(image, 0, 0);
  const digits = decimals((field.high - field.low) / 4), ticks = [0, .25, .5, .75, 1].map(f => make("span", {textContent: signed(field.low + f * (field.high - field.low), digits)}));
  const box = make("div", {className: "legend", data: {low: field.low, high: field.high}}, make("b", {textContent: `${field.title} [${raised(field.units)}]`}), canvas, make("div", {className: "ticks"}, ...ticks));
  if (field.ends) box.append(make("div", {className: "ends"}, ...field.ends.map(textContent => make("span", {textContent}))));
  if (field.unsure) box.append(make("div", {className: "ends"}, make("span", {}, make("i", {className: "hatch"}), word(field.unsure === "sd" ? "hatchedSd" : "hatched"))));
  if (field.note) box.append(make("div", {className: "ends", textContent: field.note}));
  return box;
}

const niceLength = x => { const power = 10 ** Math.floor(Math.log10(x)); return [5, 2, 1].map(f => f * power).find(v => v <= x); };
const lengthOf = metres => metres >= 1000 ? `${metres / 1000} km` : `${metres} m`;

// The map as it is shown, with title, legend, scale, north, sign and credit, as a PNG.
function picture(map, fields, lines, pixel) {
  const {dpr, wide, tall} = map, head = 24 + 20 * lines.length, foot = 112, out = make("canvas", {width: Math.round(wide * dpr), height: Math.round((tall + head + foot) * dpr)}), c = out.getContext("2d");
  c.scale(dpr, dpr);
  c.fillStyle = "#fff"; c.fillRect(0, 0, wide, tall + head + foot);
  c.drawImage(map.canvas, 0, head, wide, tall);
  c.fillStyle = "#1d2730"; c.textBaseline = "top";
  lines.forEach((line, i) => { c.font = i ? "13px sans-serif" : "600 17px sans-serif"; c.fillText(line, 12, 12 + 22 * i, wide - 24); });
  const each = (wide - 24) / fields.length - (fields.length > 1 ? 20 : 0), bar = Math.min(each, 360);
  fields.forEach((field, n) => {
    const x = 12 + n * (each + 40), y = tall + head + 10, digits = decimals((field.high - field.low) / 2);
    c.font = "600 13px sans-serif"; c.fillStyle = "#1d2730"; c.fillText(field.units ? `${field.title} [${raised(field.units)}]` : `${field.title}: ${word("unknown")}`, x, y, each);
    if (!field.units) return;
    for (let i = 0; i < 256; i++) { const w = field.lut[i]; c.fillStyle = `rgb(${w & 255},${w >> 8 & 255},${w >> 16 & 255})`; c.fillRect(x + i * bar / 256, y + 20, bar / 256 + 1, 11); }
    c.font = "11px sans-serif"; c.fillStyle = "#3d4b56";
    [0, .5, 1].forEach(f => { c.textAlign = ["left", "center", "right"][2 * f]; c.fillText(signed(field.low + f * (field.high - field.low), digits), x + f * bar, y + 35); });
    c.textAlign = "left";
    [field.ends?.join(" · "), field.unsure && word(field.unsure === "sd" ? "hatchedSd" : "hatched"), field.note].filter(Boolean).forEach((text, i) => c.fillText(text, x, y + 52 + 15 * i, each));
  });
  const metres = niceLength(wide / map.view.s * pixel / 4), length = metres / pixel * map.view.s, x = wide - 16 - length, y = head + tall - 20;
  c.fillStyle = "rgba(255,255,255,.85)"; c.fillRect(x - 10, y - 42, length + 20, 58);
  c.strokeStyle = c.fillStyle = "#1d2730"; c.lineWidth = 2;
  c.beginPath(); c.moveTo(x, y + 3); c.lineTo(x, y + 9); c.lineTo(x + length, y + 9); c.lineTo(x + length, y + 3); c.stroke();
  c.textAlign = "center"; c.font = "12px sans-serif"; c.fillText(lengthOf(metres), x + length / 2, y - 9);
  c.beginPath(); c.moveTo(x + length - 6, y - 38); c.lineTo(x + length - 1, y - 22); c.lineTo(x + length - 11, y - 22); c.fill();
  c.textAlign = "right"; c.fillText(word("north"), x + length - 16, y - 34);
  return new Promise(done => out.toBlob(done, "image/png"));
}
