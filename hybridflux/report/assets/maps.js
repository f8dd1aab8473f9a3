"use strict";
// Map viewer: frames are bytes (0-254 from lo to hi, 255 = outside), deflated and in base64. Nothing is loaded from elsewhere.
(() => {
  const OUTSIDE = 255, LEVELS = 254;
  const bytes = text => Uint8Array.from(atob(text), c => c.charCodeAt(0));
  const inflate = async text =>
    new Uint8Array(await new Response(new Blob([bytes(text)]).stream().pipeThrough(new DecompressionStream("deflate"))).arrayBuffer());
  const make = (tag, props = {}, ...children) => { const e = Object.assign(document.createElement(tag), props); e.append(...children); return e; };
  const signed = (v, digits) => (Math.abs(v) < 0.5 * 10 ** -digits ? 0 : v).toFixed(digits).replace("-", "\u2212");

  class Panel {
    constructor(spec, luts) {
      Object.assign(this, spec);
      this.colours = bytes(luts[spec.lut]);
      this.canvas = make("canvas");
      this.ring = make("i");
      this.box = make("div", {className: "canvas"}, this.canvas, this.ring);
      const stops = Array.from({length: 17}, (_, i) => `rgb(${this.colours.slice(3 * Math.round(i * 255 / 16), 3 * Math.round(i * 255 / 16) + 3).join(",")})`);
      const bar = make("div", {className: "bar"});
      bar.style.background = `linear-gradient(to right, ${stops.join(",")})`;
      const ticks = make("div", {className: "ticks"}, ...[0, .25, .5, .75, 1].map(f => make("span", {textContent: signed(this.lo + f * (this.hi - this.lo), this.digits)})));
      this.element = make("figure", {className: "panel"}, make("h4", {innerHTML: spec.title}), this.box, bar, ticks);
      if (spec.ends) this.element.append(make("div", {className: "ends"}, ...spec.ends.map(text => make("span", {textContent: text}))));
    }
    async load() { this.values ??= await inflate(this.data); }
    at(i) { const b = this.values[i]; return b === OUTSIDE ? NaN : this.lo + b / LEVELS * (this.hi - this.lo); }
  }

  class Viewer {
    constructor(root) {
      this.spec = JSON.parse(document.getElementById(root.dataset.source).textContent);
      this.group = Math.max(0, this.spec.groups.findIndex(g => g.id === this.spec.first));
      this.layer = this.spec.groups[this.group].layers[0].name;
      this.frame = this.spec.frame ?? 0;
      this.masked = true;
      this.picked = null;
      this.controls = make("div", {className: "controls"});
      this.panelBox = make("div", {className: "panels"});
      this.readout = make("p", {className: "readout"});
      this.series = make("div", {className: "series"});
      root.replaceChildren(this.controls, this.panelBox, this.readout, this.series);
      this.build();
    }
    get g() { return this.spec.groups[this.group]; }

    choice(labels, pressed, act) {
      const box = make("span", {className: "choice"});
      labels.forEach((label, i) => {
        const button = make("button", {type: "button", textContent: label, onclick: () => act(i)});
        button.setAttribute("aria-pressed", String(i === pressed));
        box.append(button);
      });
      return box;
    }

    async build() {
      const {g} = this, names = g.layers.map(l => l.name);
      if (!names.includes(this.layer)) this.layer = names[0];
      this.stop();
      this.frame = Math.min(this.frame, g.frames.length - 1);
      this.controls.replaceChildren();
      if (names.length > 1) this.controls.append(this.choice(names, names.indexOf(this.layer), i => { this.layer = names[i]; this.build(); }));
      if (this.spec.groups.length > 1)
        this.controls.append(this.choice(this.spec.groups.map(s => s.label), this.group, i => {
          const old = this.g; this.group = i; this.picked = null; this.frame = this.nearest(old.frames[this.frame]); this.build();
        }));
      this.output = make("output", {textContent: g.frames[this.frame]});
      if (g.frames.length > 1) {
        this.slider = make("input", {type: "range", min: 0, max: g.frames.length - 1, value: this.frame, oninput: () => this.go(+this.slider.value)});
        this.slider.setAttribute("aria-label", "date");
        this.button = make("button", {type: "button", className: "play", textContent: "\u25B6", title: "play", onclick: () => this.timer ? this.stop() : this.play()});
        this.controls.append(this.button, this.slider);
      }
      this.controls.append(this.output);
      const layer = g.layers.find(l => l.name === this.layer);
      this.panels = layer.panels.map(spec => new Panel(spec, this.spec.luts));
      this.signal = layer.sd;
      if (this.signal) {
        const box = make("input", {type: "checkbox", checked: this.masked, onchange: () => { this.masked = box.checked; this.draw(); }});
        this.controls.append(make("label", {}, box, " hatch where |mean| < 2 sd"));
      }
      await Promise.all(this.panels.map(p => p.load()));
      this.panelBox.style.setProperty("--widest", this.panels.length > 1 ? "none" : "560px");
      this.panelBox.replaceChildren(...this.panels.map(p => p.element));
      for (const p of this.panels) {
        const metres = this.niceLength(g.width * g.metres / 4), bar = make("i");
        bar.style.width = `${100 * metres / (g.width * g.metres)}%`;
        p.element.append(make("div", {className: "scale"}, bar, metres >= 1000 ? `${metres / 1000} km` : `${metres} m`));
        p.canvas.onpointermove = e => this.pick(e, p);
        p.canvas.onclick = e => this.pick(e, p);
      }
      this.draw();
      this.show();
    }

    nearest(label) { const date = (f) => f.split(",")[0], i = this.g.frames.findIndex(f => date(f).startsWith(date(label)) || date(label).startsWith(date(f))); return Math.max(0, i); }
    niceLength(x) { const p = 10 ** Math.floor(Math.log10(x)); return [5, 2, 1].map(f => f * p).find(v => v <= x); }
    go(i) { this.frame = i; this.output.textContent = this.g.frames[i]; this.draw(); this.show(); }
    play() { this.button.textContent = "\u23F8"; this.timer = setInterval(() => { this.slider.value = (this.frame + 1) % this.g.frames.length; this.go(+this.slider.value); }, 600); }
    stop() { clearInterval(this.timer); this.timer = null; if (this.button) this.button.textContent = "\u25B6"; }
    get unit() { return this.g.units.replace(/<su[pb]>(.*?)<\/su[pb]>/g, (_, d) => [...d].map(c => "⁰¹²³⁴⁵⁶⁷⁸⁹⁻"[c === "−" ? 10 : +c]).join("")); }
    weak(i) { return Math.abs(this.panels[0].at(i)) < 2 * this.panels[1].at(i); }

    draw() {
      const {width: w, height: h} = this.g, start = this.frame * w * h, s = Math.max(1, Math.round(640 / w));
      this.panels.forEach((panel, n) => {
        const {canvas, colours, values} = panel;
        canvas.width = w * s; canvas.height = h * s;
        const context = canvas.getContext("2d"), image = context.createImageData(w * s, h * s), out = image.data;
        for (let y = 0; y < h; y++) for (let x = 0; x < w; x++) {
          const i = start + y * w + x, level = values[i];
          if (level === OUTSIDE) continue;
          const c = 3 * Math.round(level * 255 / LEVELS), weak = n === 0 && this.signal && this.masked && this.weak(i);
          for (let b = 0; b < s; b++) for (let a = 0; a < s; a++) {
            const o = 4 * ((y * s + b) * w * s + x * s + a), line = weak && (x * s + a + y * s + b) % 7 < 1;
            for (let k = 0; k < 3; k++) out[o + k] = line ? 0.5 * colours[c + k] + 40 : weak ? 0.55 * colours[c + k] + 0.45 * 225 : colours[c + k];
            out[o + 3] = 255;
          }
        }
        context.putImageData(image, 0, 0);
      });
    }

    pick(event, panel) {
      const box = panel.canvas.getBoundingClientRect(), {width: w, height: h} = this.g;
      const x = Math.floor((event.clientX - box.left) / box.width * w), y = Math.floor((event.clientY - box.top) / box.height * h);
      if (x < 0 || y < 0 || x >= w || y >= h) return;
      this.picked = {x, y};
      this.show();
    }

    show() {
      const {g, panels} = this;
      if (!this.picked) { this.readout.textContent = "Touch or point at a pixel to read it."; this.series.replaceChildren(); return; }
      const {x, y} = this.picked, i = this.frame * g.width * g.height + y * g.width + x, mean = panels[0].at(i);
      for (const p of panels) Object.assign(p.ring.style, {display: "block", left: `${(x + .5) / g.width * 100}%`, top: `${(y + .5) / g.height * 100}%`});
      const place = g.x0 === undefined ? "" : `x ${Math.round(g.x0 + x * g.metres)} m, y ${Math.round(g.y0 - y * g.metres)} m · `;
      if (Number.isNaN(mean)) { this.readout.textContent = `${place}no vegetation flux here`; this.series.replaceChildren(); return; }
      const d = Math.max(1, Math.ceil(2 - Math.log10(panels[0].hi))), values = this.signal
        ? `${this.layer} <b>${signed(mean, d)} \u00B1 ${signed(panels[1].at(i), d)}</b>`
        : panels.map(p => `${p.name} <b>${signed(p.at(i), d)}</b>`).join(", ");
      this.readout.innerHTML = `${place}${g.frames[this.frame]} · ${values} ${g.units}` + (this.signal && this.weak(i) ? " · weaker than 2 sd" : "");
      this.drawSeries(x, y);
    }

    drawSeries(x, y) {
      const {g, panels} = this, n = g.frames.length, wide = Math.max(300, this.series.clientWidth || 800);
      if (n < 3) { this.series.replaceChildren(); return; }
      const at = Array.from({length: n}, (_, t) => t * g.width * g.height + y * g.width + x), mean = at.map(i => panels[0].at(i));
      const sd = this.signal ? at.map(i => panels[1].at(i)) : at.map(() => 0);
      const low = Math.min(0, ...mean.map((v, t) => v - 2 * sd[t]).filter(isFinite)), high = Math.max(0, ...mean.map((v, t) => v + 2 * sd[t]).filter(isFinite));
      const X = t => 46 + t / (n - 1) * (wide - 60), Y = v => 96 - (v - low) / (high - low || 1) * 78;
      const known = [...mean.keys()].filter(t => isFinite(mean[t])), line = known.map(t => `${X(t)},${Y(mean[t])}`).join(" ");
      const band = [...known.map(t => `${X(t)},${Y(mean[t] + 2 * sd[t])}`), ...known.reverse().map(t => `${X(t)},${Y(mean[t] - 2 * sd[t])}`)].join(" ");
      const marks = [0, Math.floor(n / 2), n - 1].map((t, k) => `<text x="${X(t)}" y="114" text-anchor="${["start", "middle", "end"][k]}">${g.frames[t]}</text>`).join("");
      const ticks = [low, 0, high].filter((v, k) => k === 1 || Math.abs(Y(v) - Y(0)) > 12).map(v => `<text x="40" y="${Y(v) + 4}" text-anchor="end">${signed(v, panels[0].hi < 10 ? 1 : 0)}</text>`).join("");
      this.series.innerHTML = `<svg viewBox="0 0 ${wide} 120" role="img" aria-label="course of the pixel over time, mean and 2 sd">
        <polygon points="${band}" fill="var(--nee)" opacity=".2"/><line x1="46" x2="${wide - 14}" y1="${Y(0)}" y2="${Y(0)}" stroke="var(--faint)"/>
        <polyline points="${line}" fill="none" stroke="var(--nee)" stroke-width="1.8"/>
        <line x1="${X(this.frame)}" x2="${X(this.frame)}" y1="8" y2="98" stroke="var(--muted)" stroke-dasharray="3 3"/>${ticks}${marks}<text x="50" y="10">mean${this.signal ? " and 2 sd" : " change"}, ${this.unit}</text></svg>`;
    }
  }

  for (const root of document.querySelectorAll("[data-source]")) new Viewer(root);
})();
