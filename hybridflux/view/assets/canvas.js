"use strict";
// The map: pan, zoom, swipe, hatching, polygons. Coordinates are pixels of the grid; what lies outside of the grid is empty.
class MapCanvas {
  constructor(element, description, tiles, act) {
    Object.assign(this, {element, d: description, tiles, act, sides: [], split: .5, swiping: false, corners: null, polygons: [], picked: null, pointers: new Map(), frames: []});
    this.canvas = document.createElement("canvas");
    this.canvas.tabIndex = 0;
    this.canvas.setAttribute("role", "application");
    element.append(this.canvas);
    this.context = this.canvas.getContext("2d");
    this.over = document.createElement("canvas");
    new ResizeObserver(() => this.resize()).observe(element);
    for (const kind of ["pointerdown", "pointermove", "pointerup", "pointercancel"]) this.canvas.addEventListener(kind, event => this[kind](event));
    this.canvas.addEventListener("wheel", event => { event.preventDefault(); this.zoom(2 ** (-event.deltaY / (event.ctrlKey ? 100 : 400)), event.offsetX, event.offsetY); }, {passive: false});
    this.canvas.addEventListener("dblclick", event => this.corners ? this.act.finish() : this.zoom(2, event.offsetX, event.offsetY));
  }
  get wide() { return this.element.clientWidth; }
  get tall() { return this.element.clientHeight; }
  resize() {
    const dpr = this.dpr = window.devicePixelRatio || 1;
    this.canvas.width = Math.max(1, Math.round(this.wide * dpr)); this.canvas.height = Math.max(1, Math.round(this.tall * dpr));
    if (!this.view || this.view.whole) this.whole(); else this.redraw();
  }
  whole() {
    const {width, height} = this.d.grid;
    this.view = {x: width / 2, y: height / 2, s: Math.min(this.wide / width, this.tall / height) * .94 || 1, whole: true};
    this.redraw();
  }
  limit() {
    const v = this.view, {width, height} = this.d.grid, least = Math.min(this.wide / width, this.tall / height) / 4;
    v.s = Math.min(Math.max(v.s, Math.min(least, 1)), 60); v.x = Math.min(Math.max(v.x, 0), width); v.y = Math.min(Math.max(v.y, 0), height); v.whole = false;
  }
  pan(dx, dy) { this.view.x -= dx / this.view.s; this.view.y -= dy / this.view.s; this.limit(); this.redraw(); }
  zoom(factor, x = this.wide / 2, y = this.tall / 2) {
    const [gx, gy] = this.toGrid(x, y);
    this.view.s *= factor; this.limit();
    this.view.x = gx - (x - this.wide / 2) / this.view.s; this.view.y = gy - (y - this.tall / 2) / this.view.s;
    this.limit(); this.redraw();
  }
  toGrid(x, y) { return [this.view.x + (x - this.wide / 2) / this.view.s, this.view.y + (y - this.tall / 2) / this.view.s]; }
  toScreen(x, y) { return [(x - this.view.x) * this.view.s + this.wide / 2, (y - this.view.y) * this.view.s + this.tall / 2]; }
  get level() { return Math.min(Math.max(Math.floor(Math.log2(1 / (this.view.s * this.dpr)) + .15), this.d.finest ?? 0), this.d.levels - 1); }

