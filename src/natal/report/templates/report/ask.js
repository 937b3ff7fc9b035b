// The posterior of (Q0, a) of a cluster that the reader describes: fields and sliders in, regions and numbers out.
// Three summaries at the campaign's own age and mass have a law of their own (ask_summaries.js), all else ask_observables.js.
(() => {
  const section = document.getElementById("asking");
  const data = JSON.parse(document.getElementById("law").textContent);
  const [nq, na] = data.cells;
  const summaries = data.summaries && natal.summaries(data.summaries, data.cells, data.prior);
  const observables = data.observables && natal.observables(data.observables, data.cells);

  const describe = ({ mass, middles }, k) => {
    const at = middles[k], width = at[1] - at[0], marginal = new Float64Array(at.length);
    for (let i = 0; i < nq; i++) for (let j = 0; j < na; j++) marginal[k ? j : i] += mass[i * na + j];
    let mean = 0, square = 0;
    marginal.forEach((p, i) => { mean += p * at[i]; square += p * (at[i] ** 2 + width ** 2 / 12); });
    const quantile = (level) => {
      let below = 0, i = 0;
      while (i < at.length - 1 && below + marginal[i] < level) below += marginal[i++];
      return at[i] - width / 2 + (width * (level - below)) / marginal[i];
    };
    return { mean, sd: Math.sqrt(square - mean * mean), low: quantile(0.025), high: quantile(0.975) };
  };

  const canvas = section.querySelector("canvas"), context = canvas.getContext("2d");
  const draw = (mass) => {
    const order = Array.from(mass.keys()).sort((a, b) => mass[b] - mass[a]);
    const level = new Float64Array(mass.length);
    let inside = 0;
    for (const cell of order) { inside += mass[cell]; level[cell] = inside - mass[cell]; }
    const w = canvas.width / nq, h = canvas.height / na;
    context.fillStyle = "#fff";
    context.fillRect(0, 0, canvas.width, canvas.height);
    for (let i = 0; i < nq; i++) for (let j = 0; j < na; j++) {
      const inner = level[i * na + j];
      if (inner >= 0.95) continue;
      context.fillStyle = inner < 0.68 ? "#0072b2" : "#99c7e0";
      context.fillRect(Math.floor(i * w), Math.floor(canvas.height - (j + 1) * h), Math.ceil(w), Math.ceil(h));
    }
  };

  const fields = [...section.querySelectorAll("[data-observable]")].map((row) => ({
    name: row.dataset.observable, unit: row.dataset.unit, use: row.querySelector("[data-use]"), slider: row.querySelector("input[type=range]"),
    value: row.querySelector("[data-value]"), error: row.querySelector("[data-error]"),
  }));
  fields.forEach((f) => { f.range = [f.slider.min, f.slider.max, f.slider.step, f.value.value].map(parseFloat); });
  const own = ["age", "mass"].map((name) => section.querySelector(`[data-${name}]`)).filter(Boolean);
  const answers = section.querySelectorAll("[data-answer]"), said = section.querySelector("[role=status]"), by = section.querySelector("[data-by]");
  const ends = section.querySelectorAll("[data-a]");
  const short = (x) => String(parseFloat(x.toPrecision(3)));
  const digits = (x, sd) => x.toFixed(Math.max(0, Math.min(6, 2 - Math.floor(Math.log10(Math.max(sd, 1e-9))))));

  const isSigned = (name) => Boolean(data.observables) && data.observables.sizes.some((size) => size.name === name && !size.log);
  const isShare = (name) => name === (data.observables || { count: "f_bound" }).count;
  // what is wrong with the fields, or nothing
  const mistake = (on) => {
    if (!on.length) return "Switch something on that was observed.";
    for (const [name, [v, e]] of on) {
      if (!Number.isFinite(v) || (v <= 0 && !isSigned(name))) return `${name} must be a number above 0.`;
      if (isShare(name) && v > 1) return `${name} must be at most 1.`;
      if (!(e >= 0 && e <= 1e9)) return `The error of ${name} must not be negative.`;
    }
    return own.every((field) => parseFloat(field.value) > 0) ? "" : "Age and mass must be above 0.";
  };
  const ask = (on) => {
    const [age, mass] = own.map((field) => parseFloat(field.value));
    const names = on.map(([name]) => name), isOwn = own.every((field) => field.value === field.defaultValue);
    const three = data.summaries ? data.summaries.fields.map((field) => field.name) : [];
    if (summaries && isOwn && names.length === three.length && three.every((name) => names.includes(name))) {
      const seen = Object.fromEntries(on), parts = [0, 1].map((part) => three.map((name) => seen[name][part]));
      return { ...summaries(...parts), by: "the law of the three summaries" };
    }
    return { ...observables(Object.fromEntries(on), age, mass), by: "the law of all observables" };
  };
  const answer = () => {
    const on = fields.filter((f) => !f.use || f.use.checked).map((f) => [f.name, [parseFloat(f.value.value), parseFloat(f.error.value || "0")]]);
    said.textContent = mistake(on);
    if (said.textContent) return;
    const found = ask(on);
    if (!found.mass) { said.textContent = "Nothing was simulated that is like this cluster at this age and mass."; return; }
    [0, 1].forEach((k) => {
      const { mean, sd, low, high } = describe(found, k);
      answers[k].textContent = `${digits(mean, sd)} ± ${digits(sd, sd)} (95 %: ${digits(low, sd)} to ${digits(high, sd)})`;
    });
    const a = found.middles[1], half = (a[1] - a[0]) / 2;
    ends[0].textContent = short(a[0] - half);
    ends[1].textContent = short(a[na - 1] + half);
    if (by) by.textContent = found.by;
    draw(found.mass);
  };

  fields.forEach((f) => {
    // what is moved was observed
    const change = (from, to) => () => { to.value = from.value; if (f.use) f.use.checked = true; answer(); };
    f.slider.addEventListener("input", change(f.slider, f.value));
    f.value.addEventListener("input", change(f.value, f.slider));
    f.error.addEventListener("input", answer);
    if (f.use) f.use.addEventListener("change", answer);
  });
  // another age or mass: sliders reach as far as clusters of the prior do there
  own.forEach((field) => field.addEventListener("input", () => {
    const [age, mass] = own.map((one) => parseFloat(one.value));
    if (age > 0 && mass > 0) {
      const reach = observables.priorOfA(age, mass), box = data.observables.a_au;
      const size = Math.sqrt((reach[0] * reach[1]) / (box[0] * box[1])), speed = Math.sqrt(mass / data.observables.mass_msun / size);
      for (const f of fields) {
        const factor = { AU: size, "km/s": speed }[f.unit] || 1;
        const [low, high, step, middle] = f.range.map((x) => parseFloat((x * factor).toPrecision(6)));
        Object.assign(f.slider, { min: low, max: high, step });
        if (!f.use.checked) f.value.value = middle;
        f.slider.value = f.value.value;
      }
    }
    answer();
  }));

  section.hidden = false;
  document.querySelectorAll("[data-needs-script]").forEach((one) => { one.hidden = false; });
  // the networks are evaluated when somebody looks: half a second, those of all observables bit by bit
  new IntersectionObserver((seen, watcher) => {
    if (!seen.some((one) => one.isIntersecting)) return;
    watcher.disconnect();
    answer();
    const more = () => { if (observables.prepare()) setTimeout(more); };
    if (observables) setTimeout(more);
  }).observe(canvas);
  window.natalAnswer = (y, error) => Array.from(summaries(y, error).mass);
  window.natalAnswerAny = (seen, age, mass) => { const found = observables(seen, age, mass); return [Array.from(found.mass), found.middles]; };
})();
