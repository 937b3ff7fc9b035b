// The posterior of (Q0, a) of a cluster of which any of the campaign's summaries and observables are known, at an age and a
// mass. What is not known is integrated out: of normal numbers rows are dropped. The networks are worked out once over Q0
// and ln tau, and interpolated; laws of what is known in each cell once for each age and mass.
// Sources: likelihood/joint_network.py, likelihood/joint.py, posterior/joint_grid.py, posterior/catalogue.py (prior).
natal.observables = (law, cells) => {
  const [nq, na] = cells, n = law.sizes.length, C = law.components, M = law.members.length, per = M * C;
  const counts = natal.counts(law), [lowTau, highTau] = law.log_tau;
  const q0 = natal.middles(law.prior ? law.prior[0] : law.q0, nq);
  const STEPS = 384; // N_TAU of joint_grid.py
  const PLACES = 48, OUTPUTS = 1 + C * (1 + (n + 1) + ((n + 1) * (n + 2)) / 2);
  const at = (i, j) => (i * (i + 1)) / 2 + j; // in a lower triangle, row by row

  const logTau = (age, mass, a) => Math.log(age) + 0.5 * Math.log(law.gravity * mass) - 1.5 * Math.log(a);
  const speed = (mass, a) => law.kms * Math.sqrt((law.gravity * mass) / a);

  // the range of the prior in a, as _prior_a of catalogue.py for an age and a mass without errors
  const priorOfA = (age, mass) => {
    const one = logTau(age, mass, 1);
    const [low, high] = law.prior ? law.prior[1] : law.a_au;
    if (law.prior) return [Math.max(low, Math.exp((one - highTau) / 1.5) / 1.5), Math.min(high, Math.exp((one - lowTau) / 1.5) * 1.5)];
    const ends = [high, low].map((a) => Math.min(Math.max(one - 1.5 * Math.log(a), lowTau), highTau));
    if (ends[1] - ends[0] >= 0.5 * 1.5 * Math.log(high / low)) return [low, high];
    const size = (age / law.t_end_yr) ** (2 / 3) * (mass / law.mass_msun) ** (1 / 3);
    return [low * size, high * size];
  };

  // what the networks say at every Q0 and PLACES of ln tau; one row in Q0 at a time, for a page that stays awake
  let raw = null, rows = 0, networks = null;
  const prepare = () => {
    if (rows === nq) return false;
    networks = networks || natal.networks(law.members);
    raw = raw || new Float32Array(nq * PLACES * M * OUTPUTS);
    const place = (x, [low, high]) => Math.sqrt(12) * ((x - 0.5 * (low + high)) / (high - low));
    for (let t = 0; t < PLACES; t++) {
      const x = [place(q0[rows], law.q0), place(lowTau + ((highTau - lowTau) * t) / (PLACES - 1), law.log_tau)];
      networks.forEach((network, m) => raw.set(network(x), ((rows * PLACES + t) * M + m) * OUTPUTS));
    }
    rows += 1;
    return rows < nq;
  };

  // Laws of some sizes and of the count: per cell and component ln weight, location, covariance, in physical units. A cell
  // whose tau was not simulated has the weight null.
  let laws = null, key = "";
  const tabulate = (kept, age, mass) => {
    const wanted = JSON.stringify([kept, age, mass]);
    if (wanted === key) return laws;
    while (prepare());
    const m = kept.length + 1, width = 1 + m + at(m, 0), rowsKept = [...kept, n], here = new Float64Array(OUTPUTS);
    const table = new Float32Array(nq * na * per * width), simulated = new Uint8Array(na);
    const a = natal.middles(priorOfA(age, mass), na), step = (highTau - lowTau) / STEPS, lower = new Float64Array(m * (n + 1));
    for (let j = 0; j < na; j++) {
      const bin = Math.floor((logTau(age, mass, a[j]) - lowTau) / step);
      simulated[j] = bin >= 0 && bin < STEPS;
      if (!simulated[j]) continue;
      // Lagrange's cubic through the four nearest places
      const along = (((bin + 0.5) * step) / (highTau - lowTau)) * (PLACES - 1);
      const first = Math.min(Math.max(Math.floor(along) - 1, 0), PLACES - 4), x = along - first;
      const share = [-((x - 1) * (x - 2) * (x - 3)) / 6, (x * (x - 2) * (x - 3)) / 2, -(x * (x - 1) * (x - 3)) / 2, (x * (x - 1) * (x - 2)) / 6];
      const unit = law.sizes.map((size) => (size.unit === "a" ? a[j] : size.unit === "speed" ? speed(mass, a[j]) : 1));
      const factor = rowsKept.map((k) => (k < n && !law.sizes[k].log ? unit[k] : 1));
      const shift = rowsKept.map((k) => (k < n && law.sizes[k].log ? Math.log(unit[k]) : 0));
      for (let i = 0; i < nq; i++) for (let member = 0; member < M; member++) {
        const from = ((i * PLACES + first) * M + member) * OUTPUTS, next = M * OUTPUTS;
        for (let k = 1; k < OUTPUTS; k++) here[k] = share[0] * raw[from + k] + share[1] * raw[from + next + k] + share[2] * raw[from + 2 * next + k] + share[3] * raw[from + 3 * next + k];
        const own = law.members[member];
        let largest = -Infinity, total = 0;
        for (let c = 0; c < C; c++) largest = Math.max(largest, here[1 + c]);
        for (let c = 0; c < C; c++) total += Math.exp(here[1 + c] - largest);
        for (let c = 0; c < C; c++) {
          const start = 1 + C + (c * (OUTPUTS - 1 - C)) / C, diagonal = start + n + 1, below = diagonal + n + 1;
          let place = ((i * na + j) * per + member * C + c) * width;
          table[place++] = here[1 + c] - largest - Math.log(total);
          for (let r = 0; r < m; r++) {
            const k = rowsKept[r];
            table[place++] = (own.shift[k] + own.scale[k] * here[start + k]) * factor[r] + shift[r];
            for (let s = 0; s < k; s++) lower[r * (n + 1) + s] = here[below + (k * (k - 1)) / 2 + s];
            lower[r * (n + 1) + k] = Math.exp(here[diagonal + k]);
          }
          for (let r = 0; r < m; r++) for (let s = 0; s <= r; s++) {
            let sum = 0;
            for (let k = 0; k <= rowsKept[s]; k++) sum += lower[r * (n + 1) + k] * lower[s * (n + 1) + k];
            table[place++] = sum * own.scale[rowsKept[r]] * own.scale[rowsKept[s]] * factor[r] * factor[s];
          }
        }
      }
    }
    key = wanted;
    laws = { table, width, simulated, a };
    return laws;
  };

  // `seen` has [value, error] by name; `share` is that of bound stars, or null
  return Object.assign((seen, age, mass) => {
    const kept = law.sizes.map((_, k) => k).filter((k) => law.sizes[k].name in seen), m = kept.length;
    const { table, width, simulated, a } = tabulate(kept, age, mass);
    const isLog = kept.map((k) => law.sizes[k].log), value = kept.map((k) => seen[law.sizes[k].name][0]);
    const error = kept.map((k) => seen[law.sizes[k].name][1]), exact = error.every((e) => e === 0);
    const share = seen[law.count], ofBound = kept.some((k) => k >= law.of_all);
    const counted = share ? counts.known(...share) : ofBound && law.fewest ? counts.survived : null;
    const first = Float64Array.from(value, (v, k) => (isLog[k] ? Math.log(v) : v));
    const relative = Float64Array.from(value, (v, k) => (isLog[k] ? error[k] / v : error[k]));
    const root = new Float64Array(m * m), noise = new Float64Array(m), curved = new Float64Array(m);
    const truth = new Float64Array(m), apart = new Float64Array(m), w = new Float64Array(m), x = new Float64Array(m);
    let mean = 0, cov = 0, slopes = 0, determinant = 0;

    // the Cholesky factor of covariance + noise, and its determinant
    const factorise = () => {
      let product = 1, place = cov;
      for (let i = 0; i < m; i++) {
        for (let j = 0; j < i; j++) {
          let sum = table[place++];
          for (let k = 0; k < j; k++) sum -= root[i * m + k] * root[j * m + k];
          root[i * m + j] = sum / root[j * m + j];
        }
        let sum = table[place++] + noise[i];
        for (let k = 0; k < i; k++) sum -= root[i * m + k] * root[i * m + k];
        root[i * m + i] = Math.sqrt(Math.max(sum, 1e-30));
        product *= root[i * m + i];
      }
      determinant = product;
    };
    // numbers made linear around `truth`: x = (covariance + noise)^-1 (seen - mean); returns the squared distance
    const weigh = () => {
      slopes = 0;
      for (let k = 0; k < m; k++) {
        if (isLog[k]) {
          const v = Math.exp(truth[k]), off = 1 - value[k] / v;
          apart[k] = truth[k] - off - table[mean + k];
          noise[k] = (error[k] / v) ** 2;
          curved[k] = Math.max(1 + off, 0.1);
          slopes += truth[k];
        } else apart[k] = value[k] - table[mean + k];
      }
      return solve();
    };
    const solve = () => {
      factorise();
      let distance2 = 0;
      for (let i = 0; i < m; i++) {
        let sum = apart[i];
        for (let k = 0; k < i; k++) sum -= root[i * m + k] * w[k];
        w[i] = sum / root[i * m + i];
        distance2 += w[i] * w[i];
      }
      for (let i = m - 1; i >= 0; i--) {
        let sum = w[i];
        for (let k = i + 1; k < m; k++) sum -= root[k * m + i] * x[k];
        x[i] = sum / root[i * m + i];
      }
      return distance2;
    };

    const known = first.reduce((sum, t, k) => sum + (isLog[k] ? t : 0), 0);
    const terms = new Float64Array(per), rough = new Float64Array(per), distances = new Float64Array(per), started = new Float64Array(per * m);
    const found = natal.everyCell(nq, na, (cell, best) => {
      if (!simulated[cell % na]) return -Infinity;
      // around the measured values first
      let likeliest = -Infinity, largest = -Infinity;
      for (let c = 0; c < per; c++) {
        const place = (cell * per + c) * width;
        mean = place + 1;
        cov = mean + m + 1;
        for (let k = 0; k < m; k++) { apart[k] = first[k] - table[mean + k]; noise[k] = relative[k] ** 2; }
        distances[c] = solve();
        started.set(x, c * m);
        rough[c] = table[place] - 0.5 * distances[c] - Math.log(determinant);
        likeliest = Math.max(likeliest, rough[c]);
      }
      for (let c = 0; c < per; c++) {
        terms[c] = -Infinity;
        // its share of the cell is nothing
        if (rough[c] < likeliest - 14) continue;
        const place = (cell * per + c) * width;
        mean = place + 1;
        cov = mean + m + 1;
        // then towards the most probable true ones, as _condition
        truth.set(first);
        curved.fill(1);
        slopes = known;
        let distance2 = distances[c];
        x.set(started.subarray(c * m, (c + 1) * m));
        for (let step = 0; step < 2 && !exact; step++) {
          for (let k = 0; k < m; k++) {
            let to = table[mean + k];
            for (let j = 0; j < m; j++) to += table[cov + (j <= k ? at(k, j) : at(j, k))] * x[j];
            w[k] = isLog[k] ? Math.min(Math.max(to, truth[k] - 1.5), truth[k] + 1.5) : to;
          }
          truth.set(w);
          distance2 = weigh();
        }
        // Laplace's method asks for the peak's own curvature
        let bend = 1;
        for (let k = 0; k < m; k++) { bend *= curved[k]; noise[k] /= curved[k]; }
        factorise();
        let exponent = table[place] - 0.5 * distance2 - slopes - Math.log(determinant * Math.sqrt(bend));
        if (counted) {
          let z = table[mean + m], left = table[cov + at(m, m)];
          for (let i = 0; i < m; i++) {
            const across = table[cov + at(m, i)];
            z += across * x[i];
            let sum = across;
            for (let k = 0; k < i; k++) sum -= root[i * m + k] * w[k];
            w[i] = sum / root[i * m + i];
            left -= w[i] * w[i];
          }
          // what is too small to be seen, whatever the count says
          if (exponent + counted.most < Math.max(largest - 16, best - 40)) exponent = -Infinity;
          else exponent += Math.log(counts.density(counted, z, Math.sqrt(Math.max(left, 1e-12))));
        }
        terms[c] = exponent;
        largest = Math.max(largest, exponent);
      }
      if (largest === -Infinity) return largest;
      let sum = 0;
      for (let c = 0; c < per; c++) sum += Math.exp(terms[c] - largest);
      return largest + Math.log(sum);
    });
    return { mass: found, middles: [q0, a] };
  }, { prepare, priorOfA });
};
