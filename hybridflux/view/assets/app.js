"use strict";
// The state of the viewer, its controls, its keys.
class App {
  constructor(description, root) {
    this.d = description;
    this.luts = Object.fromEntries(Object.entries(description.luts).map(([name, text]) => [name, lutOf(text)]));
    const [run] = description.runs, group = ["monthly", "annual", "daily", "record"].find(name => run.groups[name]);
    this.s = {run: 0, group, layer: Object.keys(run.groups[group].layers)[0], ending: "", frame: 0, compare: "none", other: description.runs.length > 1 ? 1 : 0, otherFrame: description.runs.length > 1 ? "same" : "others", hatch: true};
    this.s.frame = Math.floor(this.group.frames.length / 2);
    this.fields = new Map(); this.zones = new Map(); this.drawn = [];
    this.root = root;
    this.bar = make("div", {className: "bar-controls"}); this.time = make("div", {className: "time"});
    this.box = make("div", {className: "map"}); this.legends = make("div", {className: "legends"}); this.status = make("div", {className: "status"}); this.status.setAttribute("role", "status");
    this.side = make("aside", {className: "side"}); this.side.setAttribute("aria-live", "polite");
    root.append(make("header", {}, this.title = make("h1"), this.bar), make("main", {}, make("div", {className: "left"}, this.box, this.legends, this.time), this.side));
    this.tiles = new Tiles(description, () => this.map.redraw());
    this.map = new MapCanvas(this.box, description, this.tiles, {pick: (...at) => this.pick(...at), finish: () => this.finish(), drawn: (...now) => this.showStatus(...now)});
    this.box.append(this.status);
    document.addEventListener("keydown", event => this.key(event));
    this.build();
    this.describePanel();
  }
  get run() { return this.d.runs[this.s.run]; }
  get isZones() { return this.s.group === "zone"; }
  get group() { return this.run.groups[this.isZones ? this.zoneGroup : this.s.group]; }
  get zoneGroup() { return ["annual", "monthly", "daily", "record"].find(name => this.run.groups[name]); }
  get variable() { return this.run.zones.find(one => one.name === this.s.variable) ?? this.run.zones[0]; }
  get frames() { return this.group.frames; }
  get layers() { return Object.keys(this.group.layers); }

