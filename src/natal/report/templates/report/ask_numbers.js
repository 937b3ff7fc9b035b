// What both laws of the page compute with: networks, the normal distribution, numbers of bound stars.
// Sources: likelihood/density.py (networks), likelihood/mixture_density.py (counts).
const natal = (() => {
  const floats = (text) => new Float32Array(Uint8Array.from(atob(text), (c) => c.charCodeAt(0)).buffer);

  const layer = (w, b, x, tanh) => {
    const n = x.length, out = new Float64Array(b.length);
    for (let i = 0; i < b.length; i++) {
      let sum = b[i];
      for (let j = 0; j < n; j++) sum += w[i * n + j] * x[j];
      out[i] = tanh ? Math.tanh(sum) : sum;
    }
    return out;
  };
  const networks = (members) => members.map((m) => {
    const layers = m.layers.map(([w, b]) => [floats(w), floats(b)]);
    return (x) => layers.reduce((raw, [w, b], k) => layer(w, b, raw, k < layers.length - 1), x);
  });

  // P(Z > x) of a standard normal number, to 1e-7 of it (Press et al., Numerical Recipes, erfcc)
  const ERFCC = [0.17087277, -0.82215223, 1.48851587, -1.13520398, 0.27886807, -0.18628806, 0.09678418, 0.37409196, 1.00002368, -1.26551223];
  const beyond = (x) => {
    const z = Math.abs(x) / Math.SQRT2, t = 1 / (1 + 0.5 * z);
    let sum = ERFCC[0];
    for (let k = 1; k < ERFCC.length; k++) sum = sum * t + ERFCC[k];
    const tail = 0.5 * t * Math.exp(-z * z + sum);
    return x < 0 ? 1 - tail : tail;
  };
  // the same between -5 and 5, three times as fast: cubics through its values and slopes
  const FINE = 64, REACH = 5;
  const knots = Float64Array.from({ length: 2 * (2 * REACH * FINE + 1) }, (_, k) => {
    const x = (k >> 1) / FINE - REACH;
    return k % 2 ? -Math.exp(-0.5 * x * x) / Math.sqrt(2 * Math.PI) / FINE : beyond(x);
  });
  const tail = (x) => {
    if (!(x > -REACH && x < REACH)) return beyond(x);
    const at = (x + REACH) * FINE, k = Math.floor(at), t = at - k, s = 1 - t, i = 2 * k;
    return s * s * ((1 + 2 * t) * knots[i] + t * knots[i + 1]) + t * t * ((3 - 2 * t) * knots[i + 2] - s * knots[i + 3]);
  };
  const between = (low, high) => (low > 0 ? beyond(low) - beyond(high) : beyond(-high) - beyond(-low));
  const logit = (share) => Math.log(share / (1 - share));

  // The numbers of bound stars that a cluster may have; `fewest` of one that survives.
  const counts = ({ stars, fewest }) => {
    // latent limits of the cells of counts, as Counts.cell
    const edge = (count) => (count < 0.5 ? -40 : count > stars + 0.5 ? 40 : logit(count / (stars + 1)));
    // edges of bins of counts and the density of the measured share in each, as _bins of mixture_density.py
    const bins = (share, error) => {
      const reach = 0.5 + 5 * stars * error, N = 24;
      const first = Math.min(Math.max(Math.ceil(stars * share - reach), fewest), stars);
      const last = Math.min(Math.max(Math.floor(stars * share + reach), first), stars);
      const numbers = Array.from({ length: N }, (_, k) => Math.round(first + ((last - first) * k) / (N - 1)));
      numbers.push(last + 1);
      const edges = [edge(first)], weights = [];
      for (let k = 0; k < N; k++) {
        if (numbers[k + 1] <= numbers[k]) continue;
        const low = (numbers[k] - 0.5) / stars, high = (numbers[k + 1] - 0.5) / stars;
        weights.push(Math.max(between((low - share) / error, (high - share) / error) / (high - low), 1e-30));
        edges.push(edge(numbers[k + 1]));
      }
      return { edges, weights };
    };
    return {
      lowest: fewest ? logit(fewest / (stars + 1)) : -40,
      // what is known of the share of bound stars; `most`: ln of the largest density of that
      known: (share, error) => {
        if (error > 0) { const found = bins(share, error); return { ...found, most: Math.log(Math.max(...found.weights)) }; }
        const count = Math.max(stars * share, fewest);
        return { edges: [edge(count), edge(count + 1)], weights: [stars], most: Math.log(stars) };
      },
      survived: { edges: [edge(fewest), 40], weights: [1], most: 0 },
      // the density of that where the latent count is normal
      density: ({ edges, weights }, z, spread) => {
        let sum = 0;
        if (weights.length === 1) sum = weights[0] * between((edges[0] - z) / spread, (edges[1] - z) / spread);
        else {
          // tails on the side of the edges where they are small
          const side = edges[0] > z ? spread : -spread;
          let before = tail((edges[0] - z) / side);
          for (let b = 0; b < weights.length; b++) {
            const here = tail((edges[b + 1] - z) / side);
            sum += weights[b] * Math.abs(before - here);
            before = here;
          }
        }
        return Math.max(sum, 1e-300);
      },
    };
  };

  // ln of densities, changed into masses that add up to one; null where there is none
  const normalised = (values) => {
    const top = values.reduce((a, b) => Math.max(a, b), -Infinity);
    if (top === -Infinity) return null;
    let total = 0;
    for (let cell = 0; cell < values.length; cell++) { values[cell] = Math.exp(values[cell] - top); total += values[cell]; }
    for (let cell = 0; cell < values.length; cell++) values[cell] /= total;
    return values;
  };
  // A value for every cell: every second one in both directions first, then those beside a cell that is not far below the
  // best of these. Posteriors are wider than a cell.
  const everyCell = (nq, na, value) => {
    const result = new Float64Array(nq * na).fill(-Infinity);
    let best = -Infinity;
    for (let i = 0; i < nq; i += 2) for (let j = 0; j < na; j += 2) {
      result[i * na + j] = value(i * na + j, best);
      best = Math.max(best, result[i * na + j]);
    }
    const floor = best - 14;
    for (let i = 0; i < nq; i++) for (let j = 0; j < na; j++) {
      if (i % 2 === 0 && j % 2 === 0) continue;
      const i0 = i - (i % 2), i1 = Math.min(i + (i % 2), nq - 1 - ((nq - 1) % 2)), j0 = j - (j % 2), j1 = Math.min(j + (j % 2), na - 1 - ((na - 1) % 2));
      if (Math.max(result[i0 * na + j0], result[i0 * na + j1], result[i1 * na + j0], result[i1 * na + j1]) < floor) continue;
      result[i * na + j] = value(i * na + j, best);
    }
    return normalised(result);
  };
  const middles = ([low, high], n) => Array.from({ length: n }, (_, i) => low + ((high - low) * (i + 0.5)) / n);

  return { networks, beyond, counts, everyCell, middles };
})();
