// Two pictures of one shape over each other, with a slider between them, down to single pixels.
"use strict";

// Needs `stage` in the document. Sizes are in pixels of the picture; `scale` is window pixels for one of them.
class Viewer {
  constructor(stage, onChange) {
    Object.assign(this, { stage, onChange, width: 1, height: 1, scale: 1, x: 0, y: 0, split: 0.5, fitted: true });
    this.layers = ["left", "right"].map(name => {
      const box = Viewer.make("div", "layer " + name), plane = Viewer.make("div", "plane");
      box.append(plane);
      const label = Viewer.make("span", "side " + name);
      stage.append(box);
      return { box, plane, label, source: null, base: null, full: null, tiles: new Map(), wanted: [] };
    });
    this.handle = Viewer.make("div", "handle");
    this.zoomed = Viewer.make("span", "zoomed");
    stage.append(this.handle, this.layers[0].label, this.layers[1].label, this.zoomed);
    this.pointers = new Map();
    stage.addEventListener("pointerdown", e => this.down(e));
    stage.addEventListener("pointermove", e => this.move(e));
    for (const name of ["pointerup", "pointercancel"]) stage.addEventListener(name, e => this.up(e));
    stage.addEventListener("wheel", e => {
      if (!e.ctrlKey && document.activeElement !== stage) return;
      e.preventDefault();
      this.zoom(Math.exp(-e.deltaY / 300), e.clientX, e.clientY);
    }, { passive: false });
    new ResizeObserver(() => this.fitted ? this.fit() : this.place()).observe(stage);
  }

  static make(tag, name) {
    const made = document.createElement(tag);
    made.className = name;
    return made;
  }

  // Shows two sources: `{label, alt, url, zoom}`. What is shown already stays.
  show(width, height, left, right) {
    const other = width !== this.width || height !== this.height;
    Object.assign(this, { width, height });
    [left, right].forEach((source, i) => this.load(this.layers[i], source));
    if (other || this.fitted) this.fit(); else this.place();
  }

  load(layer, source) {
    const before = layer.source;
    layer.source = source;
    layer.label.textContent = source.label;
    if (before && before.url === source.url && JSON.stringify(before.zoom) === JSON.stringify(source.zoom)) return;
    const base = new Image();
    base.alt = source.alt;
    base.draggable = false;
    base.className = "base";
    // The old picture stays until the new one is there.
    base.addEventListener("load", () => {
      if (layer.source === source || layer.source.url === source.url) {
        layer.plane.replaceChildren(base);
        Object.assign(layer, { base, full: null, tiles: new Map(), ready: false });
        this.place();
      }
    });
    base.src = source.url;
  }

  get least() { return Math.min(this.stage.clientWidth / this.width, this.stage.clientHeight / this.height) || 1; }

  fit() {
    this.scale = this.least;
    this.x = (this.stage.clientWidth - this.width * this.scale) / 2;
    this.y = (this.stage.clientHeight - this.height * this.scale) / 2;
    this.fitted = true;
    this.place();
  }

  // Zooms by a factor around a place in the window, by default the middle of the stage.
  zoom(factor, clientX, clientY) {
    const box = this.stage.getBoundingClientRect();
    const cx = (clientX ?? box.left + box.width / 2) - box.left, cy = (clientY ?? box.top + box.height / 2) - box.top;
    const scale = Math.min(Math.max(this.scale * factor, this.least), Math.max(16, this.least));
    if (scale <= this.least) return this.fit();
    this.x = cx - (cx - this.x) * scale / this.scale;
    this.y = cy - (cy - this.y) * scale / this.scale;
    this.scale = scale;
    this.fitted = false;
    this.place();
  }

  // One pixel of the picture on one of the screen.
  single() { this.zoom(1 / devicePixelRatio / this.scale); }

  setSplit(part) {
    this.split = Math.min(Math.max(part, 0), 1);
    this.place();
  }

  place() {
    const { clientWidth: w, clientHeight: h } = this.stage;
    const sw = this.width * this.scale, sh = this.height * this.scale;
    this.x = sw <= w ? (w - sw) / 2 : Math.min(0, Math.max(w - sw, this.x));
    this.y = sh <= h ? (h - sh) / 2 : Math.min(0, Math.max(h - sh, this.y));
    const cut = this.split * w;
    this.handle.style.left = cut + "px";
    this.layers[0].box.style.clipPath = `inset(0 ${w - cut}px 0 0)`;
    this.layers[1].box.style.clipPath = `inset(0 0 0 ${cut}px)`;
    this.stage.classList.toggle("pixels", this.scale * devicePixelRatio >= 2);
    this.zoomed.textContent = Math.round(this.scale * devicePixelRatio * 100) + " %";
    for (const layer of this.layers) {
      layer.plane.style.transform = `translate(${this.x}px, ${this.y}px) scale(${this.scale})`;
      for (const img of [layer.base, layer.full]) {
        if (img) [img.style.width, img.style.height] = [this.width + "px", this.height + "px"];
      }
      this.sharpen(layer);
    }
    this.onChange(this);
  }