  // Fields of the map: one, two of a swipe, or a difference.
  field() {
    const {s} = this, look = this.look(s.run);
    if (this.isZones) return [this.zoneField(s.run, s.frame)];
    const mine = this.terms(s.run, s.frame, 1), other = this.otherTerms();
    if (s.compare === "none") return [this.cached(mine, look)];
    if (!other.length) return [this.cached(mine, {...look, note: word("noOther")})];
    if (s.compare === "swipe") return [this.cached(mine, look), this.cached(other, {...look, unsure: other.length === 1 && look.unsure})];
    const apart = [...mine, ...other.map(term => ({...term, weight: -term.weight}))], key = `${s.run}/${s.other}/${s.otherFrame}/${s.group}/${s.layer}${s.ending}`;
    const size = (this.apart ??= new Map()).get(key) ?? look.high / (s.ending ? 2 : 3), name = `${s.layer.replaceAll("_", " ")}${s.ending ? " sd" : ""}`;
    return [this.cached(apart, {...look, low: -size, high: size, lut: this.luts.BrBG_r, unsure: false, title: `${name}: ${this.nameOf(s.run, s.frame)} − ${this.otherName()}`, ends: [word("lower", name), word("higher", name)], note: word("notExact"), scaleKey: key})];
  }
  cached(terms, look) {
    const key = JSON.stringify([terms, look.low, look.high, look.unsure, look.title, look.note, language]);
    let found = latest(this.fields, key);
    if (!found) keep(this.fields, key, found = new Field(this.tiles, terms, look), 24);
    return found;
  }
  terms(run, frame, weight) {
    const {group, layer, ending} = this.s, spec = this.d.runs[run].groups[group]?.layers[layer];
    return spec && spec.scales[ending] !== undefined && frame >= 0 ? [{run, group, array: layer + ending, frame, weight, scale: spec.scales[ending]}] : [];
  }
  otherTerms() {
    const {s} = this, frames = this.d.runs[s.other].groups[s.group]?.frames ?? [];
    if (s.otherFrame !== "others") return this.terms(s.other, s.otherFrame === "same" ? frames.indexOf(this.frames[s.frame]) : +s.otherFrame, 1);
    const of = this.othersOf(this.frames[s.frame]);
    return of.flatMap(i => this.terms(s.other, i, 1 / of.length));
  }
  // Frames of other years, equally whole: a part of a year is not compared with a year.
  othersOf(date) { const {frames} = this.d.runs[this.s.other].groups[this.s.group] ?? {frames: []}; return frames.map((_, i) => i).filter(i => frames[i].slice(0, 4) !== date.slice(0, 4) && frames[i].slice(4) === date.slice(4)); }
  nameOf(run, frame) { return (this.d.runs.length > 1 ? `${this.d.runs[run].name} ` : "") + (this.d.runs[run].groups[this.s.group]?.frames[frame] ?? ""); }
  otherName() {
    const {s} = this, date = this.frames[s.frame], frames = this.d.runs[s.other].groups[s.group]?.frames ?? [];
    if (s.otherFrame !== "others") return this.nameOf(s.other, s.otherFrame === "same" ? frames.indexOf(date) : +s.otherFrame);
    const of = this.othersOf(date);
    return of.length === 1 ? this.nameOf(s.other, of[0]) : word("others");
  }
  look(run) {
    const {group, layer, ending} = this.s, of = this.d.runs.map(one => one.groups[group]?.layers[layer]).filter(Boolean), [spec] = of;
    if (!spec) return {};
    const high = Math.max(...of.map(one => one.ends[ending] ?? 1)), centred = spec.centred && !ending;
    const unsure = this.s.hatch && centred && (spec.scales._q05 !== undefined && spec.scales._q95 !== undefined ? "quantiles" : spec.scales._sd !== undefined && "sd");
    const name = layer.replaceAll("_", " "), what = ending ? "sd" : layer.endsWith("_rising") ? "share" : "mean", ends = ending ? null : ENDS[layer] ?? ENDS[layer.slice(layer.indexOf("_") + 1)];
    return {low: centred ? -high : 0, high, lut: this.luts[ending ? "BuPu" : spec.colours], unsure, units: spec.units, title: `${name}, ${word(what)}`, ends: ends?.map(one => word(one))};
  }
  zoneField(run, frame) {
    const spec = this.variable, label = this.frames[frame].slice(0, 7), key = `${run}/${label.split(",")[0]}/${this.run.zones.indexOf(spec)}`;
    if (!this.zones.has(key)) {
      this.zones.set(key, null);
      this.ask(`zones/${key}`).then(found => { this.zones.set(key, found); this.refresh(); });
    }
    const found = this.zones.get(key)?.zones ?? {}, of = new Map(Object.entries(found).map(([number, one]) => [+number, one.value[0]]));
    const most = roundedUp(Math.max(...[...of.values()].map(Math.abs), 1e-9)), units = this.zones.get(key)?.units ?? "", asked = !this.zones.get(key), name = `zone/${key}/${language}/${of.size}/${asked}`;
    const ends = {NEE: [word("uptake"), word("release")], NBP: [word("loss"), word("gain")]}[spec.name];
    let field = this.fields.get(name);
    if (!field) keep(this.fields, name, field = new ZoneField(this.tiles, [], {run, of, asked, low: spec.centred ? -most : 0, high: most, lut: this.luts[spec.colours], units, title: word("zonesOf", spec.name), ends}), 24);
    return field;
  }
  async ask(address, body) {
    const answer = await fetch(address, body && {method: "POST", headers: {"Content-Type": "application/json"}, body: JSON.stringify(body)});
    if (!answer.ok) { const text = await answer.text(); this.tell(word("failed", text)); throw new Error(text); }
    return answer.json();
  }

