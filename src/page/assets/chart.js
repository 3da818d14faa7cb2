// The losses of a picture as an SVG: terms over evaluations or seconds, with the levels marked.
"use strict";

const Chart = (() => {
  const SVG = "http://www.w3.org/2000/svg";
  const EDGE = { left: 64, right: 12, top: 24, bottom: 34 };

  function node(name, attributes, text) {
    const made = document.createElementNS(SVG, name);
    for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
    if (text !== undefined) made.textContent = text;
    return made;
  }

  // Round steps between two numbers, about `count` of them.
  function ticks(low, high, count) {
    const rough = (high - low) / count || 1;
    const power = 10 ** Math.floor(Math.log10(rough));
    const step = [1, 2, 5, 10].map(m => m * power).find(s => s >= rough);
    const found = [];
    for (let at = Math.ceil(low / step) * step; at <= high + step * 1e-9; at += step) found.push(at);
    return found;
  }

  const short = value => value === 0 ? "0" : Math.abs(value) >= 1e5 || Math.abs(value) < 1e-2
    ? value.toExponential(1).replace("e+", "e") : String(+value.toPrecision(4));

  // Draws `curve` into `svg`. `options`: x ("evaluation" or "time"), log, terms (names that are drawn).
  function draw(svg, curve, options) {
    svg.replaceChildren();
    const width = svg.clientWidth || 800, height = svg.clientHeight || 320;
    svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
    const xs = curve ? curve[options.x] : [];
    const terms = options.terms.filter(term => curve && curve[term].some(v => v > 0));
    const values = terms.flatMap(term => curve[term]).filter(v => v !== null && (!options.log || v > 0));
    if (!values.length) {
      svg.append(node("text", { x: width / 2, y: height / 2, "text-anchor": "middle" }, "no evaluation yet"));
      return null;
    }
    const scale = options.log ? Math.log10 : v => v;
    let low = options.log ? Math.min(...values) : 0, high = Math.max(...values);
    if (low === high) [low, high] = options.log ? [low / 2, high * 2] : [0, high * 1.1 || 1];
    const [bottom, top] = [scale(low), scale(high)];
    const end = Math.max(xs[xs.length - 1], 1e-9);
    const place = {
      x: v => EDGE.left + v / end * (width - EDGE.left - EDGE.right),
      y: v => height - EDGE.bottom - (scale(v) - bottom) / (top - bottom) * (height - EDGE.top - EDGE.bottom),
    };
    const decades = [];
    for (let p = Math.ceil(bottom); options.log && p <= top; p++) decades.push(10 ** p);
    const rows = options.log ? (decades.length > 1 ? decades : [low, high]) : ticks(low, high, 5);
    for (const value of rows) {
      svg.append(node("line", { class: "axis", x1: EDGE.left, x2: width - EDGE.right, y1: place.y(value), y2: place.y(value) }));
      svg.append(node("text", { x: EDGE.left - 6, y: place.y(value) + 4, "text-anchor": "end" }, short(value)));
    }
    for (const value of ticks(0, end, Math.max(2, width / 120))) {
      svg.append(node("text", { x: place.x(value), y: height - EDGE.bottom + 16, "text-anchor": "middle" }, short(value)));
    }
    const unit = options.x === "time" ? "seconds of work" : "evaluations";
    svg.append(node("text", { x: width - EDGE.right, y: height - 4, "text-anchor": "end" }, unit));
    for (const level of curve.levels) {
      const x = place.x(options.x === "time" ? level.seconds : level.evaluation);
      svg.append(node("line", { class: "mark", x1: x, x2: x, y1: EDGE.top, y2: height - EDGE.bottom }));
      svg.append(node("text", { class: "level", x: x + 4, y: EDGE.top - 8 }, `${level.width}x${level.height}`));
    }
    for (const term of terms) {
      let path = "", pen = "M";
      curve[term].forEach((value, i) => {
        const seen = value !== null && (!options.log || value > 0);
        if (seen) path += `${pen}${place.x(xs[i]).toFixed(1)} ${place.y(value).toFixed(1)}`;
        pen = seen ? "L" : "M";
      });
      svg.append(node("path", { class: term, d: path, "data-points": xs.length }));
    }
    const cross = node("line", { class: "cross", y1: EDGE.top, y2: height - EDGE.bottom, visibility: "hidden" });
    svg.append(cross);
    // The point nearest to a place in the window.
    return clientX => {
      const box = svg.getBoundingClientRect();
      const at = (clientX - box.left - EDGE.left) / (width - EDGE.left - EDGE.right) * end;
      let best = 0;
      xs.forEach((x, i) => { if (Math.abs(x - at) < Math.abs(xs[best] - at)) best = i; });
      cross.setAttribute("x1", place.x(xs[best]));
      cross.setAttribute("x2", place.x(xs[best]));
      cross.setAttribute("visibility", "visible");
      return best;
    };
  }

  return { draw };
})();
