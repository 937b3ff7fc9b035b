// The posterior of (Q0, a) of a cluster whose three summaries are known, from the campaign's own networks. The law of each
// cell of the prior's box is worked out once; a move of a slider then costs the density of one observation in all of them.
// Sources: likelihood/density.py (networks), likelihood/mixture_density.py (densities), which tests compare with this.
natal.summaries = (law, cells, prior) => {
  const { beyond } = natal, counts = natal.counts(law);
  const nq = cells[0], na = cells[1], C = law.components;
  const middles = prior.map((range, k) => natal.middles(range, cells[k]));
  let table = null;

  const NODES = [-Math.sqrt(3), 0, Math.sqrt(3)], WEIGHTS = [1 / 6, 2 / 3, 1 / 6];

  // per cell and component: ln height, location (3), lower triangle (6)
  const WIDTH = 10;
  const tabulate = () => {
    const members = natal.networks(law.members);
    const values = new Float64Array(nq * na * members.length * C * WIDTH);
    let place = 0;
    for (const q0 of middles[0]) for (const a of middles[1]) {
      const x = [q0, a].map((value, k) => {
        const { log, low, high } = law.inputs[k];
        const at = log ? Math.log(value) : value;
        return Math.sqrt(3) * ((2 * (at - low)) / (high - low) - 1);
      });
      members.forEach((network, m) => {
        const raw = network(x);
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
          if (law.fewest) height -= Math.log(Math.max(beyond((counts.lowest - location[2]) / Math.hypot(l20, l21, d[2])), 1e-30));
          values.set([height, ...location, d[0], l10, d[1], l20, l21, d[2]], place);
          place += WIDTH;
        }
      });
    }
    return values;
  };

  // ln of the density of y = (f_bound, sizes) with errors in a component; sizes are measured exactly where both errors are 0
  const posterior = (y, error) => {
    table = table || tabulate();
    const per = law.members.length * C;
    const counted = counts.known(y[0], error[0]);
    const exact = error[1] === 0 && error[2] === 0;
    // errors so small that the exponential is straight across them could only add rounding
    const noise = [1, 2].map((k) => Math.max(error[k], 1e-3 * y[k])), straight = error[1] < 1e-3 * y[1] && error[2] < 1e-3 * y[2];
    const temperature = 1 + law.tempering * Math.max(law.tempered_below - Math.max(y[0], 0), 0);
    const u = [Math.log(y[1]), Math.log(y[2])], terms = new Float64Array(per);
    return natal.everyCell(nq, na, (cell) => {
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
        terms[c] = exponent + Math.log(counts.density(counted, z, spread));
        largest = Math.max(largest, terms[c]);
      }
      let sum = 0;
      for (let c = 0; c < per; c++) sum += Math.exp(terms[c] - largest);
      return (largest + Math.log(sum)) / temperature;
    });
  };

  return (y, error) => ({ mass: posterior(y, error), middles });
};
