// Kernels on CUDA devices, compiled when a device is first used: of the network's chain, then of the optimiser.
//
// Maps are [channels, height, width], contiguous. A thread computes one item of `items` in each channel; channels are the second
// axis of the grid. What several operations would read and write in turn passes through registers once: a map of the first
// block at 4096 x 4096 px is 4 GiB.

typedef unsigned short bfloat16;
typedef unsigned long long size;

#define ITEM                                            \
    unsigned i = blockIdx.x * blockDim.x + threadIdx.x; \
    if (i >= items) return;                             \
    size c = blockIdx.y

__device__ __forceinline__ float load(const float* p) { return *p; }
__device__ __forceinline__ float load(const bfloat16* p) { return __uint_as_float((unsigned)*p << 16); }
__device__ __forceinline__ void store(float* p, float v) { *p = v; }
// To the nearest, ties to even; not-a-numbers stay what they are.
__device__ __forceinline__ void store(bfloat16* p, float v) {
    unsigned u = __float_as_uint(v);
    *p = v != v ? 0x7fff : (bfloat16)((u + 0x7fff + ((u >> 16) & 1)) >> 16);
}

// A map's value, 0 outside it and where the mask, if there is one, is not positive.
template <typename T>
__device__ __forceinline__ float at(const T* map, const T* mask, size c, int y, int x, int height, int width) {
    if (y < 0 || y >= height || x < 0 || x >= width) return 0.0f;
    size i = (c * height + y) * width + x;
    return !mask || load(mask + i) > 0.0f ? load(map + i) : 0.0f;
}

// A band of `rows` rows from `top` on, with its nine shifted copies below each other: [9, channels, rows, width]. An item is
// a cell of the band.
template <typename T>
__device__ __forceinline__ void unfold(unsigned items, T* out, const T* map, const T* mask, int height, int width,
                                       int top) {
    ITEM;
    size place = c * items + i;
    int x = i % width, y = i / width;
    size step = (size)gridDim.y * items;
#pragma unroll
    for (int tap = 0; tap < 9; tap++)
        store(out + tap * step + place, at(map, mask, c, top + y + tap / 3 - 1, x + tap % 3 - 1, height, width));
}

// relu(map + bias) in place.
template <typename T>
__device__ __forceinline__ void activate(unsigned items, T* map, const T* bias) {
    ITEM;
    size place = c * items + i;
    float v = load(map + place) + load(bias + c);
    store(map + place, v <= 0.0f ? 0.0f : v);
}

// map + by, a value for each channel, in place.
template <typename T>
__device__ __forceinline__ void shifted(unsigned items, T* map, const T* by) {
    ITEM;
    size place = c * items + i;
    store(map + place, load(map + place) + load(by + c));
}

// map + other in place.
template <typename T>
__device__ __forceinline__ void sum(unsigned items, T* map, const T* other) {
    ITEM;
    size place = c * items + i;
    store(map + place, load(map + place) + load(other + place));
}

// The gradient where the map is positive.
template <typename T>
__device__ __forceinline__ void masked(unsigned items, T* out, const T* gradient, const T* map) {
    ITEM;
    size place = c * items + i;
    store(out + place, load(map + place) > 0.0f ? load(gradient + place) : 0.0f);
}

// 2x2 windows; a last odd row or column belongs to none. An item is a window.
template <typename T>
__device__ __forceinline__ void pool(unsigned items, T* out, const T* map, int height, int width, int largest) {
    ITEM;
    size place = c * items + i;
    int w = width / 2, x = i % w, y = i / w;
    const T* p = map + (c * height + 2 * y) * width + 2 * x;
    float v[4] = {load(p), load(p + 1), load(p + width), load(p + width + 1)};
    // The sign of zero is of no matter: values come from a ReLU.
    store(out + place, largest ? fmaxf(fmaxf(v[0], v[1]), fmaxf(v[2], v[3])) : 0.25f * ((v[0] + v[1]) + (v[2] + v[3])));
}