  pointerdown(event) {
    document.body.classList.remove("keys");
    this.canvas.setPointerCapture(event.pointerId); this.canvas.focus({preventScroll: true});
    this.pointers.set(event.pointerId, [event.offsetX, event.offsetY]); this.moved = this.pointers.size > 1;
    this.swiping = this.sides.length > 1 && this.pointers.size === 1 && Math.abs(event.offsetX - this.split * this.wide) < 14;
  }
  pointermove(event) {
    const before = this.pointers.get(event.pointerId), now = [event.offsetX, event.offsetY];
    if (!before) { this.canvas.style.cursor = this.sides.length > 1 && Math.abs(now[0] - this.split * this.wide) < 14 ? "ew-resize" : this.corners ? "crosshair" : "default"; return; }
    if (this.swiping) { this.moved = true; return this.swipe(now[0] / this.wide); }
    const others = [...this.pointers].filter(([id]) => id !== event.pointerId).map(([, at]) => at);
    if (others.length) {
      const [other] = others, apart = at => Math.hypot(at[0] - other[0], at[1] - other[1]) || 1;
      this.zoom(apart(now) / apart(before), (now[0] + other[0]) / 2, (now[1] + other[1]) / 2);
      this.pan((now[0] - before[0]) / 2, (now[1] - before[1]) / 2);
    } else if (this.moved || Math.hypot(now[0] - before[0], now[1] - before[1]) > 4) { this.moved = true; this.pan(now[0] - before[0], now[1] - before[1]); } else return;
    this.pointers.set(event.pointerId, now);
  }
  pointerup(event) {
    const alone = this.pointers.size === 1;
    if (this.pointers.delete(event.pointerId) && alone && !this.moved) this.clicked(event.offsetX, event.offsetY);
    this.swiping = false;
  }
  pointercancel(event) { this.pointers.delete(event.pointerId); this.swiping = false; }
  clicked(x = this.wide / 2, y = this.tall / 2) {
    const [gx, gy] = this.toGrid(x, y);
    if (this.corners) {
      const last = this.corners.at(-1);
      if (!last || Math.hypot(last[0] - gx, last[1] - gy) * this.view.s > 3) this.corners.push([gx, gy]);
      return this.redraw();
    }
    this.act.pick(Math.floor(gx), Math.floor(gy), this.sides.length > 1 && x > this.split * this.wide ? 1 : 0);
  }
  swipe(share) { this.split = Math.min(Math.max(share, .02), .98); this.redraw(); }

