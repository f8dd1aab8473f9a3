/* The physics of the benchmark model, written for speed: what a compiler makes of plain C, OpenMP and the vector mathematics of
   the C library (libmvec). Draws and pixels of a block inside the day, statistics over the draws at once, sums of months per draw.

   Everything that is the same for all pixels of a block (weather, its responses per draw) is computed once per day and draw;
   parameters of a pixel and a draw are given. Sign: NEE = RECO - GPP, positive to the atmosphere; gC m-2 d-1.

   gcc -O3 -march=native -ffast-math -fopenmp -shared -fPIC anchor.c -o anchor.so -lmvec -lm */

#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#ifndef N
#define N 256 /* pixels of a block */
#endif

typedef struct {
    int blocks, days, draws, spin, months, daily; /* days holds the year of spin-up too: the first `spin` of them are walked once before */
    float bare, rew_evaporation, drainage, snow_melt, evaporation_scalar, wilting, dry, rew_respiration, tmin_closed;
} Settings;

static inline float clip01(float x) { return x < 0.f ? 0.f : x > 1.f ? 1.f : x; }

/* Water that comes and may go on a day, the same for a whole cell. */
static void water_of_day(const Settings *s, float tair, float par, float rain, float *snow, float *liquid, float *potential)
{
    float snowfall = rain * clip01(0.5f - 0.5f * tair);
    float melt = fminf(*snow, s->snow_melt * fmaxf(tair, 0.f));
    float inverse = 1.f / (tair + 237.3f);
    float slope = 4098.f * 0.6108f * expf(17.27f * tair * inverse) * inverse * inverse;
    *potential = s->evaporation_scalar * (slope / (slope + 0.0674f) * par * (1.f / (0.45f * 2.45f)));
    *liquid = rain - snowfall + melt;
    *snow = *snow + snowfall - melt;
}

static void move_water(const Settings *s, float *restrict water, const float *restrict capacity, const float *restrict inverse,
                       const float *restrict cover, float liquid)
{
    for (int p = 0; p < N; p++) {
        float w = water[p], have = w + liquid;
        float wet = have - fminf(cover[p] * clip01(w * inverse[p]), have);
        float kept = wet - s->drainage * fmaxf(wet - 0.5f * capacity[p], 0.f);
        water[p] = fminf(kept, capacity[p]);
    }
}

/* lue, reference, capacity: [block][draw][N]; of a draw: [draw]; weather: [day]; fapar: int16 [block][day][N], 1e-4.
   maps: int16 [block][6][day][N], 0.002; sums: [block][month][2][draw][N]; month: of each mapped day;
   series: sums over the pixels of a block with weight [block][N], [block][day][2][draw]. */