// The gradient before a pooling from the one after it. Among equal maxima the first in raster order gets it. An item is a
// window, or what an odd size leaves of one.
template <typename T>
__device__ __forceinline__ void unpool(unsigned items, T* out, const T* gradient, const T* map, int height, int width, int largest) {
    ITEM;
    int w = (width + 1) / 2, x = i % w, y = i / w;
    size first = (c * height + 2 * y) * width + 2 * x;
    bool right = 2 * x + 1 < width, below = 2 * y + 1 < height;
    float parts[4] = {0.0f, 0.0f, 0.0f, 0.0f};
    if (right && below) {
        float g = load(gradient + (c * (height / 2) + y) * (width / 2) + x);
        if (largest) {
            const T* p = map + first;
            float v[4] = {load(p), load(p + 1), load(p + width), load(p + width + 1)};
            float top = v[0];
            int best = 0;
#pragma unroll
            for (int k = 1; k < 4; k++)
                if (v[k] > top) top = v[k], best = k;
#pragma unroll
            for (int k = 0; k < 4; k++) parts[k] = k == best ? g : 0.0f;
        } else {
#pragma unroll
            for (int k = 0; k < 4; k++) parts[k] = 0.25f * g;
        }
    }
    store(out + first, parts[0]);
    if (right) store(out + first + 1, parts[1]);
    if (below) store(out + first + width, parts[2]);
    if (right && below) store(out + first + width + 1, parts[3]);
}

#define KERNELS(T, name)                                                                                                     \
    extern "C" __global__ void unfold_##name(unsigned items, T* out, const T* map, const T* mask, int height,                \
                                             int width, int top) {                                                           \
        unfold(items, out, map, mask, height, width, top);                                                                   \
    }                                                                                                                        \
    extern "C" __global__ void activate_##name(unsigned items, T* map, const T* bias) { activate(items, map, bias); }        \
    extern "C" __global__ void shifted_##name(unsigned items, T* map, const T* by) { shifted(items, map, by); }              \
    extern "C" __global__ void sum_##name(unsigned items, T* map, const T* other) { sum(items, map, other); }                \
    extern "C" __global__ void masked_##name(unsigned items, T* out, const T* gradient, const T* map) {                      \
        masked(items, out, gradient, map);                                                                                   \
    }                                                                                                                        \
    extern "C" __global__ void pool_##name(unsigned items, T* out, const T* map, int height, int width, int largest) {       \
        pool(items, out, map, height, width, largest);                                                                       \
    }                                                                                                                        \
    extern "C" __global__ void unpool_##name(unsigned items, T* out, const T* gradient, const T* map, int height, int width, \
                                             int largest) {                                                                  \
        unpool(items, out, gradient, map, height, width, largest);                                                           \
    }

KERNELS(float, f32)
KERNELS(bfloat16, bf16)

// Winograd's F(4x4, 3x3) with the points 0, +-1/sqrt2, +-sqrt2 and infinity: see ../winograd.rs.
#define A 0.70710678118654752440f
#define B 1.41421356237309504880f

__device__ __forceinline__ void to_points(const float d[6], float p[6]) {
    float near_even = d[4] - 2.0f * d[2], near_odd = A * d[3] - B * d[1];
    float far_even = d[4] - 0.5f * d[2], far_odd = B * d[3] - A * d[1];
    p[0] = d[0] + d[4] - 2.5f * d[2];
    p[1] = near_even + near_odd;
    p[2] = near_even - near_odd;
    p[3] = far_even + far_odd;
    p[4] = far_even - far_odd;
    p[5] = d[1] + d[5] - 2.5f * d[3];
}

__device__ __forceinline__ void from_points(const float m[6], float y[4]) {
    float near_sum = m[1] + m[2], near_gap = m[1] - m[2], far_sum = m[3] + m[4], far_gap = m[3] - m[4];
    y[0] = m[0] + near_sum + far_sum;
    y[1] = A * near_gap + B * far_gap;
    y[2] = 0.5f * near_sum + 2.0f * far_sum;
    y[3] = 0.5f * A * near_gap + 2.0f * B * far_gap + m[5];
}