  // Controls; rebuilt where their choices change, not where the date does.
  select(label, options, value, act) {
    const list = make("select", {onchange: () => act(list.value)}, ...options.map(([key, textContent, disabled]) => make("option", {value: key, textContent, disabled: !!disabled})));
    list.value = value;
    return make("label", {}, make("span", {textContent: label}), list);
  }
  choice(label, options, value, act) {
    const box = make("span", {className: "choice"}, ...options.map(([key, textContent]) => { const b = make("button", {type: "button", textContent, onclick: () => act(key)}); b.setAttribute("aria-pressed", String(key === value)); return b; }));
    box.setAttribute("role", "group"); box.setAttribute("aria-label", label);
    return box;
  }
  few(label, names, value, act) { return this[names.length > 4 ? "select" : "choice"](label, names.map(name => [name, name.replaceAll("_", " ")]), value, act); }
  button(name, act, more = {}) { return make("button", {type: "button", className: "plain", textContent: word(name), onclick: act, data: {act: name}, ...more}); }
  set(change) { Object.assign(this.s, change); this.build(); if (this.pixel) this.showPixel(); }
  setGroup(group) {
    const label = this.frames[this.s.frame] ?? "";
    this.s.group = group;
    const date = one => one.split(",")[0], near = this.frames.map((_, i) => i).filter(i => date(this.frames[i]).startsWith(date(label)) || label.startsWith(date(this.frames[i])));
    this.set({frame: near.length ? near[Math.floor(near.length / 2)] : Math.floor(this.frames.length / 2)});
  }
  build() {
    const {s, d} = this, spec = () => this.group.layers[s.layer];
    document.documentElement.lang = language;
    this.stop();
    if (this.isZones && !this.run.zones.length) s.group = Object.keys(this.run.groups)[0];
    if (!this.layers.includes(s.layer)) s.layer = this.layers[0];
    if (!(s.ending in spec().scales)) s.ending = "";
    s.frame = Math.min(s.frame, this.frames.length - 1);
    if (s.compare !== "none" && (this.isZones || (d.runs.length < 2 && this.frames.length < 2))) s.compare = "none";
    this.title.textContent = this.run.title || this.run.name;
    this.map.canvas.setAttribute("aria-label", `${this.title.textContent}. ${word("help")}: ?`);
    const groups = Object.keys(this.run.groups).map(name => [name, word(name)]);
    if (d.live && this.run.zones.length) groups.push(["zone", word("zone")]);
    const parts = [];
    if (d.runs.length > 1) parts.push(this.select(word("run"), d.runs.map((run, i) => [i, run.name]), s.run, value => this.set({run: +value})));
    parts.push(this.choice(word("period"), groups, s.group, group => this.setGroup(group)));
    if (this.isZones) parts.push(this.few(word("layer"), this.run.zones.map(one => one.name), this.variable.name, variable => this.set({variable})));
    else {
      parts.push(this.few(word("layer"), this.layers, s.layer, layer => this.set({layer})));
      if ("_sd" in spec().scales) parts.push(this.choice(word("show"), [["", word("value")], ["_sd", word("spread")]], s.ending, ending => this.set({ending})));
      if (d.runs.length > 1 || this.frames.length > 1) {
        parts.push(this.choice(word("compare"), ["none", "swipe", "difference"].map(name => [name, word(name)]), s.compare, compare => this.set({compare})));
        if (s.compare !== "none") parts.push(this.otherControls());
      }
      if (spec().centred && !s.ending && s.compare !== "difference") {
        const box = make("input", {type: "checkbox", checked: s.hatch, onchange: () => this.set({hatch: box.checked})});
        parts.push(make("label", {}, box, word("hatch")));
      }
    }
    const tools = make("span", {className: "tools"}, this.button("whole", () => this.map.whole()));
    if (d.live && this.run.draw) tools.append(...(this.map.corners ? [this.button("finish", () => this.finish()), this.button("cancel", () => this.leave())] : [this.button("draw", () => this.startPolygon())]));
    if (this.drawn.length) tools.append(make("a", {className: "plain", href: "polygons.gpkg", download: "polygons.gpkg", textContent: word("gpkg")}));
    tools.append(this.button("png", () => this.save()), this.button("help", () => this.help()), this.button("language", () => this.translate()));
    this.bar.replaceChildren(...parts, tools);
    this.buildTime();
    this.refresh();
  }
  otherControls() {
    const {s, d} = this, frames = d.runs[s.other].groups[s.group]?.frames ?? [], others = this.frames.some(one => this.othersOf(one).length);
    const common = s.other !== s.run && frames.some(one => this.frames.includes(one));
    if (s.otherFrame === "same" && !common) s.otherFrame = others ? "others" : "0";
    if (s.otherFrame === "others" && !others) s.otherFrame = common ? "same" : "0";
    const options = [["same", word("same"), !common], ["others", word("others"), !others], ...(frames.length <= 120 ? frames.map((one, i) => [i, one]) : [])];
    const box = make("span", {className: "with"});
    if (d.runs.length > 1) box.append(this.select(word("with"), d.runs.map((run, i) => [i, run.name]), s.other, value => this.set({other: +value})));
    box.append(this.select(d.runs.length > 1 ? word("date") : word("with"), options, s.otherFrame, otherFrame => this.set({otherFrame})));
    return box;
  }
  buildTime() {
    const {frames, s} = this;
    this.output = make("output", {textContent: frames[s.frame]});
    this.time.replaceChildren();
    if (frames.length > 1) {
      this.slider = make("input", {type: "range", min: 0, max: frames.length - 1, value: s.frame, oninput: () => this.go(+this.slider.value)});
      this.slider.setAttribute("aria-label", word("date"));
      this.player = make("button", {type: "button", className: "plain play", textContent: "▶", title: word("play"), onclick: () => this.timer ? this.stop() : this.play()});
      this.player.setAttribute("aria-label", word("play"));
      this.time.append(this.player, this.slider);
    }
    this.time.append(this.output);
  }
  go(frame) {
    this.s.frame = Math.min(Math.max(frame, 0), this.frames.length - 1);
    if (this.slider) this.slider.value = this.s.frame;
    this.output.textContent = this.frames[this.s.frame];
    this.refresh();
    if (this.pixel) this.showPixel();
  }
  // The next date is shown when its tiles are there, so that a slow disk skips none.
  play() {
    this.player.textContent = "⏸";
    this.timer = setInterval(() => { if (!this.tiles.loading) this.go((this.s.frame + 1) % this.frames.length); }, 500);
  }
  stop() { clearInterval(this.timer); this.timer = null; if (this.player) this.player.textContent = "▶"; }

