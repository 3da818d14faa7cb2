// The page of a run: a contact sheet, and a page for each picture. Every name is set as text, never as HTML.
"use strict";

const impasto = (() => {
  const given = {}, waiting = {};
  let fromFiles = location.protocol === "file:";
  let run = null, shown = null, detail = null, viewer = null, stopped = false;
  const choice = { state: "", content: "", style: "", variant: "", sort: "order" };
  const chart = { x: "evaluation", log: true, terms: ["total", "content", "style", "variation"] };
  const cards = new Map();

  // ---- elements and words

  // An element; attributes that are functions listen, children are elements or text.
  function el(name, attributes, ...children) {
    const made = document.createElement(name);
    for (const [key, value] of Object.entries(attributes || {})) {
      if (typeof value === "function") made.addEventListener(key, value);
      else if (value === true) made.setAttribute(key, "");
      else if (value !== false && value !== null && value !== undefined) made.setAttribute(key, value);
    }
    made.append(...children.flat().filter(child => child !== null && child !== undefined && child !== false));
    return made;
  }

  const two = n => String(n).padStart(2, "0");
  function duration(seconds) {
    const s = Math.round(seconds);
    if (s < 60) return `${s} s`;
    if (s < 3600) return `${Math.floor(s / 60)} min ${two(s % 60)} s`;
    return `${Math.floor(s / 3600)} h ${two(Math.floor(s % 3600 / 60))} min`;
  }
  const bytes = n => n >= 2 ** 30 ? `${(n / 2 ** 30).toFixed(2)} GiB` : `${(n / 2 ** 20).toFixed(0)} MiB`;
  const loss = v => v === null || v === undefined ? "" : v.toExponential(3).replace("e+", "e");
  const words = state => state.replaceAll("-", " ");
  const badge = state => el("span", { class: "badge " + state }, words(state));
  // An address that changes with the picture and the run, since a browser keeps pictures by their address.
  const stamped = (url, stamp = 0) => run.live ? `${url}?v=${run.started}-${stamp}` : url;
  const picture = job => run.pictures.find(p => p.job === job);

  function command(label, text) {
    const button = el("button", { type: "button", click: () => copy(text, button) }, "Copy");
    return el("div", {}, el("p", { class: "soft" }, label), el("div", { class: "command" }, el("pre", {}, text), button));
  }

  async function copy(text, button) {
    try {
      await navigator.clipboard.writeText(text);
    } catch {
      const area = el("textarea", {}, text);
      document.body.append(area);
      area.select();
      document.execCommand("copy");
      area.remove();
    }
    button.textContent = "Copied";
    setTimeout(() => { button.textContent = "Copy"; }, 1500);
  }

  // ---- data: from the server, or from scripts beside the page

  function take(name, value) {
    given[name] = value;
    (waiting[name] || []).forEach(done => done(value));
    delete waiting[name];
  }

  function script(name) {
    if (given[name]) return Promise.resolve(given[name]);
    return new Promise((done, failed) => {
      (waiting[name] ||= []).push(done);
      document.head.append(el("script", { src: `data/${name}.js`, error: failed }));
    });
  }

  // The newest data of a name; null when it is what `since` says.
  async function load(name, since) {
    if (fromFiles) return script(name);
    const reply = await fetch(`data/${name}.json` + (since === undefined ? "" : `?since=${since}`));
    if (reply.status === 204) return null;
    if (reply.ok) return reply.json();
    // A report that lies on a web server.
    if (reply.status === 404 && name === "run") { fromFiles = true; return script(name); }
    throw new Error(`${name}: ${reply.status}`);
  }

  // ---- the run

  const head = {};
  function buildHead() {
    head.title = el("a", { href: "#/" });
    head.state = el("span", {});
    head.parts = el("div", { class: "row soft" });
    head.bar = el("progress", { max: 1, "aria-label": "work done" });
    head.more = el("div", {});
    document.getElementById("run").append(
      el("div", { class: "row" }, el("h1", {}, head.title), head.state), head.bar, head.parts, head.more);
  }

  function showHead() {
    document.title = `${run.pipeline} · impasto`;
    head.title.textContent = run.pipeline;
    head.state.replaceChildren(stopped ? el("span", { class: "badge gone" }, "the view has stopped") : badge(run.state));
    head.bar.value = run.work > 0 ? run.done / run.work : 0;
    const count = state => run.pictures.filter(p => p.state === state).length;
    const part = (n, word) => n ? `${n} ${word}` : null;
    const counts = [`${count("finished")} of ${run.pictures.length} pictures done`, part(count("running"), "in work"),
      part(count("interrupted"), "interrupted"), part(count("failed"), "failed"), part(count("waiting"), "waiting")];
    const over = run.state.startsWith("finished");
    const parts = [counts.filter(Boolean).join(", "),
      over ? null : run.secondsLeft === null ? "estimating the time left" : `${duration(run.secondsLeft)} left`,
      `${run.done.toFixed(1)} of ${run.work.toFixed(1)} megapixel-evaluations`,
      `${duration(run.seconds)} of work`,
      `${bytes(run.memory)} planned`,
      run.devices.concat(run.arithmetic || []).join(", "),
      run.process,
      `started ${new Date(run.started * 1000).toLocaleString()}`];
    head.parts.replaceChildren(...parts.filter(Boolean).map(text => el("span", {}, text)));
    const more = [];
    if (run.problem) more.push(el("p", { class: "failed" }, run.problem));
    if (run.state === "interrupted") more.push(command("Resume with", run.resume));
    if (run.warnings.length) {
      more.push(el("details", { open: head.more.querySelector("details")?.open || false },
        el("summary", {}, `${run.warnings.length} warnings`), run.warnings.map(text => el("p", {}, text))));
    }
    const key = JSON.stringify([run.problem, run.state, run.resume, run.warnings]);
    if (head.key !== key) head.more.replaceChildren(...more);
    head.key = key;
  }

  // ---- the contact sheet

  const SORTS = {
    order: ["order of the run", (a, b) => a.job - b.job],
    name: ["name", (a, b) => a.name.localeCompare(b.name)],
    state: ["state", (a, b) => a.state.localeCompare(b.state) || a.job - b.job],
    loss: ["loss, lowest first", (a, b) => (a.losses?.total ?? Infinity) - (b.losses?.total ?? Infinity)],
    time: ["time, longest first", (a, b) => b.seconds - a.seconds],
    size: ["size, largest first", (a, b) => b.width * b.height - a.width * a.height],
  };
  const FILTERS = {
    state: ["state", p => [p.state]],
    content: ["photograph", p => [p.content]],
    style: ["style", p => p.styles],
    variant: ["variant", p => p.variant === null ? [] : [p.variant]],
  };

  function chosen() {
    const fits = p => Object.entries(FILTERS).every(([key, [, of]]) => !choice[key] || of(p).includes(choice[key]));
    return run.pictures.filter(fits).sort(SORTS[choice.sort][1]);
  }

  function select(label, options, value, onChange) {
    const made = el("select", { change: () => onChange(made.value) },
      options.map(([key, text]) => el("option", { value: key, selected: key === value }, text)));
    return el("label", {}, el("span", { class: "soft" }, label), made);
  }

  function showSheet() {
    const main = document.getElementById("main");
    const tools = el("div", { class: "tools row" });
    const fill = () => {
      tools.replaceChildren(...Object.entries(FILTERS).map(([key, [label, of]]) => {
        const values = [...new Set(run.pictures.flatMap(of))].sort();
        if (values.length < 2 && !choice[key]) return "";
        return select(label, [["", "all"], ...values.map(v => [v, words(v)])], choice[key], value => { choice[key] = value; order(); });
      }).filter(Boolean), select("sort by", Object.entries(SORTS).map(([key, [text]]) => [key, text]), choice.sort,
        value => { choice.sort = value; order(); }));
    };
    const list = el("ul", { class: "sheet" });
    const order = () => {
      const wanted = chosen().map(p => card(p));
      if (wanted.length !== list.children.length || wanted.some((c, i) => list.children[i] !== c)) list.replaceChildren(...wanted);
    };
    cards.clear();
    fill();
    order();
    main.replaceChildren(tools, list);
    shown = { job: null, update: () => {
      if (!tools.contains(document.activeElement)) fill();
      order();
    } };
    list.addEventListener("keydown", e => {
      const all = [...list.querySelectorAll("a")], at = all.indexOf(document.activeElement);
      const across = getComputedStyle(list).gridTemplateColumns.split(" ").length;
      const step = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -across, ArrowDown: across }[e.key];
      if (at < 0 || !step || !all[at + step]) return;
      e.preventDefault();
      all[at + step].focus();
    });
  }

  // The card of a picture, made anew only where something has changed.
  function card(p) {
    const key = JSON.stringify(p), old = cards.get(p.job);
    if (old && old.key === key) return old.node;
    const node = old ? old.node : el("li", { class: "card", "data-job": p.job });
    const face = p.thumb ? stamped(p.thumb, p.stamp) : stamped(p.contentThumb);
    const sameFace = old && old.face === face;
    const img = sameFace ? old.img : el("img", { src: face, loading: "lazy", decoding: "async", class: p.thumb ? "" : "waits",
      alt: p.thumb ? `${p.name}, ${words(p.state)}` : `the photograph ${p.content}, waiting`, error: e => { e.target.hidden = true; } });
    const small = (src, alt) => el("img", { src, alt, loading: "lazy", decoding: "async", error: e => { e.target.hidden = true; } });
    const losses = p.losses && p.losses.total !== null ? `loss ${loss(p.losses.total)}` : null;
    const at = p.state === "running" || p.state === "interrupted"
      ? `level ${p.level + 1}/${p.levels}, evaluation ${p.evaluation}/${p.evaluations}` : null;
    node.replaceChildren(el("a", { href: `#/${p.job}` },
      el("div", { class: "face" }, img, el("div", { class: "from" }, small(stamped(p.contentThumb), `photograph ${p.content}`),
        p.styleThumbs.map((src, i) => small(stamped(src), `style ${p.styles[i]}`)))),
      el("div", { class: "words" },
        el("div", { class: "name" }, p.name),
        el("p", { class: "row soft" }, badge(p.state), el("span", {}, `${p.width}x${p.height}`), p.variant ? el("span", {}, p.variant) : null),
        at ? el("p", {}, at) : null,
        p.state === "running" ? el("progress", { max: 1, value: p.part, "aria-label": `${p.name}: work done` }) : null,
        el("p", { class: "soft" }, [losses, p.seconds ? duration(p.seconds) : null].filter(Boolean).join(", ")),
        p.reason ? el("p", { class: "failed" }, p.reason) : null)));
    cards.set(p.job, { key, node, img, face });
    return node;
  }

  // ---- one picture

  // What a side of the viewer can show of a picture, by key.
  function sources(p) {
    const found = [["photograph", { label: "photograph", alt: `the photograph ${p.content}`, url: stamped(p.contentView) }]];
    detail.levels.forEach((level, i) => {
      if (level.view) found.push([`level-${i}`, { label: `level ${i + 1}, ${level.width}x${level.height}`,
        alt: `level ${i + 1} of ${p.name}`, url: stamped(level.view, p.stamp), thumb: stamped(level.thumb, p.stamp) }]);
    });
    if (p.view && p.state === "finished") found.push(["result", { label: p.name, alt: p.name, url: stamped(p.view, p.stamp),
      zoom: detail.zoom, thumb: stamped(p.thumb, p.stamp) }]);
    else if (p.view && !detail.levels.some(level => level.view)) found.push(["result", { label: "so far",
      alt: `${p.name} so far`, url: stamped(p.view, p.stamp), thumb: stamped(p.thumb, p.stamp) }]);
    const shape = q => q.width * p.height === q.height * p.width;
    run.pictures.filter(q => q.job !== p.job && q.content === p.content && q.view && shape(q)).forEach(q => {
      found.push([`job-${q.job}`, { label: q.variant || q.name, alt: q.name, url: stamped(q.view, q.stamp), job: q.job }]);
    });
    found[0][1].thumb = stamped(p.contentThumb);
    return new Map(found);
  }

  async function showPicture(job) {
    const p = picture(job);
    if (!p) return showSheet();
    const main = document.getElementById("main");
    detail = await load(`picture-${job}`);
    if (location.hash !== `#/${job}`) return;
    const pick = { left: "photograph", right: null };
    const stage = el("div", { class: "stage", tabindex: 0, role: "group", "aria-label": "comparison: drag the slider, + and - zoom" });
    const range = el("input", { type: "range", class: "split", min: 0, max: 1000, value: 500, "aria-label": "slider between the two pictures",
      input: () => viewer.setSplit(range.value / 1000) });
    const sides = el("div", { class: "row" }), strip = el("div", { class: "strip", role: "toolbar", "aria-label": "levels" });
    const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
    svg.setAttribute("class", "chart");
    svg.setAttribute("role", "img");
    svg.setAttribute("aria-label", `losses of ${p.name}`);
    const readout = el("p", { class: "readout soft" });
    const keys = el("div", { class: "row tools" }), facts = el("div", { class: "columns" });
    const title = el("div", { class: "row tools" });
    main.replaceChildren(title, stage,
      el("div", { class: "row tools" }, sides, range, zoomButtons()), strip,
      el("h2", {}, "Losses"), keys, svg, readout, facts);
    viewer = new Viewer(stage, v => { range.value = Math.round(v.split * 1000); });
    let probe = null;
    const drawChart = () => {
      probe = Chart.draw(svg, detail.curve, chart);
    };
    svg.addEventListener("pointermove", e => {
      const i = probe ? probe(e.clientX) : null;
      if (i === null) return;
      const c = detail.curve;
      readout.textContent = `evaluation ${c.evaluation[i]}, ${duration(c.time[i])}: `
        + ["total", "content", "style", "variation"].map(term => `${term} ${loss(c[term][i])}`).join(", ");
    });
    new ResizeObserver(drawChart).observe(svg);
    chartKeys(keys, drawChart);
    const choose = async (side, key) => { pick[side] = key; await showSides(); };
    const showSides = async () => {
      const p = picture(job), all = sources(p);
      const right = all.has(pick.right) ? pick.right : [...all.keys()].filter(key => !key.startsWith("job-")).pop();
      const left = all.has(pick.left) ? pick.left : "photograph";
      const [a, b] = [all.get(left), all.get(right)];
      for (const source of [a, b]) if (source.job !== undefined && !source.zoom) {
        const other = await load(`picture-${source.job}`).catch(() => null);
        source.zoom = other && other.zoom;
      }
      const options = [...all].map(([key, source]) => [key, source.label]);
      if (!sides.contains(document.activeElement)) {
        sides.replaceChildren(select("left", options, left, key => choose("left", key)),
          select("right", options, right, key => choose("right", key)));
      }
      strip.replaceChildren(...[...all].filter(([, source]) => source.thumb).map(([key, source]) =>
        el("button", { type: "button", "aria-pressed": String(key === right), click: () => choose("right", key) },
          el("img", { src: source.thumb, alt: source.alt }), source.label)));
      viewer.show(p.width, p.height, a, b);
    };
    const fill = () => {
      const p = picture(job);
      showTitle(title, p);
      drawChart();
      showFacts(facts, p);
    };
    fill();
    await showSides();
    let last = JSON.stringify(p);
    shown = { job, update: async () => {
      const next = await load(`picture-${job}`, detail.version).catch(() => null);
      if (shown?.job !== job) return;
      const line = JSON.stringify(picture(job));
      if (!next && line === last) return;
      last = line;
      detail = next || detail;
      fill();
      await showSides();
    } };
  }

  function zoomButtons() {
    const button = (text, label, act) => el("button", { type: "button", "aria-label": label, title: label, click: act }, text);
    return el("div", { class: "row" }, button("−", "zoom out (-)", () => viewer.zoom(1 / 1.5)),
      button("+", "zoom in (+)", () => viewer.zoom(1.5)), button("fit", "whole picture (0)", () => viewer.fit()),
      button("1:1", "pixel by pixel (1)", () => viewer.single()));
  }

  function neighbours(job) {
    const all = chosen().map(p => p.job), at = all.indexOf(job);
    return [all[at - 1], all[at + 1]];
  }

  function showTitle(node, p) {
    const [before, after] = neighbours(p.job);
    const link = (job, text, label) => job === undefined ? "" : el("a", { href: `#/${job}`, "aria-label": label, title: label }, text);
    const focused = node.contains(document.activeElement);
    if (focused) return;
    node.replaceChildren(el("a", { href: "#/" }, "all pictures"), link(before, "←", "picture before (left arrow)"),
      link(after, "→", "next picture (right arrow)"), el("strong", {}, p.name), badge(p.state),
      p.state === "running" || p.state === "interrupted"
        ? el("span", {}, `level ${p.level + 1}/${p.levels}, evaluation ${p.evaluation}/${p.evaluations}`) : "",
      p.secondsLeft !== null ? el("span", { class: "soft" }, `${duration(p.secondsLeft)} left`) : "",
      p.reason ? el("span", { class: "failed" }, p.reason) : "");
  }

  function chartKeys(node, redraw) {
    const toggle = (text, pressed, act) => {
      const button = el("button", { type: "button", "aria-pressed": String(pressed()), click: () => {
        act();
        node.querySelectorAll("button").forEach(b => b.refresh());
        redraw();
      } }, text);
      button.refresh = () => button.setAttribute("aria-pressed", String(pressed()));
      return button;
    };
    const line = term => {
      const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
      svg.setAttribute("class", "key");
      const line = document.createElementNS("http://www.w3.org/2000/svg", "line");
      for (const [k, v] of Object.entries({ class: term, x1: 0, x2: 14, y1: 1.5, y2: 1.5 })) line.setAttribute(k, v);
      svg.append(line);
      return svg;
    };
    node.replaceChildren(
      el("span", { class: "row" }, toggle("evaluations", () => chart.x === "evaluation", () => { chart.x = "evaluation"; }),
        toggle("seconds", () => chart.x === "time", () => { chart.x = "time"; })),
      el("span", { class: "row" }, toggle("log", () => chart.log, () => { chart.log = true; }),
        toggle("linear", () => !chart.log, () => { chart.log = false; })),
      ...["total", "content", "style", "variation"].map(term => el("label", {},
        el("input", { type: "checkbox", checked: chart.terms.includes(term), change: e => {
          chart.terms = e.target.checked ? [...chart.terms, term] : chart.terms.filter(t => t !== term);
          redraw();
        } }), line(term), term)));
  }

  function table(rows) {
    return el("table", {}, el("tbody", {}, rows.filter(Boolean).map(([name, ...values]) =>
      el("tr", {}, el("th", { scope: "row" }, name), values.map(value => el("td", {}, value))))));
  }

  function showFacts(node, p) {
    const key = JSON.stringify([p, { ...detail, curve: null, version: 0 }]);
    if (node.key === key) return;
    node.key = key;
    const open = new Set([...node.querySelectorAll("details[open] > summary")].map(s => s.textContent));
    const fold = (label, ...inside) => el("details", { open: open.has(label) }, el("summary", {}, label), ...inside);
    const { print, settings } = detail;
    const mode = e => e.mode + (e.core ? `, core ${e.core}` : "") + (e.rounds ? `, ${e.rounds} rounds of ${e.visit}` : "");
    const facts = table([
      ["size", `${p.width} x ${p.height} px`],
      print ? ["print", `${print["width-mm"].toFixed(0)} x ${print["height-mm"].toFixed(0)} mm at ${print.dpi} dpi, photograph at ${print["source-ppi"].toFixed(0)} ppi`] : null,
      detail.bleed ? ["bleed", `${detail.bleed} px`] : null,
      ["photograph", `${p.content}, ${detail.contentSize.join(" x ")} px`],
      ["style", p.styles.join(", ")],
      p.variant ? ["variant", p.variant] : null,
      ["profile", String(settings.color?.["output-profile"] ?? "srgb")],
      ["preset", String(settings.objective?.preset ?? "")],
      p.losses ? ["loss", `${loss(p.losses.total)} (content ${loss(p.losses.content)}, style ${loss(p.losses.style)}, variation ${loss(p.losses.variation)})`] : null,
      ["evaluations", String(p.totalEvaluations)],
      p.seconds ? ["time", duration(p.seconds)] : null,
      ["file", detail.file],
    ]);
    const levels = el("table", {}, el("thead", {}, el("tr", {}, ["level", "px", "evaluations", "mode", "memory"].map(t => el("th", { scope: "col" }, t)))),
      el("tbody", {}, detail.levels.map((level, i) => el("tr", {}, [String(i + 1), `${level.width} x ${level.height}`,
        String(level.evaluations), mode(level.execution), bytes(level.memory)].map(t => el("td", {}, t))))));
    const flat = Object.entries(settings).flatMap(([name, value]) => (Array.isArray(value) ? value : [value]).flatMap((one, i, all) =>
      Object.entries(one).map(([k, v]) => [all.length > 1 ? `${name}.${i}.${k}` : `${name}.${k}`, typeof v === "string" ? v : JSON.stringify(v)])));
    const styles = el("div", { class: "strip" }, p.styleThumbs.map((src, i) => el("img", { src: stamped(src), alt: `style ${p.styles[i]}`, loading: "lazy" })));
    node.replaceChildren(
      el("section", {}, el("h2", {}, "Picture"), facts, styles),
      el("section", {}, el("h2", {}, "Levels"), levels),
      el("section", {}, el("h2", {}, "Make it again"),
        p.state === "finished" ? null : command("Resume the run with", detail.resume),
        detail.larger ? command("Twice as large, in a folder beside this one", detail.larger) : null,
        fold("Recipe: a pipeline of this picture", command("Save it beside the pipeline file", detail.recipe))),
      el("section", {}, el("h2", {}, "Settings"), fold("All settings", table(flat))));
  }

  // ---- moving about

  function go() {
    viewer = null;
    shown = null;
    const job = /^#\/(\d+)$/.exec(location.hash);
    if (job) return showPicture(Number(job[1]));
    showSheet();
  }

  function keys(e) {
    if (e.ctrlKey || e.metaKey || e.altKey || /^(INPUT|SELECT|TEXTAREA)$/.test(e.target.tagName) || shown?.job == null) return;
    const [before, after] = neighbours(shown.job);
    const open = job => { if (job !== undefined) location.hash = `#/${job}`; };
    const act = { "+": () => viewer.zoom(1.5), "=": () => viewer.zoom(1.5), "-": () => viewer.zoom(1 / 1.5), "0": () => viewer.fit(),
      "1": () => viewer.single(), ArrowLeft: () => open(before), ArrowRight: () => open(after), Escape: () => { location.hash = "#/"; } }[e.key];
    if (!act) return;
    e.preventDefault();
    act();
  }

  async function follow() {
    for (;;) {
      await new Promise(done => setTimeout(done, stopped || document.hidden ? 2000 : 500));
      try {
        const next = await load("run", stopped ? undefined : run.version);
        const came = next || stopped;
        stopped = false;
        if (next) run = next;
        if (came) { showHead(); await shown?.update(); }
      } catch {
        if (!stopped) { stopped = true; showHead(); }
      }
    }
  }

  async function start() {
    buildHead();
    try {
      run = await load("run");
    } catch {
      head.parts.textContent = "the data of this page is missing";
      return;
    }
    showHead();
    addEventListener("hashchange", go);
    addEventListener("keydown", keys);
    await go();
    if (run.live) follow();
  }

  addEventListener("DOMContentLoaded", start);
  return { take };
})();
