"use strict";
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const MISSING = 65535, STEPS = 65534, GRAY = "#9aa3ad";
  const VIRIDIS = ["#440154", "#472d7b", "#3b528b", "#2c728e", "#21918c", "#28ae80", "#5ec962", "#addc30", "#fde725"];
  const byId = (id) => document.getElementById(id);
  const make = (tag, text, parent) => {
    const node = document.createElement(tag);
    if (text !== undefined) node.textContent = text; // never as HTML: names come from the data
    if (parent) parent.append(node);
    return node;
  };
  const bytes = (text) => Uint8Array.from(atob(text), (c) => c.charCodeAt(0));
  const wide = (text) => {
    const view = new DataView(bytes(text).buffer), out = new Uint16Array(view.byteLength / 2);
    for (let i = 0; i < out.length; i++) out[i] = view.getUint16(2 * i, true);
    return out;
  };

  const n = data.n, xy = wide(data.xy), names = data.names.split("\n");
  for (const column of data.columns) {
    column.values = column.bytes === 1 ? bytes(column.data) : wide(column.data);
    column.none = column.bytes === 1 ? 255 : MISSING;
    delete column.data;
  }
  const value = (column, i) => {
    const v = column.values[i];
    if (v === column.none) return null;
    if (column.kind === "names") return column.names[v];
    return column.range[0] + (v / STEPS) * (column.range[1] - column.range[0]);
  };
  const shown = (column, v) => {
    if (v === null) return "–";
    if (typeof v === "string") return v;
    return column.whole ? Math.round(v).toLocaleString("en") : String(Number(v.toPrecision(3)));
  };
  const mixed = (t) => {
    const at = Math.min(Math.max(t, 0), 1) * (VIRIDIS.length - 1), k = Math.min(Math.floor(at), VIRIDIS.length - 2);
    const rgb = (hex) => [1, 3, 5].map((j) => parseInt(hex.slice(j, j + 2), 16));
    const a = rgb(VIRIDIS[k]), b = rgb(VIRIDIS[k + 1]);
    return `rgb(${a.map((v, j) => Math.round(v + (at - k) * (b[j] - v))).join(",")})`;
  };

  const canvas = byId("cells"), screen = canvas.getContext("2d"), tip = byId("tip"), legend = byId("legend");
  const select = byId("color-by");
  // the cells are painted on a layer, so that pointing at one does not paint all of them again
  const layer = document.createElement("canvas"), context = layer.getContext("2d");
  let by = data.columns[0], picked = new Set(), view = { scale: 1, x: 0, y: 0 }, hovered = -1;
  let width = 0, height = 0, printing = false;

  const radius = () => Math.min(Math.max(260 / Math.sqrt(n), 1.1), 4.5) * Math.min(Math.sqrt(view.scale), 2.5) * Math.max(Math.min(width / 700, 1), 0.7);
  const onCanvas = (u, v) => { // from 16 bits to CSS pixels
    const pad = 18, [w, h] = data.aspect.map((side) => Math.max(side, 1e-9));
    const unit = Math.min((width - 2 * pad) / w, (height - 2 * pad) / h);
    const x = (u / STEPS - w / 2) * unit + view.x, y = (v / STEPS - h / 2) * unit + view.y;
    return [width / 2 + x * view.scale, height / 2 - y * view.scale];
  };
  const xs = new Float32Array(n), ys = new Float32Array(n); // of the cells, in CSS pixels
  const placeAll = () => {
    const [x0, y0] = onCanvas(0, 0), [x1, y1] = onCanvas(STEPS, STEPS);
    const a = (x1 - x0) / STEPS, b = (y1 - y0) / STEPS;
    for (let i = 0; i < n; i++) { xs[i] = x0 + a * xy[2 * i]; ys[i] = y0 + b * xy[2 * i + 1]; }
  };
  const dot = (color, r) => {
    const ratio = window.devicePixelRatio || 1, sprite = document.createElement("canvas");
    sprite.width = sprite.height = Math.ceil(2 * (r + 1) * ratio);
    const c = sprite.getContext("2d");
    c.fillStyle = color;
    c.arc(sprite.width / 2, sprite.height / 2, r * ratio, 0, 7);
    c.fill();
    return sprite;
  };
  const palette = () => {
    if (by.kind === "names") return by.colors;
    return Array.from({ length: 65 }, (_, k) => mixed(k / 64));
  };
  const codes = new Int32Array(n); // position in the palette, −1 where the value is missing
  const codeAll = () => {
    const [low, high] = by.colored || [0, 1], span = Math.max(high - low, 1e-12);
    for (let i = 0; i < n; i++) {
      if (by.values[i] === by.none) codes[i] = -1;
      else if (by.kind === "names") codes[i] = by.values[i];
      else codes[i] = Math.round(Math.min(Math.max((value(by, i) - low) / span, 0), 1) * 64);
    }
  };
  const draw = () => {
    const ratio = window.devicePixelRatio || 1;
    width = canvas.clientWidth;
    height = canvas.clientHeight;
    if (!width || !height) return;
    canvas.width = layer.width = Math.round(width * ratio);
    canvas.height = layer.height = Math.round(height * ratio);
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    placeAll();
    const r = radius(), size = 2 * (r + 1), sprites = palette().map((color) => dot(color, r)), none = dot(GRAY, r);
    for (const front of picked.size ? [false, true] : [true]) {
      context.globalAlpha = front ? (by.kind === "names" ? 0.9 : 0.95) : 0.1;
      for (let i = 0; i < n; i++) {
        const code = codes[i], x = xs[i], y = ys[i];
        if (picked.size && picked.has(code) !== front) continue;
        if (x < -9 || y < -9 || x > width + 9 || y > height + 9) continue;
        context.drawImage(code < 0 ? none : sprites[code], x - size / 2, y - size / 2, size, size);
      }
    }
    context.globalAlpha = 1;
    const style = getComputedStyle(document.documentElement);
    if (by.key === data.cluster) writeNames(printing ? "#000" : style.getPropertyValue("--ink"), printing ? "#fff" : style.getPropertyValue("--card"));
    compose();
  };
  const compose = () => {
    screen.setTransform(1, 0, 0, 1, 0, 0);
    screen.clearRect(0, 0, canvas.width, canvas.height);
    screen.drawImage(layer, 0, 0);
    if (hovered < 0) return;
    const ratio = window.devicePixelRatio || 1;
    screen.setTransform(ratio, 0, 0, ratio, 0, 0);
    screen.strokeStyle = getComputedStyle(document.documentElement).getPropertyValue("--ink");
    screen.lineWidth = 2;
    screen.beginPath();
    screen.arc(xs[hovered], ys[hovered], radius() + 3, 0, 7);
    screen.stroke();
  };
  const middle = (list) => list.sort((a, b) => a - b)[list.length >> 1];
  const centers = () => {
    const members = by.names.map(() => [[], []]);
    for (let i = 0; i < n; i++) {
      if (codes[i] < 0) continue;
      members[codes[i]][0].push(xy[2 * i]);
      members[codes[i]][1].push(xy[2 * i + 1]);
    }
    return members.map(([us, vs]) => us.length && Object.assign([middle(us), middle(vs)], { few: us.length < 0.04 * n }));
  };
  const writeNames = (ink, halo) => {
    by.centers = by.centers || centers();
    context.font = "650 13px system-ui, sans-serif";
    context.textAlign = "center";
    context.textBaseline = "middle";
    context.lineWidth = 3.5;
    context.lineJoin = "round";
    by.centers.forEach((center, code) => {
      if (!center || (picked.size && !picked.has(code))) return;
      const [x, at] = onCanvas(...center), y = center.few ? at - 15 : at; // beside few cells, not on them
      const name = by.names[code].length > 22 ? by.names[code].slice(0, 21) + "…" : by.names[code];
      context.strokeStyle = halo;
      context.strokeText(name, x, y);
      context.fillStyle = ink;
      context.fillText(name, x, y);
    });
  };

  const writeLegend = () => {
    legend.replaceChildren();
    if (by.kind === "numbers") {
      const ramp = make("div", undefined, legend), ends = make("div", undefined, legend);
      ramp.className = "ramp";
      ramp.style.background = `linear-gradient(90deg, ${VIRIDIS.join(",")})`;
      ends.className = "ramp-ends";
      by.colored.forEach((end) => make("span", shown(by, end), ends));
      return;
    }
    const counts = new Map();
    for (const v of by.values) counts.set(v, (counts.get(v) || 0) + 1);
    by.names.forEach((name, code) => {
      if (!counts.get(code)) return;
      const button = make("button", undefined, legend), swatch = make("span", undefined, button);
      button.type = "button";
      swatch.className = "swatch";
      swatch.style.background = by.colors[code];
      make("span", name, button);
      make("span", counts.get(code).toLocaleString("en"), button).className = "quiet";
      button.setAttribute("aria-pressed", String(picked.has(code)));
      button.addEventListener("click", () => {
        picked.has(code) ? picked.delete(code) : picked.add(code);
        button.setAttribute("aria-pressed", String(picked.has(code)));
        draw();
      });
    });
  };

  const nearest = (x, y) => {
    let best = -1, least = Math.max(radius() + 4, 10) ** 2;
    for (let i = 0; i < n; i++) {
      const d = (xs[i] - x) ** 2 + (ys[i] - y) ** 2;
      if (d < least && !(picked.size && !picked.has(codes[i]))) { least = d; best = i; }
    }
    return best;
  };
  const show = (event) => {
    const box = canvas.getBoundingClientRect(), x = event.clientX - box.left, y = event.clientY - box.top;
    const found = nearest(x, y);
    if (found !== hovered) { hovered = found; compose(); }
    tip.hidden = found < 0;
    if (found < 0) return;
    tip.replaceChildren();
    make("b", names[found], tip);
    const list = make("dl", undefined, tip);
    for (const column of data.columns) {
      make("dt", column.key, list);
      make("dd", shown(column, value(column, found)), list);
    }
    const room = 14;
    tip.style.left = `${Math.max(4, x + room + tip.offsetWidth > width ? x - room - tip.offsetWidth : x + room)}px`;
    tip.style.top = `${Math.max(4, Math.min(y + room, height - tip.offsetHeight - 4))}px`;
  };
  const hide = () => {
    tip.hidden = true;
    if (hovered >= 0) { hovered = -1; compose(); }
  };
  const zoom = (factor) => {
    view.scale = Math.min(Math.max(view.scale * factor, 0.5), 60);
    hide();
    draw();
  };
  const all = () => { view = { scale: 1, x: 0, y: 0 }; hide(); draw(); };
  const move = (dx, dy) => { view.x += dx / view.scale; view.y -= dy / view.scale; };

  let drag = null;
  canvas.addEventListener("pointerdown", (event) => {
    drag = { x: event.clientX, y: event.clientY, moved: false };
    canvas.setPointerCapture(event.pointerId);
  });
  canvas.addEventListener("pointermove", (event) => {
    if (drag && (drag.moved || Math.hypot(event.clientX - drag.x, event.clientY - drag.y) > 5)) {
      move(event.clientX - drag.x, event.clientY - drag.y);
      drag = { x: event.clientX, y: event.clientY, moved: true };
      tip.hidden = true;
      hovered = -1;
      draw();
    } else if (!drag) show(event);
  });
  canvas.addEventListener("pointerup", (event) => {
    if (drag && !drag.moved) show(event);
    drag = null;
  });
  canvas.addEventListener("pointercancel", () => { drag = null; });
  canvas.addEventListener("pointerleave", (event) => { if (event.pointerType === "mouse") hide(); });
  canvas.addEventListener("keydown", (event) => {
    const steps = { ArrowLeft: [40, 0], ArrowRight: [-40, 0], ArrowUp: [0, 40], ArrowDown: [0, -40] };
    if (steps[event.key]) { move(...steps[event.key]); draw(); }
    else if (event.key === "+" || event.key === "=") zoom(1.4);
    else if (event.key === "-") zoom(1 / 1.4);
    else if (event.key === "0") all();
    else if (event.key === "Escape") hide();
    else return;
    event.preventDefault();
  });
  byId("zoom-in").addEventListener("click", () => zoom(1.5));
  byId("zoom-out").addEventListener("click", () => zoom(1 / 1.5));
  byId("zoom-all").addEventListener("click", all);

  data.columns.forEach((column, k) => {
    const option = make("option", column.key, select);
    option.value = String(k);
  });
  select.addEventListener("change", () => {
    by = data.columns[Number(select.value)];
    picked = new Set();
    codeAll();
    writeLegend();
    draw();
  });

  for (const table of document.querySelectorAll("table.sortable")) {
    const heads = table.querySelectorAll("thead th");
    heads.forEach((head, k) => {
      if (!head.dataset.sort) return;
      const button = make("button", head.textContent);
      button.type = "button";
      head.replaceChildren(button);
      button.addEventListener("click", () => {
        const number = head.dataset.sort === "number";
        const now = head.getAttribute("aria-sort") || (number ? "ascending" : "descending");
        const sign = now === "ascending" ? -1 : 1;
        heads.forEach((other) => other.removeAttribute("aria-sort"));
        head.setAttribute("aria-sort", sign > 0 ? "ascending" : "descending");
        const rows = [...table.tBodies[0].rows];
        const of = (row) => row.cells[k].dataset.value;
        rows.sort((a, b) => sign * (number ? of(a) - of(b) : of(a).localeCompare(of(b), "en", { numeric: true })));
        table.tBodies[0].append(...rows);
      });
    });
  }

  if (navigator.clipboard) {
    const copy = byId("copy");
    copy.hidden = false;
    copy.addEventListener("click", async () => {
      await navigator.clipboard.writeText(document.querySelector("pre code").textContent);
      copy.textContent = "Copied";
      setTimeout(() => { copy.textContent = "Copy"; }, 1500);
    });
  }

  codeAll();
  writeLegend();
  draw();
  new ResizeObserver(draw).observe(canvas);
  window.matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
  window.addEventListener("beforeprint", () => {
    printing = true;
    document.querySelectorAll("details").forEach((d) => { d.open = true; });
    draw();
  });
  window.addEventListener("afterprint", () => { printing = false; draw(); });
})();