  refresh() {
    if (!this.map) return;
    this.map.sides = this.field();
    if (this.s.compare === "swipe" && this.map.sides.length > 1) {
      this.map.sides[0].heading = this.nameOf(this.s.run, this.s.frame); this.map.sides[1].heading = this.otherName();
    }
    this.legends.replaceChildren(legend(this.map.sides[0]));
    if (this.map.sides.length > 1) this.legends.prepend(make("div", {className: "heads"}, ...this.map.sides.map(side => make("b", {textContent: side.heading}))));
    this.map.redraw();
  }
  // A difference gets its scale from what is seen of it first.
  settleScale(field) {
    const tiles = [];
    this.map.eachTile(0, this.map.wide, place => tiles.push(field.values(place.join("/"))));
    if (!tiles.length || tiles.some(tile => !tile)) return;
    const sample = tiles.flatMap(tile => [...tile.filter((v, i) => i % 37 === 0 && v === v)]).map(Math.abs).sort((a, b) => a - b), top = sample[Math.floor(sample.length * .98)] || field.high;
    this.apart.set(field.scaleKey, roundedUp(top));
    this.refresh();
  }
  showStatus(level, loading) {
    const metres = this.d.grid.pixel * 2 ** level, [field] = this.map.sides;
    if (field.scaleKey && !this.apart.has(field.scaleKey) && !loading) this.settleScale(field);
    const unhatched = field.unsure && !field.isHatched(`${level}/0/0`) ? ` · ${word("zoomIn")}` : "";
    const text = loading ? word("loading", loading) : level ? word("overview", 2 ** level, metres) + unhatched : word("exact", metres), bar = niceLength(this.map.wide / this.map.view.s * this.d.grid.pixel / 5);
    if (this.said === text + bar + this.map.view.s) return;
    this.said = text + bar + this.map.view.s;
    const rule = make("i", {className: "rule"});
    rule.style.width = `${bar / this.d.grid.pixel * this.map.view.s}px`;
    this.status.replaceChildren(make("span", {textContent: text}), make("span", {}, rule, lengthOf(bar)));
    this.status.dataset.loading = loading;
  }

