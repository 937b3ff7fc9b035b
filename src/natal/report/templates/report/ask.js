// The posterior of (Q0, a) of a cluster whose summaries the reader sets, from the campaign's own networks. The law of each
// cell of the prior's box is worked out once; a move of a slider then costs the density of one observation in all of them.
// Sources: likelihood/density.py (networks), likelihood/mixture_density.py (densities), which tests compare with this.
(() => {
  const section = document.getElementById("asking");
  const law = JSON.parse(document.getElementById("law").textContent);
  const floats = (text) => new Float32Array(Uint8Array.from(atob(text), (c) => c.charCodeAt(0)).buffer);
  const nq = law.cells[0], na = law.cells[1], C = law.components;
  const middles = law.prior.map(([low, high], k) => Array.from({ length: law.cells[k] }, (_, i) => low + ((high - low) * (i + 0.5)) / law.cells[k]));
  let table = null;

  const layer = (w, b, x, tanh) => {
    const n = x.length, out = new Float64Array(b.length);
    for (let i = 0; i < b.length; i++) {
      let sum = b[i];
      for (let j = 0; j < n; j++) sum += w[i * n + j] * x[j];
      out[i] = tanh ? Math.tanh(sum) : sum;
    }
    return out;
  };

  // P(Z > x) of a standard normal number, to 1e-7 of it (Press et al., Numerical Recipes, erfcc)
  const beyond = (x) => {
    const z = Math.abs(x) / Math.SQRT2, t = 1 / (1 + 0.5 * z);
    const p = [0.17087277, -0.82215223, 1.48851587, -1.13520398, 0.27886807, -0.18628806, 0.09678418, 0.37409196, 1.00002368, -1.26551223];
    let sum = p[0];
    for (let k = 1; k < p.length; k++) sum = sum * t + p[k];
    const tail = 0.5 * t * Math.exp(-z * z + sum);
    return x < 0 ? 1 - tail : tail;
  };
  const between = (low, high) => (low > 0 ? beyond(low) - beyond(high) : beyond(-high) - beyond(-low));
  const logit = (share) => Math.log(share / (1 - share));
  // latent limits of the cells of counts, as Counts.cell
  const edge = (count) => (count < 0.5 ? -40 : count > law.stars + 0.5 ? 40 : logit(count / (law.stars + 1)));

  const NODES = [-Math.sqrt(3), 0, Math.sqrt(3)], WEIGHTS = [1 / 6, 2 / 3, 1 / 6];

  // per cell and component: ln height, location (3), lower triangle (6)
  const WIDTH = 10;
  const tabulate = () => {
    const members = law.members.map((m) => m.layers.map(([w, b]) => [floats(w), floats(b)]));
    const values = new Float64Array(nq * na * members.length * C * WIDTH);
    const lowest = law.fewest ? logit(law.fewest / (law.stars + 1)) : -40;
    let place = 0;
    for (const q0 of middles[0]) for (const a of middles[1]) {
      const x = [q0, a].map((value, k) => {
        const { log, low, high } = law.inputs[k];
        const at = log ? Math.log(value) : value;
        return Math.sqrt(3) * ((2 * (at - low)) / (high - low) - 1);
      });
      members.forEach((layers, m) => {
        let raw = x;
        layers.forEach(([w, b], k) => { raw = layer(w, b, raw, k < layers.length - 1); });
        const { shift, scale } = law.members[m];
        let largest = -Infinity, total = 0;
        for (let c = 0; c < C; c++) largest = Math.max(largest, raw[1 + c]);
        for (let c = 0; c < C; c++) total += Math.exp(raw[1 + c] - largest);
        const survives = -Math.log1p(Math.exp(-raw[0]));
        for (let c = 0; c < C; c++) {
          const own = raw.subarray(1 + C + 9 * c, 1 + C + 9 * (c + 1));
          const d = [0, 1, 2].map((k) => scale[k] * Math.exp(own[3 + k]));
          const [l10, l20, l21] = [scale[1] * own[6], scale[2] * own[7], scale[2] * own[8]];
          const location = [0, 1, 2].map((k) => shift[k] + scale[k] * own[k] + law.powers[k] * (Math.log(a) - (law.lengths[k] ? 0 : law.middle)));
          let height = survives + raw[1 + c] - largest - Math.log(total) - Math.log(d[0] * d[1]);
          if (law.fewest) height -= Math.log(Math.max(beyond((lowest - location[2]) / Math.hypot(l20, l21, d[2])), 1e-30));
          values.set([height, ...location, d[0], l10, d[1], l20, l21, d[2]], place);
          place += WIDTH;
        }
      });
    }
    return values;
  };

  // edges of bins of counts and the density of the measured share in each, as _bins of mixture_density.py
  const bins = (share, error) => {
    const reach = 0.5 + 5 * law.stars * error, N = 24;
    const first = Math.min(Math.max(Math.ceil(law.stars * share - reach), law.fewest), law.stars);
    const last = Math.min(Math.max(Math.floor(law.stars * share + reach), first), law.stars);
    const numbers = Array.from({ length: N }, (_, k) => Math.round(first + ((last - first) * k) / (N - 1)));
    numbers.push(last + 1);
    const edges = [edge(first)], weights = [];
    for (let k = 0; k < N; k++) {
      if (numbers[k + 1] <= numbers[k]) continue;
      const low = (numbers[k] - 0.5) / law.stars, high = (numbers[k + 1] - 0.5) / law.stars;
      weights.push(Math.max(between((low - share) / error, (high - share) / error) / (high - low), 1e-30));
      edges.push(edge(numbers[k + 1]));
    }
    return { edges, weights };
  };

  // ln of the density of y = (f_bound, sizes) with errors in a component; sizes are measured exactly where both errors are 0
  const posterior = (y, error) => {
    const n = nq * na, per = law.members.length * C, result = new Float64Array(n);
    const count = Math.max(law.stars * y[0], law.fewest);
    const counted = error[0] > 0 ? bins(y[0], error[0]) : { edges: [edge(count), edge(count + 1)], weights: [law.stars] };
    const exact = error[1] === 0 && error[2] === 0;
    // errors so small that the exponential is straight across them could only add rounding
    const noise = [1, 2].map((k) => Math.max(error[k], 1e-3 * y[k])), straight = error[1] < 1e-3 * y[1] && error[2] < 1e-3 * y[2];
    const u = [Math.log(y[1]), Math.log(y[2])], terms = new Float64Array(per);
    for (let cell = 0; cell < n; cell++) {
      let largest = -Infinity;
      for (let c = 0; c < per; c++) {
        const k = (cell * per + c) * WIDTH;
        const h = table[k], m0 = table[k + 1], m1 = table[k + 2], m2 = table[k + 3];
        const l00 = table[k + 4], l10 = table[k + 5], l11 = table[k + 6], l20 = table[k + 7], l21 = table[k + 8], l22 = table[k + 9];
        let exponent, z, spread;
        if (exact) {
          const i0 = (u[0] - m0) / l00, i1 = (u[1] - m1 - l10 * i0) / l11;
          exponent = h - 0.5 * (i0 * i0 + i1 * i1);
          z = m2 + l20 * i0 + l21 * i1;
          spread = l22;
        } else {
          // around the most probable true sizes (Newton's steps), as _condition
          let t0 = u[0], t1 = u[1], i0, i1, r00, r10, r11, w0, w1;
          for (let step = 0; step < 5; step++) {
            const v0 = Math.exp(t0), v1 = Math.exp(t1);
            const a0 = t0 + (y[1] - v0) / v0 - m0, a1 = t1 + (y[2] - v1) / v1 - m1;
            const s00 = l00 * l00 + (error[1] / v0) ** 2, s10 = l00 * l10, s11 = l10 * l10 + l11 * l11 + (error[2] / v1) ** 2;
            r00 = Math.sqrt(s00); r10 = s10 / r00; r11 = Math.sqrt(s11 - r10 * r10);
            w0 = a0 / r00; w1 = (a1 - r10 * w0) / r11;
            const x1 = w1 / r11, x0 = (w0 - r10 * x1) / r00;
            i0 = l00 * x0 + l10 * x1; i1 = l11 * x1;
            if (step === 4) break;
            const n0 = m0 + l00 * i0, n1 = m1 + l10 * i0 + l11 * i1;
            t0 += Math.max(-1.5, Math.min(1.5, n0 - t0));
            t1 += Math.max(-1.5, Math.min(1.5, n1 - t1));
          }
          exponent = h - 0.5 * (w0 * w0 + w1 * w1) - Math.log((r00 * r11) / (l00 * l11)) - t0 - t1;
          // what the sizes leave open of the independent numbers: 1 - L^T S^-1 L, and its own triangle
          const c00 = l00 / r00, c01 = (l10 - r10 * c00) / r11, c11 = l11 / r11;
          const q00 = Math.sqrt(Math.max(1 - c00 * c00 - c01 * c01, 0) + 4e-6), q10 = -(c01 * c11) / q00;
          const q11 = Math.sqrt(Math.max(1 - c11 * c11 + 4e-6 - q10 * q10, 4e-6));
          // Gauss and Hermite's nodes around them, for the curve of the exponential, as _skew
          const off = (j0, j1) => {
            const d0 = (y[1] - Math.exp(m0 + l00 * j0)) / noise[0], d1 = (y[2] - Math.exp(m1 + l10 * j0 + l11 * j1)) / noise[1];
            return -0.5 * (j0 * j0 + j1 * j1 + d0 * d0 + d1 * d1);
          };
          const here = off(i0, i1);
          let total = 0, first = 0, second = 0;
          for (let p = 0; p < 3; p++) for (let q = 0; q < 3; q++) {
            const s0 = NODES[p], s1 = NODES[q], j0 = i0 + q00 * s0, j1 = i1 + q10 * s0 + q11 * s1;
            const weight = WEIGHTS[p] * WEIGHTS[q] * (straight ? 1 : Math.exp(off(j0, j1) - here + 0.5 * (s0 * s0 + s1 * s1)));
            const along = l20 * j0 + l21 * j1;
            total += weight; first += weight * along; second += weight * along * along;
          }
          first /= total;
          exponent += Math.log(total);
          z = m2 + first;
          spread = Math.sqrt(l22 * l22 + Math.max(second / total - first * first, 0));
        }
        let share = 0;
        for (let b = 0; b < counted.weights.length; b++) share += counted.weights[b] * between((counted.edges[b] - z) / spread, (counted.edges[b + 1] - z) / spread);
        terms[c] = exponent + Math.log(Math.max(share, 1e-300));
        largest = Math.max(largest, terms[c]);
      }
      let sum = 0;
      for (let c = 0; c < per; c++) sum += Math.exp(terms[c] - largest);
      result[cell] = largest + Math.log(sum);
    }
    const top = result.reduce((a, b) => Math.max(a, b), -Infinity);
    let total = 0;
    for (let cell = 0; cell < n; cell++) { result[cell] = Math.exp(result[cell] - top); total += result[cell]; }
    for (let cell = 0; cell < n; cell++) result[cell] /= total;
    return result;
  };

  const describe = (mass, k) => {
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

  const fields = [...section.querySelectorAll("[data-summary]")].map((row) => ({
    slider: row.querySelector("input[type=range]"), value: row.querySelector("input[data-value]"), error: row.querySelector("input[data-error]"),
  }));
  const answers = section.querySelectorAll("[data-answer]"), said = section.querySelector("[role=status]");
  const digits = (x, sd) => x.toFixed(Math.max(0, Math.min(6, 2 - Math.floor(Math.log10(Math.max(sd, 1e-9))))));
  const answer = () => {
    const y = fields.map((f) => parseFloat(f.value.value)), error = fields.map((f) => parseFloat(f.error.value || "0"));
    const wrong = y.some((v, k) => !(v > 0) || (k === 0 && v > 1)) || error.some((e) => !(e >= 0) || e > 1e6);
    said.textContent = wrong ? "Values must be above 0, the bound fraction at most 1, errors not negative." : "";
    if (wrong) return null;
    table = table || tabulate();
    const mass = posterior(y, error);
    [0, 1].forEach((k) => {
      const found = describe(mass, k);
      answers[k].textContent = `${digits(found.mean, found.sd)} ± ${digits(found.sd, found.sd)} (95 %: ${digits(found.low, found.sd)} to ${digits(found.high, found.sd)})`;
    });
    draw(mass);
    return mass;
  };
  fields.forEach((f) => {
    f.slider.addEventListener("input", () => { f.value.value = f.slider.value; answer(); });
    f.value.addEventListener("input", () => { f.slider.value = f.value.value; answer(); });
    f.error.addEventListener("input", answer);
  });
  section.hidden = false;
  document.querySelectorAll("[data-needs-script]").forEach((one) => { one.hidden = false; });
  // the networks are evaluated when somebody looks: half a second
  new IntersectionObserver((seen, watcher) => { if (seen.some((one) => one.isIntersecting)) { watcher.disconnect(); answer(); } }).observe(canvas);
  window.natalAnswer = (y, error) => { table = table || tabulate(); return Array.from(posterior(y, error)); };
})();
