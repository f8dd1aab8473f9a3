"use strict";
// Tiles: where they come from (the server, or files beside the page), what is kept of them, and their colours.
const MISSING = -32768, KEPT = 500, CANVASES = 260, AT_ONCE = 6, SLOW_AT_ONCE = 3, QUICK = 2, BLOCK = 32;
const bytesOf = text => Uint8Array.from(atob(text), c => c.charCodeAt(0));
const latest = (map, key) => { const found = map.get(key); if (found !== undefined) { map.delete(key); map.set(key, found); } return found; };
const keep = (map, key, value, most) => { map.set(key, value); while (map.size > most) map.delete(map.keys().next().value); };

const arrived = new Map(); // of a static page: name of a file of tiles -> what waits for it
function hybridfluxTiles(name, text) { arrived.get(name)?.(text); }

class Tiles {
  constructor(description, changed) {
    Object.assign(this, {side: description.side, live: description.live, changed, kept: new Map(), blocks: new Map(), failed: new Set(), waiting: new Map(), runs: description.runs});
  }
  // A tile that is there, else null, and then it is asked for. `key` is run/group/array/frame/level/row/column.
  get(key) {
    const found = latest(this.kept, key);
    if (found) return found;
    if (!this.failed.has(key) && !this.waiting.has(key)) { this.waiting.set(key, {}); queueMicrotask(() => this.next()); }
    const entry = this.waiting.get(key);
    if (entry) entry.wanted = this.turn;
    return null;
  }
  // What is wanted is asked for anew in each turn; what was not is forgotten before it is sent.
  begin() { this.turn = (this.turn ?? 0) + 1; }
  next() {
    for (const [key, entry] of this.waiting) if (entry.wanted < this.turn - 1) { entry.stop?.abort(); this.waiting.delete(key); }
    const sent = [...this.waiting].filter(([, entry]) => entry.stop);
    let [all, slow] = [sent.length, sent.filter(([key]) => this.isSlow(key)).length];
    for (const [key, entry] of [...this.waiting].filter(([, entry]) => !entry.stop).reverse()) {
      if (all >= AT_ONCE) return;
      if (this.isSlow(key) && slow++ >= SLOW_AT_ONCE) continue;
      all++; entry.stop = new AbortController();
      (this.live ? this.fetched(key, entry.stop.signal) : this.unpacked(key))
        .then(values => keep(this.kept, key, values, KEPT), () => entry.stop.signal.aborted || this.failed.add(key))
        .finally(() => { if (this.waiting.get(key) === entry) this.waiting.delete(key); this.changed(); this.next(); });
    }
  }
  // Whether many tiles of full resolution must be read for one: no overview is there yet, as far as the page knows.
  isSlow(key) {
    const [run, group, array, , level] = key.split("/"), ending = array.match(/_(sd|q\d\d)$/)?.[0] ?? "";
    return level > QUICK && level > (this.runs[run].groups[group]?.layers[array.slice(0, array.length - ending.length)]?.ready[ending] ?? 0);
  }
  async fetched(key, signal) {
    const answer = await fetch(`tile/${key}`, {signal});
    if (!answer.ok) throw new Error(await answer.text());
    const content = await answer.arrayBuffer();
    return content.byteLength === 4 * this.side ** 2 ? new Int32Array(content) : new Int16Array(content);
  }
  async unpacked(key) {
    const [run, group, array, frame, ...place] = key.split("/"), name = [run, group, array, ...place, Math.floor(frame / BLOCK)].join("_");
    if (!this.blocks.has(name)) {
      keep(this.blocks, name, new Promise((good, bad) => {
        arrived.set(name, good);
        document.head.append(Object.assign(document.createElement("script"), {src: `tiles/${name}.js`, onerror: bad}));
      }).then(async text => new Int16Array(await new Response(new Blob([bytesOf(text)]).stream().pipeThrough(new DecompressionStream("deflate"))).arrayBuffer())), 12);
    }
    const block = await this.blocks.get(name), size = this.side ** 2, at = (frame % BLOCK) * size;
    return block.slice(at, at + size);
  }
  get loading() { return [...this.waiting.values()].filter(entry => entry.wanted >= this.turn).length; }
}