void anchor(const Settings *s, const float *lue, const float *reference, const float *capacity, const float *saturation,
            const float *vpd_sensitivity, const float *tmin_open, const float *critical, const float *share, const float *activation,
            const float *tair, const float *tmin, const float *par, const float *vpd, const float *rain, const int16_t *fapar,
            const int32_t *month, const float *weight, int16_t *maps, float *sums, float *series)
{
    const int D = s->draws, mapped = s->days - s->spin;
    float *limit = malloc(sizeof(float) * (size_t)s->days * D), *warm = malloc(sizeof(float) * (size_t)s->days * D);
    float *width = malloc(sizeof(float) * D);
    for (int d = 0; d < D; d++) width[d] = 1.f / fmaxf(critical[d] - s->wilting, 0.01f);
    for (int t = s->spin; t < s->days; t++)
        for (int d = 0; d < D; d++) {
            limit[t * D + d] = expf(-vpd_sensitivity[d] * vpd[t]) * clip01((tmin[t] - s->tmin_closed) / (tmin_open[d] - s->tmin_closed));
            warm[t * D + d] = expf(activation[d] * (1.f / 61.02f - 1.f / (tair[t] + 46.02f)));
        }
#pragma omp parallel
    {
        float *water = aligned_alloc(64, sizeof(float) * D * N), *inverse = aligned_alloc(64, sizeof(float) * D * N);
#pragma omp for schedule(dynamic)
        for (int b = 0; b < s->blocks; b++) {
            const size_t own = (size_t)b * D * N;
            const int16_t *green = fapar + (size_t)b * s->days * N;
            float snow = 0.f, liquid, potential;
            for (int i = 0; i < D * N; i++) {
                water[i] = 0.8f * capacity[own + i];
                inverse[i] = 1.f / (capacity[own + i] * s->rew_evaporation);
            }
            float cover[N], light[N];
            for (int pass = 0; pass < 2; pass++)
                for (int t = 0; t < s->spin; t++) {
                    water_of_day(s, tair[t], par[t], rain[t], &snow, &liquid, &potential);
                    for (int p = 0; p < N; p++) cover[p] = potential * (s->bare + (1.f - s->bare) * (1e-4f * green[t * N + p]));
                    for (int d = 0; d < D; d++) move_water(s, water + d * N, capacity + own + d * N, inverse + d * N, cover, liquid);
                }
            memset(sums + (size_t)b * s->months * 2 * D * N, 0, sizeof(float) * s->months * 2 * D * N);
            for (int t = s->spin; t < s->days; t++) {
                water_of_day(s, tair[t], par[t], rain[t], &snow, &liquid, &potential);
                float g1[N] = {0}, r1[N] = {0}, g2[N] = {0}, r2[N] = {0}, gr[N] = {0}, g0[N], r0[N];
                for (int p = 0; p < N; p++) {
                    float green_today = 1e-4f * green[t * N + p];
                    cover[p] = potential * (s->bare + (1.f - s->bare) * green_today);
                    light[p] = green_today * par[t];
                }
                float *into = sums + ((size_t)b * s->months + month[t - s->spin]) * 2 * D * N;
                for (int d = 0; d < D; d++) {
                    float *w = water + d * N, *gpp_sum = into + d * N, *reco_sum = into + (D + d) * N;
                    const float *cap = capacity + own + d * N, *inv = inverse + d * N, *e = lue + own + d * N, *r = reference + own + d * N;
                    const float cold = limit[t * D + d], heat = warm[t * D + d], k = saturation[d], c = share[d], wide = width[d];
                    const float per_rew = s->rew_evaporation, per_respiration = s->rew_evaporation / s->rew_respiration;
                    const float *area = weight + (size_t)b * N;
                    float g_all = 0.f, r_all = 0.f;
                    move_water(s, w, cap, inv, cover, liquid);
                    for (int p = 0; p < N; p++) {
                        float rew = w[p] * inv[p];
                        float gpp = e[p] * cold * light[p] / (1.f + k * light[p]) * clip01((rew * per_rew - s->wilting) * wide);
                        float reco = (r[p] + c * gpp) * heat * (s->dry + (1.f - s->dry) * clip01(rew * per_respiration));
                        gpp_sum[p] += gpp;
                        reco_sum[p] += reco;
                        g_all += area[p] * gpp;
                        r_all += area[p] * reco;
                        if (s->daily) {
                            if (d == 0) { g0[p] = gpp; r0[p] = reco; }
                            float g = gpp - g0[p], q = reco - r0[p]; /* from the first draw: no loss where the spread is small */
                            g1[p] += g; r1[p] += q; g2[p] += g * g; r2[p] += q * q; gr[p] += g * q;
                        }
                    }
                    float *line = series + ((size_t)b * mapped + (t - s->spin)) * 2 * D;
                    line[d] = g_all;
                    line[D + d] = r_all;
                }
                if (!s->daily) continue;
                int16_t *out = maps + ((size_t)b * 6 * mapped + (t - s->spin)) * N;
                const float one = 1.f / D, less = 1.f / (D > 1 ? D - 1 : 1), scale = 1.f / 0.002f;
                for (int p = 0; p < N; p++) {
                    float n1 = r1[p] - g1[p], n2 = r2[p] + g2[p] - 2.f * gr[p];
                    float value[6] = {r0[p] - g0[p] + n1 * one, sqrtf(fmaxf(n2 - n1 * n1 * one, 0.f) * less), g0[p] + g1[p] * one,
                        sqrtf(fmaxf(g2[p] - g1[p] * g1[p] * one, 0.f) * less), r0[p] + r1[p] * one,
                        sqrtf(fmaxf(r2[p] - r1[p] * r1[p] * one, 0.f) * less)};
                    for (int i = 0; i < 6; i++) out[(size_t)i * mapped * N + p] = (int16_t)rintf(value[i] * scale);
                }
            }
        }
        free(water);
        free(inverse);
    }
    free(limit);
    free(warm);
    free(width);
}