  // Panel.
  tell(text) { this.side.replaceChildren(make("p", {className: "note", textContent: text})); }
  describePanel() {
    this.pixel = null;
    const {run} = this, lines = [word("click"), this.d.live ? null : word("offline"), run.state && run.state !== "done" ? word("incomplete") : null, run.spread ? `${word("spreadOf", run.spread)}${run.meaning ? `: ${run.meaning}` : ""}` : null, word("sign") + ".", run.credit ? word("credit", run.credit) : null];
    this.side.replaceChildren(...lines.filter(Boolean).map(textContent => make("p", {className: "note", textContent})), ...this.drawnBlocks());
  }
  async pick(column, row, n) {
    const {grid} = this.d;
    if (column < 0 || row < 0 || column >= grid.width || row >= grid.height) return;
    const run = n && this.s.compare === "swipe" ? this.s.other : this.s.run, at = this.map.picked = [column, row];
    this.map.redraw();
    this.tell(word("reading"));
    const found = this.d.live ? await this.ask(`pixel/${run}/${row}/${column}`) : await this.pixelOfTiles(run, row, column);
    if (this.map.picked !== at) return;
    this.pixel = {...found, run, row, column};
    this.showPixel();
  }
  // Of a static page: the series of its finest tiles.
  async pixelOfTiles(run, row, column) {
    const {side} = this.d, level = this.d.finest ?? 0, [y, x] = [row >> level, column >> level], place = `${level}/${Math.floor(y / side)}/${Math.floor(x / side)}`, index = (y % side) * side + x % side, series = {};
    for (const [group, {frames, layers}] of Object.entries(this.d.runs[run].groups)) {
      series[group] = {};
      for (const [layer, spec] of Object.entries(layers)) {
        series[group][layer] = {};
        for (const [ending, scale] of Object.entries(spec.scales)) if (ending !== "_q50") try {
          series[group][layer][ending] = await Promise.all(frames.map(async (_, i) => { const v = (await this.tiles.unpacked(`${run}/${group}/${layer}${ending}/${i}/${place}`))[index]; return v === MISSING ? null : v * scale; }));
        } catch { delete series[group][layer][ending]; }
      }
    }
    return {series, zone: null};
  }
  showPixel() {
    const {pixel, s, d} = this, run = d.runs[pixel.run], group = this.isZones ? this.zoneGroup : s.group, {grid} = d;
    const place = `x ${Math.round(grid.west + (pixel.column + .5) * grid.pixel)} m, y ${Math.round(grid.north - (pixel.row + .5) * grid.pixel)} m · ${word("row", pixel.row, pixel.column)}`;
    const parts = [make("h2", {textContent: d.runs.length > 1 ? `${word("pixel")} · ${run.name}` : word("pixel")}), make("p", {className: "note", textContent: place})];
    const series = pixel.series[group] ?? {}, layers = Object.keys(series).filter(name => series[name][""]), known = layers.some(name => series[name][""].some(v => v !== null));
    const frame = pixel.run === s.run ? s.frame : (run.groups[group]?.frames ?? []).indexOf(this.frames[s.frame]);
    if (!known) parts.push(make("p", {textContent: word("nothing")}));
    else {
      for (const name of layers) {
        const of = series[name], value = of[""][frame], spec = run.groups[group].layers[name], digits = digitsOf(spec.ends[""] ?? Math.abs(value));
        const band = value === null || value === undefined ? "–" : of._q05 ? `${signed(of._q05[frame], digits)} … ${signed(of._q95[frame], digits)}` : of._sd ? `± ${signed(of._sd[frame], digits)}` : "";
        parts.push(make("p", {className: "value", data: {layer: name, value: value ?? ""}}, make("b", {textContent: `${name.replaceAll("_", " ")} ${value === null || value === undefined ? "–" : signed(value, digits)}`}), ` ${band} ${spec.units === "1" ? "" : raised(spec.units)} · ${run.groups[group].frames[frame] ?? ""}`));
        if (group !== "record") parts.push(chart(run.groups[group].frames, of, spec.units, TONES[name.split("_")[0]] ?? "--accent", frame, name.replaceAll("_", " ")));
      }
      parts.push(make("p", {className: "note", textContent: word(series[layers[0]]._q05 ? "band" : "bandSd")}));
    }
    const zone = pixel.zone?.rows.length ? budgetBlock(word("zoneOf", pixel.zone.name), pixel.zone, this.frames[s.frame].slice(0, 7)) : d.live ? make("p", {className: "note", textContent: word("noZone")}) : null;
    if (zone) parts[this.isZones ? "unshift" : "push"](zone);
    this.side.replaceChildren(...parts, ...this.drawnBlocks());
  }