// What a map shows: a weighted sum of arrays (one array; the mean of some; a difference), or numbers of zones that stand for values.
class Field {
  // terms: [{run, group, array, frame, weight, scale}]
  constructor(tiles, terms, look) { Object.assign(this, {tiles, terms, canvases: new Map()}, look); }
  keysAt(place, ending = "") { return this.terms.map(t => `${t.run}/${t.group}/${t.array}${ending}/${t.frame}/${place}`); }
  // Values of a tile as numbers, NaN where missing; null while it is loading.
  values(place, ending = "") {
    const parts = this.keysAt(place, ending).map(key => this.tiles.get(key));
    if (parts.some(part => !part)) return null;
    const out = new Float32Array(parts[0].length);
    for (let n = 0; n < parts.length; n++) {
      const part = parts[n], factor = this.terms[n].weight * this.terms[n].scale;
      for (let i = 0; i < out.length; i++) out[i] += part[i] === MISSING ? NaN : part[i] * factor;
    }
    return out;
  }
  value(place, index) { return this.values(place)?.[index]; }
  canvas(place) {
    const found = latest(this.canvases, place);
    if (found) return found;
    const values = this.values(place);
    if (!values) return null;
    const {side} = this.tiles, canvas = new OffscreenCanvas(side, side), context = canvas.getContext("2d"), image = context.createImageData(side, side);
    const words = new Uint32Array(image.data.buffer), {lut, low, high} = this, factor = 255 / (high - low);
    for (let i = 0; i < words.length; i++) {
      const v = values[i];
      if (v === v) words[i] = lut[v <= low ? 0 : v >= high ? 255 : Math.round((v - low) * factor)];
    }
    context.putImageData(image, 0, 0);
    keep(this.canvases, place, canvas, CANVASES);
    return canvas;
  }
  // Of an overview that would have to be made of the whole map first, the sign is not asked.
  isHatched(place) { return this.unsure && !(this.unsure === "quantiles" && this.keysAt(place, "_q05").some(key => this.tiles.isSlow(key))); }
  // Where the sign is not sure, opaque; null while it is loading or where it is not asked.
  mask(place) {
    if (!this.isHatched(place)) return null;
    this.masks ??= new Map();
    const found = latest(this.masks, place);
    if (found) return found;
    const [low, high] = this.unsure === "sd" ? [this.values(place), this.values(place, "_sd")] : [this.values(place, "_q05"), this.values(place, "_q95")];
    if (!low || !high) return null;
    const {side} = this.tiles, canvas = new OffscreenCanvas(side, side), context = canvas.getContext("2d"), image = context.createImageData(side, side);
    for (let i = 0; i < low.length; i++)
      if (this.unsure === "sd" ? Math.abs(low[i]) < 1.645 * high[i] : low[i] < 0 && high[i] > 0) image.data[4 * i + 3] = 255;
    context.putImageData(image, 0, 0);
    keep(this.masks, place, canvas, CANVASES);
    return canvas;
  }
}

class ZoneField extends Field {
  // look.values: Map of the number of a zone -> value
  keysAt(place) { return [`${this.run}/zone/zone/0/${place}`]; }
  numbers(place) { return this.tiles.get(this.keysAt(place)[0]); }
  values(place) {
    const numbers = this.numbers(place);
    return numbers && Float32Array.from(numbers, number => this.of.get(number) ?? NaN);
  }
  canvas(place) {
    const before = this.canvases.get(place), canvas = super.canvas(place), numbers = this.numbers(place), {side} = this.tiles;
    if (!canvas || before || !numbers) return canvas;
    const context = canvas.getContext("2d");
    context.fillStyle = "rgba(40, 40, 40, .75)";
    for (let y = 0; y < side - 1; y++) for (let x = 0; x < side - 1; x++) {
      const i = y * side + x;
      if (numbers[i] && [numbers[i + 1], numbers[i + side]].some(next => next && next !== numbers[i])) context.fillRect(x, y, 1, 1);
    }
    return canvas;
  }
}

const lutOf = text => { const rgb = bytesOf(text); return Uint32Array.from({length: 256}, (_, i) => (255 << 24 | rgb[3 * i + 2] << 16 | rgb[3 * i + 1] << 8 | rgb[3 * i]) >>> 0); };
