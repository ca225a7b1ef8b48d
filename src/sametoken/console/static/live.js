// Keeps a page of the console fresh while it is looked at. Every page can be read without it.
"use strict";

(() => {
  const KEPT = 120; // samples: two minutes
  const WIDTH = 320, HEIGHT = 120, LEFT = 34, TOP = 8, BOTTOM = 18;
  const SPACE = "http://www.w3.org/2000/svg";
  const NAMES = { under_way: "under way", backlog: "due", slow: "95 of 100" };
  const status = document.getElementById("stream");
  const main = document.querySelector("main[data-refresh]");
  let samples = [];
  let source = null;
  let told = "";
  let isFetching = false;
  let isWanted = false; // something has changed since the last reading began

  // Plots

  function element(name, attributes, text) {
    const made = document.createElementNS(SPACE, name);
    for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
    if (text !== undefined) made.textContent = text;
    return made;
  }

  function short(value) {
    if (value === null || value === undefined) return "–";
    if (value >= 100 || Number.isInteger(value)) return String(Math.round(value));
    return value >= 10 ? value.toFixed(1) : value.toFixed(2);
  }

  // The least of 1, 2, 5 and their tenfolds that is not below `value`.
  function ceiling(value) {
    const step = 10 ** Math.floor(Math.log10(value || 1));
    return [1, 2, 5, 10].map((one) => one * step).find((one) => one >= value);
  }

  function points(name, top) {
    const width = WIDTH - LEFT - 4, height = HEIGHT - TOP - BOTTOM;
    const last = samples[samples.length - 1].at;
    return samples
      .filter((one) => typeof one[name] === "number" && last - one.at <= KEPT)
      .map((one) => {
        const x = LEFT + width * (1 - (last - one.at) / KEPT);
        return `${x.toFixed(1)},${(TOP + height * (1 - one[name] / top)).toFixed(1)}`;
      })
      .join(" ");
  }

  function draw(figure) {
    const names = figure.dataset.plot.split(" ");
    const values = names.flatMap((name) => samples.map((one) => one[name] || 0));
    const top = ceiling(Math.max(1, ...values));
    const bottom = HEIGHT - BOTTOM;
    const svg = element("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: "img" });
    for (const [y, text] of [[TOP, short(top)], [bottom, "0"]]) {
      svg.append(element("line", { class: "plot-grid", x1: LEFT, x2: WIDTH - 4, y1: y, y2: y }));
      const at = { class: "plot-text", x: LEFT - 5, y: y + 4, "text-anchor": "end" };
      svg.append(element("text", at, text));
    }
    const words = { class: "plot-text", y: HEIGHT - 4 };
    svg.append(element("text", { ...words, x: LEFT }, "2 min ago"));
    svg.append(element("text", { ...words, x: WIDTH - 4, "text-anchor": "end" }, "now"));
    const key = document.createElement("p");
    key.className = "key";
    const said = names.map((name, place) => {
      svg.append(element("polyline", { class: `plot-${place}`, points: points(name, top) }));
      const now = samples[samples.length - 1][name];
      const text = `${NAMES[name] || name} ${short(now)}`;
      const label = document.createElement("span");
      label.textContent = text;
      key.append(label);
      return text;
    });
    const title = figure.querySelector("figcaption").textContent.trim().replace(/\s+/g, " ");
    svg.setAttribute("aria-label", `${title}, now: ${said.join(", ")}; the axis ends at ${short(top)}`);
    figure.querySelectorAll("svg, .key").forEach((one) => one.remove());
    figure.append(svg, key);
  }

  function show() {
    document.querySelectorAll(".needs-script").forEach((one) => one.remove());
    document.querySelectorAll("[data-plot]").forEach(draw);
  }

  // Parts that are read anew

  function isInUse(part) {
    const chosen = document.getSelection();
    const isChosen = chosen && !chosen.isCollapsed && part.contains(chosen.anchorNode);
    return isChosen || part.contains(document.activeElement);
  }

  async function refresh() {
    if (!document.querySelector("[data-live]")) return;
    isWanted = isFetching;
    if (isFetching) return;
    isFetching = true;
    try {
      const reply = await fetch(main.dataset.refresh, { cache: "no-store", redirect: "manual" });
      if (reply.ok) {
        const fresh = new DOMParser().parseFromString(await reply.text(), "text/html");
        for (const part of document.querySelectorAll("[data-live]")) {
          const newer = fresh.querySelector(`[data-live="${part.dataset.live}"]`);
          if (newer && !isInUse(part) && newer.innerHTML !== part.innerHTML) {
            part.replaceWith(document.importNode(newer, true));
          }
        }
      }
    } catch {
      // The stream says so.
    } finally {
      isFetching = false;
      if (isWanted) refresh();
    }
  }

  // The stream

  function hear(message) {
    const news = JSON.parse(message.data);
    if (!news.length) return;
    samples = [...samples, ...news].slice(-KEPT);
    status.textContent = "live";
    show();
    const { moves, strikes, heard, frozen } = samples[samples.length - 1];
    const now = JSON.stringify([moves, strikes, heard, frozen]);
    // Also at first: something may have changed since the page was made.
    if (now !== told) refresh();
    told = now;
  }

  function look() {
    if (source) return;
    samples = [];
    told = "";
    source = new EventSource(status.dataset.events);
    source.onmessage = hear;
    source.onerror = () => {
      status.textContent = "not live";
    };
  }

  function lookAway() {
    if (source) source.close();
    source = null;
    status.textContent = "";
  }

  if (status && main) {
    document.addEventListener("visibilitychange", () => (document.hidden ? lookAway() : look()));
    window.addEventListener("pagehide", lookAway);
    window.addEventListener("pageshow", () => document.hidden || look());
  }
})();