  // Loads the picture's own pixels where its view has too few for the window.
  sharpen(layer) {
    const { source, base } = layer;
    if (!source || !base || !source.zoom || this.scale * devicePixelRatio * this.width <= base.naturalWidth * 1.05) return;
    if (source.zoom.kind === "whole") {
      if (layer.full) return;
      layer.full = new Image();
      Object.assign(layer.full, { alt: "", draggable: false, className: "full" });
      layer.full.style.width = this.width + "px";
      layer.full.style.height = this.height + "px";
      layer.full.src = source.zoom.url;
      layer.plane.append(layer.full);
    } else if (source.zoom.ask && !layer.ready) {
      this.ask(layer, source);
    } else {
      this.tile(layer, source.zoom);
    }
  }

  // Asks until the tiles are cut.
  async ask(layer, source) {
    if (layer.asking) return;
    layer.asking = true;
    for (;;) {
      const reply = await fetch(source.zoom.url + "ready.json").catch(() => null);
      if (!reply || !reply.ok) break;
      if ((await reply.json()).ready) { layer.ready = true; break; }
      layer.label.textContent = source.label + " (cutting tiles)";
      await new Promise(done => setTimeout(done, 500));
    }
    layer.asking = false;
    layer.label.textContent = layer.source.label;
    if (layer.ready && layer.source === source) this.tile(layer, source.zoom);
  }

  tile(layer, zoom) {
    const top = Math.ceil(Math.log2(Math.max(this.width, this.height)));
    const level = Math.max(0, Math.min(top, top + Math.ceil(Math.log2(this.scale * devicePixelRatio))));
    const factor = 2 ** (top - level), side = zoom.side * factor;
    const { clientWidth: w, clientHeight: h } = this.stage;
    const range = (from, length, whole) => {
      const first = Math.max(0, Math.floor(-from / this.scale / side));
      const last = Math.min(Math.ceil(whole / side) - 1, Math.floor((length - from) / this.scale / side));
      return Array.from({ length: Math.max(0, last - first + 1) }, (_, i) => first + i);
    };
    const wanted = new Set();
    for (const row of range(this.y, h, this.height)) for (const column of range(this.x, w, this.width)) {
      const name = `${level}/${column}_${row}.jpg`;
      wanted.add(name);
      if (layer.tiles.has(name)) continue;
      const img = new Image();
      Object.assign(img, { alt: "", draggable: false, className: "tile" });
      img.style.left = (column * side - (column ? zoom.overlap * factor : 0)) + "px";
      img.style.top = (row * side - (row ? zoom.overlap * factor : 0)) + "px";
      img.addEventListener("load", () => {
        img.style.width = img.naturalWidth * factor + "px";
        img.style.height = img.naturalHeight * factor + "px";
        img.dataset.ready = "yes";
        this.drop(layer, layer.wanted);
      });
      img.src = zoom.url + name;
      layer.tiles.set(name, img);
      layer.plane.append(img);
    }
    layer.wanted = wanted;
    this.drop(layer, wanted);
  }

  // Removes tiles that nobody needs, once those that are needed are there.
  drop(layer, wanted) {
    const all = [...wanted].every(name => layer.tiles.get(name)?.dataset.ready);
    if (!all) return;
    for (const [name, img] of layer.tiles) if (!wanted.has(name)) {
      img.remove();
      layer.tiles.delete(name);
    }
  }

  down(e) {
    this.stage.focus({ preventScroll: true });
    this.stage.setPointerCapture(e.pointerId);
    this.pointers.set(e.pointerId, e);
    const cut = this.split * this.stage.clientWidth, x = e.clientX - this.stage.getBoundingClientRect().left;
    this.sliding = this.pointers.size === 1 && (this.fitted || Math.abs(x - cut) < 18);
    if (this.sliding) this.move(e);
  }

  move(e) {
    const before = this.pointers.get(e.pointerId);
    if (!before) return;
    const box = this.stage.getBoundingClientRect();
    if (this.pointers.size === 2) {
      const other = [...this.pointers.values()].find(p => p.pointerId !== e.pointerId);
      const length = p => Math.hypot(p.clientX - other.clientX, p.clientY - other.clientY) || 1;
      this.zoom(length(e) / length(before), (e.clientX + other.clientX) / 2, (e.clientY + other.clientY) / 2);
    } else if (this.sliding) {
      this.setSplit((e.clientX - box.left) / box.width);
    } else {
      this.x += e.clientX - before.clientX;
      this.y += e.clientY - before.clientY;
      this.place();
    }
    this.pointers.set(e.pointerId, e);
  }

  up(e) { this.pointers.delete(e.pointerId); }
}