  // Polygons.
  startPolygon() { this.map.corners = []; this.build(); this.tell(word("drawHint")); this.map.redraw(); }
  leave() { this.map.corners = null; this.build(); this.describePanel(); this.map.redraw(); }
  async finish() {
    const {corners} = this.map, {grid} = this.d, run = this.s.run;
    if (!corners) return;
    if (corners.length < 3) return this.leave();
    this.map.corners = null;
    const sent = corners.map(([x, y]) => [grid.west + x * grid.pixel, grid.north - y * grid.pixel]);
    this.tell(word("reading"));
    this.build();
    const other = this.s.compare !== "none" && this.s.other !== run ? this.s.other : null, {number} = await this.ask("polygon", {run, other, corners: sent}), one = {number, run, corners, found: null};
    this.drawn.push(one);
    this.map.polygons.push({corners, name: String(number + 1)});
    this.build();
    while (!one.found || one.found.state === "working") {
      one.found = await this.ask(`polygon/${number}`);
      this.pixel = null; this.map.picked = null;
      this.side.replaceChildren(...this.drawnBlocks());
      if (one.found.state === "working") await new Promise(done => setTimeout(done, 400));
    }
    this.map.redraw();
  }
  drawnBlocks() {
    return this.drawn.filter(one => one.found).toReversed().map(({number, run, found}) => {
      const title = word("polygon", number + 1) + (this.d.runs.length > 1 ? ` · ${this.d.runs[run].name}` : "");
      if (found.state === "done") {
        const block = budgetBlock(title, found, this.frames[this.s.frame].slice(0, 7));
        block.dataset.polygon = number;
        if (found.apart.length) block.append(make("h4", {textContent: `${this.d.runs[run].name} − ${this.d.runs[found.other].name}`}), budget(found.apart), make("p", {className: "note", textContent: word("paired")}));
        if (found.note) block.append(make("p", {className: "note", textContent: found.note}));
        return block;
      }
      const text = found.state === "refused" ? word("failed", found.error) : word("working", found.done, found.total || "…");
      return make("section", {}, make("h3", {textContent: title}), make("p", {className: "note", textContent: text}));
    });
  }

