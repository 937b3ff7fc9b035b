/* Kick-drift-kick leapfrog by direct summation, the loop that natal's throughput is compared with.
 * Compiled for the machine at hand (-O3 -march=native -ffast-math, 512-bit vectors where it has them): the inner
 * loop over sources is one stream of vector instructions. */
#include <math.h>
#include <stddef.h>

static void accelerate(int n, const double *restrict x, const double *restrict y, const double *restrict z,
                       const double *restrict mass, double *restrict ax, double *restrict ay, double *restrict az,
                       double eps2) {
    for (int i = 0; i < n; i++) {
        const double xi = x[i], yi = y[i], zi = z[i];
        double sx = 0, sy = 0, sz = 0;
        for (int j = 0; j < n; j++) {
            const double dx = x[j] - xi, dy = y[j] - yi, dz = z[j] - zi;
            const double r2 = dx * dx + dy * dy + dz * dz + eps2;
            const double weight = mass[j] / (r2 * sqrt(r2));
            sx += weight * dx;
            sy += weight * dy;
            sz += weight * dz;
        }
        ax[i] = sx;
        ay[i] = sy;
        az[i] = sz;
    }
}

/* state: n_systems blocks of ten rows of n values: x y z vx vy vz ax ay az mass (G = 1). */
void leapfrog(double *state, int n_systems, int n, int n_steps, double dt, double eps2) {
    for (int k = 0; k < n_systems; k++) {
        double *x = state + (size_t)k * 10 * n, *y = x + n, *z = y + n, *v = z + n, *a = v + 3 * n, *mass = a + 3 * n;
        for (int step = 0; step < n_steps; step++) {
            for (int i = 0; i < 3 * n; i++) {
                v[i] += 0.5 * dt * a[i];
                x[i] += dt * v[i];
            }
            accelerate(n, x, y, z, mass, a, a + n, a + 2 * n, eps2);
            for (int i = 0; i < 3 * n; i++) v[i] += 0.5 * dt * a[i];
        }
    }
}
