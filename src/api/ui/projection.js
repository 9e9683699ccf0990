// Points of the network's eight dimensions on a plane: principal components, turned so that the picture stays as it
// was when the points move a little.

/** Eigenvalues and eigenvectors of a symmetric matrix, largest first (cyclic Jacobi rotations). */
export function eigen(matrix) {
  const n = matrix.length;
  const a = matrix.map((row) => [...row]);
  const v = a.map((_, i) => a.map((__, j) => (i === j ? 1 : 0)));
  for (let sweep = 0; sweep < 60; sweep += 1) {
    let off = 0;
    for (let i = 0; i < n; i += 1) for (let j = i + 1; j < n; j += 1) off += a[i][j] ** 2;
    if (off < 1e-30) break;
    for (let p = 0; p < n; p += 1) {
      for (let q = p + 1; q < n; q += 1) {
        if (Math.abs(a[p][q]) < 1e-300) continue;
        const theta = (a[q][q] - a[p][p]) / (2 * a[p][q]);
        const t = Math.sign(theta || 1) / (Math.abs(theta) + Math.sqrt(theta * theta + 1));
        const c = 1 / Math.sqrt(t * t + 1);
        const s = t * c;
        for (let k = 0; k < n; k += 1) {
          [a[k][p], a[k][q]] = [c * a[k][p] - s * a[k][q], s * a[k][p] + c * a[k][q]];
        }
        for (let k = 0; k < n; k += 1) {
          [a[p][k], a[q][k]] = [c * a[p][k] - s * a[q][k], s * a[p][k] + c * a[q][k]];
          [v[k][p], v[k][q]] = [c * v[k][p] - s * v[k][q], s * v[k][p] + c * v[k][q]];
        }
      }
    }
  }
  const order = a.map((_, i) => i).sort((i, j) => a[j][j] - a[i][i]);
  return order.map((i) => ({ value: Math.max(0, a[i][i]), vector: v.map((row) => row[i]) }));
}

/** Round-trip time by two coordinates, in seconds: the same rule as the agent's. */
export function distance(a, b) {
  const squares = a.Vec.reduce((sum, x, i) => sum + (x - b.Vec[i]) ** 2, 0);
  const raw = Math.sqrt(squares) + a.Height + b.Height;
  const adjusted = raw + a.Adjustment + b.Adjustment;
  return adjusted > 0 ? adjusted : raw;
}

/** Turns and mirrors `points` about the origin to lie as near as they can to `before` (by name). */
function settle(points, before) {
  const common = points.filter(({ name }) => before.has(name));
  if (common.length < 2) return points;
  let best = null;
  for (const mirror of [1, -1]) {
    let [sin, cos] = [0, 0];
    for (const { name, x, y } of common) {
      const old = before.get(name);
      cos += x * old.x + mirror * y * old.y;
      sin += x * old.y - mirror * y * old.x;
    }
    const fit = Math.hypot(sin, cos);
    if (best === null || fit > best.fit * (1 + 1e-9)) best = { fit, mirror, sin, cos };
  }
  if (best.fit === 0) return points;
  const [sin, cos] = [best.sin / best.fit, best.cos / best.fit];
  return points.map((point) => {
    const y = best.mirror * point.y;
    return { ...point, x: cos * point.x - sin * y, y: sin * point.x + cos * y };
  });
}

/**
 * Places on a plane, in seconds, for `nodes` ({ name, coord }); `kept` is the share of the spread that the plane
 * shows. `before` are the places of the last time, by name.
 */
export function project(nodes, before = new Map()) {
  if (nodes.length === 0) return { points: [], kept: 1 };
  const dimensions = nodes[0].coord.Vec.length;
  const mean = Array.from({ length: dimensions }, (_, i) => nodes.reduce((sum, n) => sum + n.coord.Vec[i], 0) / nodes.length);
  const centred = nodes.map((node) => node.coord.Vec.map((x, i) => x - mean[i]));
  const covariance = mean.map((_, i) => mean.map((__, j) => centred.reduce((sum, v) => sum + v[i] * v[j], 0) / nodes.length));
  const axes = eigen(covariance);
  const spread = axes.reduce((sum, { value }) => sum + value, 0);
  const kept = spread > 0 ? (axes[0].value + (axes[1]?.value ?? 0)) / spread : 1;
  const along = (v, axis) => v.reduce((sum, x, i) => sum + x * axis.vector[i], 0);
  const points = nodes.map((node, i) => ({
    name: node.name,
    x: along(centred[i], axes[0]),
    y: axes[1] ? along(centred[i], axes[1]) : 0,
  }));
  return { points: settle(points, before), kept };
}