  async save() {
    const {run, s} = this, lines = [run.title || run.name, `${this.isZones ? this.frames[s.frame] : this.nameOf(s.run, s.frame)}${this.map.sides.length > 1 ? ` | ${this.otherName()}` : ""}`, [word("sign"), run.credit && word("credit", run.credit)].filter(Boolean).join(" · ")];
    this.map.draw();
    const blob = await picture(this.map, this.map.sides.slice(0, 1), lines, this.d.grid.pixel), link = make("a", {href: URL.createObjectURL(blob), download: `${s.layer}${s.ending}_${this.frames[s.frame].split(",")[0]}.png`});
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 1000);
  }
  help() {
    const box = make("dialog", {}, make("h2", {textContent: word("help")}), make("dl", {}, ...WORDS[language].keys.flatMap(([key, text]) => [make("dt", {textContent: key}), make("dd", {textContent: text})])));
    box.append(make("button", {type: "button", className: "plain", textContent: word("close"), onclick: () => box.close()}));
    box.onclose = () => box.remove();
    document.body.append(box); box.showModal();
  }
  translate() { language = language === "en" ? "fr" : "en"; this.said = ""; this.build(); if (this.pixel) this.showPixel(); else if (this.map.corners) this.tell(word("drawHint")); else this.describePanel(); }

  key(event) {
    document.body.classList.add("keys");
    if (event.ctrlKey || event.metaKey || event.altKey || document.querySelector("dialog[open]") || ["SELECT", "TEXTAREA"].includes(event.target.tagName)) return;
    const typed = event.target.tagName, onControl = typed === "BUTTON" || typed === "A" || typed === "INPUT", {map, s} = this, step = 80;
    const acts = {
      ArrowLeft: () => map.pan(step, 0), ArrowRight: () => map.pan(-step, 0), ArrowUp: () => map.pan(0, step), ArrowDown: () => map.pan(0, -step),
      "+": () => map.zoom(1.5), "=": () => map.zoom(1.5), "-": () => map.zoom(1 / 1.5), 0: () => map.whole(), ",": () => this.go(s.frame - 1), ".": () => this.go(s.frame + 1),
      " ": () => this.player && (this.timer ? this.stop() : this.play()), Enter: () => map.clicked(), Escape: () => map.corners ? this.leave() : (map.picked = null, this.describePanel(), map.redraw()),
      p: () => this.d.live && this.run.draw && (map.corners ? this.finish() : this.startPolygon()), h: () => this.set({hatch: !s.hatch}), u: () => "_sd" in this.group.layers[s.layer].scales && this.set({ending: s.ending ? "" : "_sd"}),
      y: () => this.run.groups.annual && this.setGroup("annual"), m: () => this.run.groups.monthly && this.setGroup("monthly"), d: () => this.run.groups.daily && this.setGroup("daily"), t: () => this.run.groups.record && this.setGroup("record"),
      c: () => this.set({compare: {none: "swipe", swipe: "difference", difference: "none"}[s.compare]}), "[": () => map.swipe(map.split - .03), "]": () => map.swipe(map.split + .03), s: () => this.save(), l: () => this.translate(), "?": () => this.help(),
    };
    const act = /^[1-9]$/.test(event.key) ? () => this.layers[event.key - 1] && this.set({layer: this.layers[event.key - 1]}) : acts[event.key];
    if (!act || (onControl && [" ", "Enter", "ArrowLeft", "ArrowRight", "ArrowUp", "ArrowDown"].includes(event.key))) return;
    event.preventDefault(); act();
  }
}
window.viewer = new App(JSON.parse(document.getElementById("description").textContent), document.getElementById("app"));