  redraw() { if (!this.asked) { this.asked = true; requestAnimationFrame(time => { this.asked = false; this.draw(); this.count(time); }); } }
  count(time) { this.frames.push(time); if (this.frames.length > 240) this.frames.shift(); }
  draw() {
    const {context, dpr} = this;
    if (!this.view || !this.sides.length) return;
    this.tiles.begin();
    context.setTransform(dpr, 0, 0, dpr, 0, 0);
    context.fillStyle = getComputedStyle(this.element).getPropertyValue("--beyond"); context.fillRect(0, 0, this.wide, this.tall);
    const [left, top] = this.toScreen(0, 0), {width, height} = this.d.grid;
    context.fillStyle = getComputedStyle(this.element).getPropertyValue("--missing"); context.fillRect(left, top, width * this.view.s, height * this.view.s);
    const cut = this.split * this.wide;
    this.sides.forEach((field, n) => this.drawField(context, field, this.sides.length < 2 ? [0, this.wide] : n ? [cut, this.wide] : [0, cut]));
    if (this.sides.length > 1) this.drawSplit(cut);
    this.drawPolygons();
    this.drawPicked();
    this.act.drawn(this.level, this.tiles.loading);
  }
  drawField(context, field, [from, to]) {
    context.save();
    context.beginPath(); context.rect(from, 0, to - from, this.tall); context.clip();
    this.eachTile(from, to, (place, x, y, size) => this.put(context, field, place, x, y, size, p => field.canvas(p)));
    if (field.isHatched(`${this.level}/0/0`)) this.hatch(context, field, from, to);
    context.restore();
  }
  hatch(context, field, from, to) {
    const {over, dpr} = this;
    over.width = this.canvas.width; over.height = this.canvas.height;
    const drawn = over.getContext("2d");
    drawn.setTransform(dpr, 0, 0, dpr, 0, 0);
    this.eachTile(from, to, (place, x, y, size) => this.put(drawn, field, place, x, y, size, p => field.mask(p)));
    drawn.globalCompositeOperation = "source-in";
    drawn.setTransform(1, 0, 0, 1, 0, 0);
    drawn.fillStyle = drawn.createPattern(this.pattern ??= this.stripes(), "repeat"); drawn.fillRect(0, 0, over.width, over.height);
    context.setTransform(1, 0, 0, 1, 0, 0); context.drawImage(over, 0, 0); context.setTransform(dpr, 0, 0, dpr, 0, 0);
  }
  stripes() {
    const size = Math.round(6 * this.dpr), tile = new OffscreenCanvas(size, size), c = tile.getContext("2d");
    c.lineWidth = Math.max(1, this.dpr * .9); c.strokeStyle = "rgba(20, 20, 20, .62)";
    c.beginPath();
    for (const at of [-size, 0, size]) { c.moveTo(at, size); c.lineTo(at + size, 0); }
    c.stroke();
    return tile;
  }
  eachTile(from, to, put) {
    const level = this.level, reach = this.d.side * 2 ** level, {width, height} = this.d.grid, [x0, y0] = this.toGrid(from, 0), [x1, y1] = this.toGrid(to, this.tall);
    const first = [Math.max(0, Math.floor(y0 / reach)), Math.max(0, Math.floor(x0 / reach))], last = [Math.min(Math.ceil(height / reach), Math.ceil(y1 / reach)), Math.min(Math.ceil(width / reach), Math.ceil(x1 / reach))];
    const places = [];
    for (let row = first[0]; row < last[0]; row++) for (let column = first[1]; column < last[1]; column++) places.push([row, column]);
    const middle = [this.view.y / reach - .5, this.view.x / reach - .5], far = ([row, column]) => (row - middle[0]) ** 2 + (column - middle[1]) ** 2;
    places.sort((a, b) => far(b) - far(a)); // the last one that is asked for is fetched first
    for (const [row, column] of places) { const [x, y] = this.toScreen(column * reach, row * reach); put([level, row, column], x, y, reach * this.view.s); }
  }
  put(context, field, [level, row, column], x, y, size, canvasOf) {
    const {side} = this.d;
    context.imageSmoothingEnabled = size / side * this.dpr < 1;
    const here = canvasOf(`${level}/${row}/${column}`);
    if (here) return context.drawImage(here, x, y, size, size);
    if (context !== this.context) return;
    for (let up = 1; level + up < this.d.levels; up++) { // a coarser tile stands in for one that is not there yet
      const coarse = field.canvases.get(`${level + up}/${row >> up}/${column >> up}`), part = side / 2 ** up;
      if (coarse) return context.drawImage(coarse, (column % 2 ** up) * part, (row % 2 ** up) * part, part, part, x, y, size, size);
    }
  }
  drawSplit(x) {
    const {context} = this;
    context.fillStyle = "#fff"; context.strokeStyle = "#222"; context.lineWidth = 1;
    context.fillRect(x - 1.5, 0, 3, this.tall);
    context.beginPath(); context.arc(x, this.tall / 2, 13, 0, 7); context.fill(); context.stroke();
    context.fillStyle = "#222"; context.font = "14px sans-serif"; context.textAlign = "center"; context.textBaseline = "middle"; context.fillText("↔", x, this.tall / 2);
  }
  drawPolygons() {
    const {context} = this, all = this.polygons.map(one => [one.corners, true, one.name]);
    if (this.corners) all.push([this.corners, false, ""]);
    for (const [corners, closed, name] of all) {
      context.beginPath();
      corners.forEach((at, i) => context[i ? "lineTo" : "moveTo"](...this.toScreen(...at)));
      if (closed) context.closePath();
      context.lineWidth = 4; context.strokeStyle = "#fff"; context.stroke();
      context.lineWidth = 2; context.strokeStyle = "#b0127b"; context.stroke();
      if (!closed) for (const at of corners) { const [x, y] = this.toScreen(...at); context.fillStyle = "#b0127b"; context.fillRect(x - 3, y - 3, 6, 6); }
      if (closed) this.label(name, ...this.toScreen(...corners.reduce((a, b) => b[1] < a[1] ? b : a)));
    }
  }
  label(text, x, y) {
    const {context} = this;
    context.font = "600 12px sans-serif"; context.textAlign = "center"; context.textBaseline = "bottom"; context.lineWidth = 3; context.strokeStyle = "#fff"; context.fillStyle = "#8a0d60";
    context.strokeText(text, x, y - 4); context.fillText(text, x, y - 4);
  }
  drawPicked() {
    if (!this.picked) return;
    const {context} = this, [x, y] = this.toScreen(this.picked[0] + .5, this.picked[1] + .5), r = Math.max(this.view.s / 2, 5);
    for (const [width, colour] of [[4, "#fff"], [2, "#111"]]) { context.lineWidth = width; context.strokeStyle = colour; context.strokeRect(x - r, y - r, 2 * r, 2 * r); }
  }
}