// 6x6 patches of a map to their values at the points: [36, channels, tiles]. An item is a tile; tiles are those of the band that
// begins with the row `top` of tiles, `across` in a row.
extern "C" __global__ void winograd_in(unsigned items, float* out, const float* map, const float* mask, int height, int width,
                                       int top, int across) {
    ITEM;
    size place = c * items + i;
    int y = 4 * (top + i / across) - 1, x = 4 * (i % across) - 1;
    size step = (size)gridDim.y * items;
    float columns[6][6];
#pragma unroll
    for (int k = 0; k < 6; k++) {
        float d[6];
#pragma unroll
        for (int l = 0; l < 6; l++) d[l] = at(map, mask, c, y + l, x + k, height, width);
        to_points(d, columns[k]);
    }
#pragma unroll
    for (int l = 0; l < 6; l++) {
        float d[6], p[6];
#pragma unroll
        for (int k = 0; k < 6; k++) d[k] = columns[k][l];
        to_points(d, p);
#pragma unroll
        for (int k = 0; k < 6; k++) out[(6 * l + k) * step + place] = p[k];
    }
}

// Back to 4x4 cells of a map, with the bias and the ReLU where there are such.
extern "C" __global__ void winograd_out(unsigned items, float* map, const float* points, const float* bias, int height,
                                        int width, int top, int across) {
    ITEM;
    size place = c * items + i;
    int y = 4 * (top + i / across), x = 4 * (i % across);
    size step = (size)gridDim.y * items;
    float columns[6][4];
#pragma unroll
    for (int k = 0; k < 6; k++) {
        float m[6];
#pragma unroll
        for (int l = 0; l < 6; l++) m[l] = points[(6 * l + k) * step + place];
        from_points(m, columns[k]);
    }
    float plus = bias ? bias[c] : 0.0f;
#pragma unroll
    for (int l = 0; l < 4; l++) {
        float m[6], v[4];
#pragma unroll
        for (int k = 0; k < 6; k++) m[k] = columns[k][l];
        from_points(m, v);
        if (y + l >= height) break;
#pragma unroll
        for (int k = 0; k < 4; k++) {
            float value = v[k] + plus;
            if (x + k < width) map[(c * height + y + l) * width + x + k] = bias && value <= 0.0f ? 0.0f : value;
        }
    }
}

// Products of three vectors with four, [blocks, 3, 4]: the part of each block. Products of float32 are exact in float64.
extern "C" __global__ void dots(unsigned items, double* out, const float* l0, const float* l1, const float* l2, const float* r0,
                                const float* r1, const float* r2, const float* r3) {
    __shared__ double part[256];
    double sums[12];
#pragma unroll
    for (int k = 0; k < 12; k++) sums[k] = 0.0;
    for (size i = (size)blockIdx.x * blockDim.x + threadIdx.x; i < items; i += (size)gridDim.x * blockDim.x) {
        double l[3] = {l0[i], l1[i], l2[i]}, r[4] = {r0[i], r1[i], r2[i], r3[i]};
#pragma unroll
        for (int k = 0; k < 12; k++) sums[k] += l[k / 4] * r[k % 4];
    }
#pragma unroll
    for (int k = 0; k < 12; k++) {
        part[threadIdx.x] = sums[k];
        __syncthreads();
        for (int half = 128; half > 0; half /= 2) {
            if (threadIdx.x < half) part[threadIdx.x] += part[threadIdx.x + half];
            __syncthreads();
        }
        if (threadIdx.x == 0) out[blockIdx.x * 12 + k] = part[0];
        __syncthreads();
    }
}

// base (or what is in place already) + the vectors that there are, each times its factor.
extern "C" __global__ void combine(unsigned items, float* out, const float* base, const float* v0, const float* v1, const float* v2,
                                   const float* v3, float f0, float f1, float f2, float f3) {
    ITEM;
    size place = c * items + i;
    float sum = base ? base[place] : out[place];
    if (v0) sum += f0 * v0[place];
    if (v1) sum += f1 * v1[place];
    if (v2) sum += f2 * v2[place];
    if (v3) sum += f3 * v3[place];
    out[place] = sum;
}
