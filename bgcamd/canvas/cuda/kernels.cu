// The kernels of the CUDA canvas (canvas.py), in the order of a frame's work. A picture is I420 in one block: Y, U, V.
//
//     raw ───────────▶ take_yuyv, take_nv12, take_i420 ───────────────────────────▶ picture
//     picture ───────▶ shrink ▶ (by_peak) ────────────────────────▶ tensor, seen     tensor ▶ network ▶ matte
//     matte, seen ───▶ gather ▶ fit ▶ smooth ▶ sharpen   or bytes ▶ enlarge ──────▶ alpha
//     picture, alpha ▶ shrink_room, several times ▶ across ▶ down ────────────────▶ blurred   (behind Blur only)
//     picture, alpha, back or blurred ▶ compose ──────────────────────────────────▶ done
//
// From shrink on all is recorded once and replayed for every frame, whatever the scene: what may change between two
// frames lies in Parameters, in the GPU's memory, and a kernel that has nothing to do returns.
//
// Only take, enlarge and compose touch full-size memory. Their threads do 2x2 pixels, which are one sample of
// chroma, so that a warp reads and writes whole sectors of every plane. The others work on small pictures, where
// what counts is how few of them there are.
//
// The arithmetic is OpenCV's, down to its fixed point, so that the host canvas gives the same picture. No barrier, no
// shared memory but in `across`; no textures, no shuffles: tests run the same source on the CPU.

typedef unsigned char uchar;

struct Chain {  // how a plane is shrunk for the blur: sizes, from its own (0) to the small picture's (steps)
    int steps, width[12], height[12];
};

struct Parameters {  // written by parameters.py, field by field
    // take: what the raw samples mean is not what the picture's do
    int recolor;                           // one of the next three
    int recolor_matrix[12];                // of 1/1024
    float recolor_factor[3], recolor_offset[3];
    // shrink
    int crop[4];                           // what the network sees: left, top, width, height; even
    int to_rgb[12];                        // of 1/1024
    int bgr, half, by_peak;
    float factor[3], shift[3], deviation[3];
    // refine
    int own_alpha;                         // whether the frame has one
    // compose
    int back;                              // one of the three below
    float matte_factor, matte_offset;
    Chain luma, chroma;
    int radius;
    float weights[11];                     // of the Gaussian, from its centre
};
static_assert(sizeof(Parameters) == 4 * 113, "parameters.py knows it of this size");

enum Recolor { SAME, RANGE, MATRIX };
enum Back { PLANES, ROOM, MATTE };  // given planes; the picture itself, blurred; the alpha alone, as grey

#ifndef CPU_SHIM
__device__ inline unsigned short half_bits(float x) {
    unsigned short h;
    asm("cvt.rn.f16.f32 %0, %1;" : "=h"(h) : "f"(x));
    return h;
}
#endif

// ---- small arithmetic ------------------------------------------------------------------------------------------

__device__ inline int column() { return blockIdx.x * blockDim.x + threadIdx.x; }
__device__ inline int row() { return blockIdx.y * blockDim.y + threadIdx.y; }

__device__ inline int clamped(int x, int low, int high) { return min(max(x, low), high); }

// Round half to even, as saturate_cast<uchar>. NaN becomes 0.
__device__ inline uchar to_byte(float x) { return (uchar)__float2int_rn(fminf(fmaxf(x, 0.0f), 255.0f)); }

// x / 255, rounded: exact for 0..255².
__device__ inline int over_255(int x) {
    x += 128;
    return (x + (x >> 8)) >> 8;
}

__device__ inline int mean_of_4(int sum) { return (sum + 2) >> 2; }

// A row of a 3x4 matrix of 1/1024 applied to a colour, as cv2.transform does on bytes.
__device__ inline int transformed(const int* m, int a, int b, int c) {
    return clamped((m[0] * a + m[1] * b + m[2] * c + m[3] + 512) >> 10, 0, 255);
}

struct Planes {  // of a picture in one block
    uchar *y, *u, *v;
};
__device__ inline Planes planes_of(uchar* block, int w, int h) {
    uchar* u = block + w * h;
    return {block, u, u + w / 2 * (h / 2)};
}

// ---- bilinear resizing -----------------------------------------------------------------------------------------

struct Tap {  // the two samples that one of the target lies between, and how near it is to b
    int a, b;
    float share;
    __device__ int weight() const { return __float2int_rn(share * 2048); }
};

// Position (at + 1/2) * from / to - 1/2. In integers: floats would miss by a thousandth on the right of a wide picture.
__device__ inline Tap tap(int at, int from, int to) {
    const int scale = 2 * to, position = (2 * at + 1) * from - to;
    const float inverse = 1.0f / scale;
    int whole = (int)floorf(position * inverse), rest = position - whole * scale;
    if (rest < 0) --whole, rest += scale;
    if (rest >= scale) ++whole, rest -= scale;
    return {clamped(whole, 0, from - 1), clamped(whole + 1, 0, from - 1), rest * inverse};
}

// One byte as cv2.resize gives it, with 11 bits of weight; `sample(column, row)` gives the source's.
template <class Sample> __device__ inline int bilinear(Sample sample, const Tap& x, const Tap& y) {
    const int wx = x.weight(), wy = y.weight();
    const int upper = sample(x.a, y.a) * (2048 - wx) + sample(x.b, y.a) * wx;
    const int lower = sample(x.a, y.b) * (2048 - wx) + sample(x.b, y.b) * wx;
    return (((2048 - wy) * (upper >> 4) >> 16) + (wy * (lower >> 4) >> 16) + 2) >> 2;
}
__device__ inline int bilinear(const uchar* plane, int pitch, const Tap& x, const Tap& y) {
    return bilinear([=](int column, int row) { return (int)plane[row * pitch + column]; }, x, y);
}

template <class Sample> __device__ inline float bilinear_float(Sample sample, const Tap& x, const Tap& y) {
    const float upper = sample(x.a, y.a) * (1 - x.share) + sample(x.b, y.a) * x.share;
    const float lower = sample(x.a, y.b) * (1 - x.share) + sample(x.b, y.b) * x.share;
    return upper * (1 - y.share) + lower * y.share;
}

// ---- take: a camera's frame into the picture -------------------------------------------------------------------

struct Yuyv {
    const uchar* lines;
    int pitch;
    __device__ uchar4 two(int x, int y) const { return *(const uchar4*)(lines + (long long)y * pitch + 4 * x); }
    // 4:2:2 to 4:2:0: the mean of two rows, half to even.
    __device__ static int mean(int a, int b) { return (a + b + ((a + b) >> 1 & 1)) >> 1; }
    __device__ uchar2 luma(int x, int y) const {
        const uchar4 both = two(x, y);
        return make_uchar2(both.x, both.z);
    }
    __device__ uchar2 chroma(int x, int y) const {
        const uchar4 upper = two(x, 2 * y), lower = two(x, 2 * y + 1);
        return make_uchar2(mean(upper.y, lower.y), mean(upper.w, lower.w));
    }
};

struct Nv12 {
    const uchar *lines, *pairs;
    int pitch, pairs_pitch;
    __device__ uchar2 luma(int x, int y) const { return *(const uchar2*)(lines + (long long)y * pitch + 2 * x); }
    __device__ uchar2 chroma(int x, int y) const {
        return *(const uchar2*)(pairs + (long long)y * pairs_pitch + 2 * x);
    }
};

struct I420 {
    const uchar *lines, *u, *v;
    int pitch, u_pitch, v_pitch;
    __device__ uchar2 luma(int x, int y) const { return *(const uchar2*)(lines + (long long)y * pitch + 2 * x); }
    __device__ uchar2 chroma(int x, int y) const {
        return make_uchar2(u[(long long)y * u_pitch + x], v[(long long)y * v_pitch + x]);
    }
};

struct Quad {  // 2x2 pixels of 4:2:0
    uchar y[4], u, v;
};

// Another range alone is a factor and an offset for each plane.
__device__ inline void change_range(const Parameters* p, Quad& quad) {
    const float *factor = p->recolor_factor, *offset = p->recolor_offset;
    for (int i = 0; i < 4; ++i) quad.y[i] = to_byte(quad.y[i] * factor[0] + offset[0]);
    quad.u = to_byte(quad.u * factor[1] + offset[1]);
    quad.v = to_byte(quad.v * factor[2] + offset[2]);
}

// Another matrix mixes the planes: every pixel gets a chroma of its own, and the four the mean of what comes out.
template <class Raw>
__device__ inline void change_matrix(const Parameters* p, const Raw& raw, int x, int y, int w, int h, Quad& quad) {
    int u_sum = 0, v_sum = 0;
    for (int i = 0; i < 4; ++i) {
        const Tap tx = tap(2 * x + i % 2, w / 2, w), ty = tap(2 * y + i / 2, h / 2, h);
        const int u = bilinear([&](int column, int row) { return (int)raw.chroma(column, row).x; }, tx, ty);
        const int v = bilinear([&](int column, int row) { return (int)raw.chroma(column, row).y; }, tx, ty);
        const int luma = quad.y[i];
        quad.y[i] = transformed(p->recolor_matrix, luma, u, v);
        u_sum += transformed(p->recolor_matrix + 4, luma, u, v);
        v_sum += transformed(p->recolor_matrix + 8, luma, u, v);
    }
    quad.u = mean_of_4(u_sum);
    quad.v = mean_of_4(v_sum);
}

template <class Raw>
__device__ inline void take(const Parameters* p, const Raw& raw, uchar* picture, int w, int h, int mirror) {
    const int x = column(), y = row();
    if (x >= w / 2 || y >= h / 2) return;
    const uchar2 upper = raw.luma(x, 2 * y), lower = raw.luma(x, 2 * y + 1), chroma = raw.chroma(x, y);
    Quad quad = {{upper.x, upper.y, lower.x, lower.y}, chroma.x, chroma.y};
    if (p->recolor == RANGE) change_range(p, quad);
    if (p->recolor == MATRIX) change_matrix(p, raw, x, y, w, h, quad);
    const Planes out = planes_of(picture, w, h);
    const int to = mirror ? w / 2 - 1 - x : x;
    for (int i = 0; i < 2; ++i) {
        const uchar a = quad.y[2 * i], b = quad.y[2 * i + 1];
        ((uchar2*)(out.y + (2 * y + i) * w))[to] = mirror ? make_uchar2(b, a) : make_uchar2(a, b);
    }
    out.u[y * (w / 2) + to] = quad.u;
    out.v[y * (w / 2) + to] = quad.v;
}

extern "C" __global__ void take_yuyv(const Parameters* p, const uchar* lines, int pitch,
                                     uchar* picture, int w, int h, int mirror) {
    take(p, Yuyv{lines, pitch}, picture, w, h, mirror);
}
extern "C" __global__ void take_nv12(const Parameters* p, const uchar* lines, int pitch,
                                     const uchar* pairs, int pairs_pitch, uchar* picture, int w, int h, int mirror) {
    take(p, Nv12{lines, pairs, pitch, pairs_pitch}, picture, w, h, mirror);
}
extern "C" __global__ void take_i420(const Parameters* p, const uchar* lines, int pitch,
                                     const uchar* u, int u_pitch, const uchar* v, int v_pitch,
                                     uchar* picture, int w, int h, int mirror) {
    take(p, I420{lines, u, v, pitch, u_pitch, v_pitch}, picture, w, h, mirror);
}

// ---- shrink: what the network sees -----------------------------------------------------------------------------

__device__ inline void store(const Parameters* p, void* tensor, int at, float value) {
    if (p->half) ((unsigned short*)tensor)[at] = half_bits(value);
    else ((float*)tensor)[at] = value;
}

// seen: RGB and a byte of nothing, (height, width); tensor: (3, height, width); peak: set to 0 before.
extern "C" __global__ void shrink(const Parameters* p, uchar* picture, int w, int h, uchar4* seen, void* tensor,
                                  int* peak, int width, int height) {
    const int x = column(), y = row();
    if (x >= width || y >= height) return;
    const Planes in = planes_of(picture, w, h);
    const int *crop = p->crop, chroma = crop[1] / 2 * (w / 2) + crop[0] / 2;
    const Tap cx = tap(x, crop[2] / 2, width), cy = tap(y, crop[3] / 2, height);
    const int luma = bilinear(in.y + crop[1] * w + crop[0], w, tap(x, crop[2], width), tap(y, crop[3], height));
    const int u = bilinear(in.u + chroma, w / 2, cx, cy), v = bilinear(in.v + chroma, w / 2, cx, cy);
    int rgb[3];
    for (int c = 0; c < 3; ++c) rgb[c] = transformed(p->to_rgb + 4 * c, luma, u, v);
    seen[y * width + x] = make_uchar4(rgb[0], rgb[1], rgb[2], 0);
    if (p->by_peak) {
        const int largest = max(rgb[0], max(rgb[1], rgb[2]));
        if (largest > *(volatile int*)peak) atomicMax(peak, largest);  // most threads need not queue for it
        return;
    }
    for (int c = 0; c < 3; ++c)
        store(p, tensor, (c * height + y) * width + x, (p->bgr ? rgb[2 - c] : rgb[c]) * p->factor[c] - p->shift[c]);
}

// The tensor where its factor is 1 / the picture's largest sample, which shrink has found.
extern "C" __global__ void by_peak(const Parameters* p, const uchar4* seen, const int* peak, void* tensor,
                                   int width, int height) {
    const int x = column(), y = row();
    if (x >= width || y >= height) return;
    const uchar4 pixel = seen[y * width + x];
    const int rgb[3] = {pixel.x, pixel.y, pixel.z};
    for (int c = 0; c < 3; ++c) {
        const float factor = *peak ? 1.0f / (*peak * p->deviation[c]) : 0.0f;
        store(p, tensor, (c * height + y) * width + x, (p->bgr ? rgb[2 - c] : rgb[c]) * factor - p->shift[c]);
    }
}

// ---- refine: the matte onto the picture's edges (edges.py says why) --------------------------------------------

constexpr int RADIUS = 2, WINDOW = (2 * RADIUS + 1) * (2 * RADIUS + 1);
constexpr float EPS = 5e-4f, OF_255 = 1 / 255.0f;

__device__ inline void check(float alpha, int* fault) {
    if (!(alpha >= 0 && alpha <= 1)) *fault = 1;  // NaN is neither
}

__device__ inline int reflected(int i, int n) {  // fedcba|abcdef|fedcba
    while (i < 0 || i >= n) i = i < 0 ? -1 - i : 2 * n - 1 - i;
    return i;
}

// parts (height, width): R, G, B of 0..1 and the matte made steeper, all shrunk from (from_h, from_w).
extern "C" __global__ void gather(const float* matte, const uchar4* seen, float4* parts, int from_w, int from_h,
                                  int width, int height, float softness) {
    const int x = column(), y = row();
    if (x >= width || y >= height) return;
    const Tap tx = tap(x, from_w, width), ty = tap(y, from_h, height);
    const float offset = 0.5f - 0.5f * softness;
    const auto steep = [&](int column, int row) {
        return fminf(fmaxf(matte[row * from_w + column] * softness + offset, 0.0f), 1.0f);
    };
    const auto channel = [&](int c) {
        const auto sample = [&](int column, int row) { return (int)((const uchar*)(seen + row * from_w + column))[c]; };
        return bilinear(sample, tx, ty) * OF_255;
    };
    parts[y * width + x] = make_float4(channel(0), channel(1), channel(2), bilinear_float(steep, tx, ty));
}

// The guided filter's line through every window: alpha ≈ x·R + y·G + z·B + w. Differences to the middle keep the digits
// that a difference of large sums would lose.
extern "C" __global__ void fit(const float4* parts, float4* lines, int width, int height) {
    const int x = column(), y = row();
    if (x >= width || y >= height) return;
    const float4 middle = parts[y * width + x];
    float mr = 0, mg = 0, mb = 0, ma = 0, rr = 0, gg = 0, bb = 0, rg = 0, rb = 0, gb = 0, ca = 0, cb = 0, cc = 0;
    for (int dy = -RADIUS; dy <= RADIUS; ++dy) {
        const float4* line = parts + reflected(y + dy, height) * width;
        for (int dx = -RADIUS; dx <= RADIUS; ++dx) {
            const float4 part = line[reflected(x + dx, width)];
            const float r = part.x - middle.x, g = part.y - middle.y, b = part.z - middle.z, a = part.w - middle.w;
            mr += r, mg += g, mb += b, ma += a;
            rr += r * r, gg += g * g, bb += b * b, rg += r * g, rb += r * b, gb += g * b;
            ca += r * a, cb += g * a, cc += b * a;
        }
    }
    mr /= WINDOW, mg /= WINDOW, mb /= WINDOW, ma /= WINDOW;
    rr = rr / WINDOW - mr * mr + EPS, gg = gg / WINDOW - mg * mg + EPS, bb = bb / WINDOW - mb * mb + EPS;
    rg = rg / WINDOW - mr * mg, rb = rb / WINDOW - mr * mb, gb = gb / WINDOW - mg * mb;
    ca = ca / WINDOW - mr * ma, cb = cb / WINDOW - mg * ma, cc = cc / WINDOW - mb * ma;
    // the inverse of the symmetric 3x3 covariance, by cofactors
    const float i0 = gg * bb - gb * gb, i1 = gb * rb - rg * bb, i2 = rg * gb - gg * rb;
    const float i3 = rr * bb - rb * rb, i4 = rb * rg - rr * gb, i5 = rr * gg - rg * rg;
    const float scale = 1 / (rr * i0 + rg * i1 + rb * i2);
    const float w0 = (i0 * ca + i1 * cb + i2 * cc) * scale;
    const float w1 = (i1 * ca + i3 * cb + i4 * cc) * scale;
    const float w2 = (i2 * ca + i4 * cb + i5 * cc) * scale;
    const float b = ma + middle.w - w0 * (mr + middle.x) - w1 * (mg + middle.y) - w2 * (mb + middle.z);
    lines[y * width + x] = make_float4(w0, w1, w2, b);
}

// The mean of the lines of all windows that a pixel is in.
extern "C" __global__ void smooth(const float4* lines, float4* means, int width, int height) {
    const int x = column(), y = row();
    if (x >= width || y >= height) return;
    float4 sum = make_float4(0, 0, 0, 0);
    for (int dy = -RADIUS; dy <= RADIUS; ++dy) {
        const float4* line = lines + reflected(y + dy, height) * width;
        for (int dx = -RADIUS; dx <= RADIUS; ++dx) {
            const float4 one = line[reflected(x + dx, width)];
            sum.x += one.x, sum.y += one.y, sum.z += one.z, sum.w += one.w;
        }
    }
    means[y * width + x] = make_float4(sum.x / WINDOW, sum.y / WINDOW, sum.z / WINDOW, sum.w / WINDOW);
}

// The lines, enlarged, applied to what the network saw, and the second slope.
extern "C" __global__ void sharpen(const float4* means, int small_w, int small_h, const uchar4* seen,
                                   const float* matte, uchar* sharp, int width, int height, float softness,
                                   int* fault) {
    const int x = column(), y = row();
    if (x >= width || y >= height) return;
    check(matte[y * width + x], fault);
    const Tap tx = tap(x, small_w, width), ty = tap(y, small_h, height);
    const auto part = [&](int c) {
        const auto sample = [&](int column, int row) { return ((const float*)(means + row * small_w + column))[c]; };
        return bilinear_float(sample, tx, ty);
    };
    const uchar4 rgb = seen[y * width + x];
    const float alpha = part(3) + part(0) * rgb.x * OF_255 + part(1) * rgb.y * OF_255 + part(2) * rgb.z * OF_255;
    sharp[y * width + x] = to_byte(alpha * (255 * softness) + 255 * (0.5f - 0.5f * softness));
}

// A matte whose outline is as sharp as it should be.
extern "C" __global__ void bytes(const float* matte, uchar* sharp, int width, int height, int* fault) {
    const int x = column(), y = row();
    if (x >= width || y >= height) return;
    check(matte[y * width + x], fault);
    sharp[y * width + x] = to_byte(fabsf(matte[y * width + x] * 255));
}

// To the picture's size, times the frame's own alpha where it has one.
extern "C" __global__ void enlarge(const Parameters* p, const uchar* sharp, int width, int height, const uchar* own,
                                   uchar* alpha, int w, int h) {
    const int x = column(), y = row();
    if (x >= w / 2 || y >= h / 2) return;
    const Tap left = tap(2 * x, width, w), right = tap(2 * x + 1, width, w);
    for (int i = 0; i < 2; ++i) {
        const Tap ty = tap(2 * y + i, height, h);
        const int at = (2 * y + i) * (w / 2) + x;
        uchar2 pair = make_uchar2(bilinear(sharp, width, left, ty), bilinear(sharp, width, right, ty));
        if (p->own_alpha) {
            const uchar2 times = ((const uchar2*)own)[at];
            pair = make_uchar2(over_255(pair.x * times.x), over_255(pair.y * times.y));
        }
        ((uchar2*)alpha)[at] = pair;
    }
}

// ---- the blurred room (blur.py says how) -----------------------------------------------------------------------

// Two steps of a chain at once: the planes Y, U, V and alpha (z) from level `first` to `first` + 2. Level 0 is the
// picture and its alpha; what is reached at last is written to `small`.
extern "C" __global__ void shrink_room(const Parameters* p, int first, uchar* picture, const uchar* alpha, int w, int h,
                                       const uchar* above, int above_area, uchar* below, int below_area,
                                       uchar* small, int small_area) {
    const int x = column(), y = row(), z = blockIdx.z;
    const Chain& chain = z == 1 || z == 2 ? p->chroma : p->luma;
    if (p->back != ROOM || first >= chain.steps) return;
    const bool twice = first + 1 < chain.steps, last = first + 2 >= chain.steps;
    const int *widths = chain.width + first, *heights = chain.height + first;
    const int width = widths[twice ? 2 : 1], height = heights[twice ? 2 : 1];
    if (x >= width || y >= height) return;
    const Planes planes = planes_of(picture, w, h);
    const uchar* whole = z == 0 ? planes.y : z == 1 ? planes.u : z == 2 ? planes.v : alpha;
    const uchar* from = first ? above + z * above_area : whole;
    const auto once = [&](int column, int row) {
        return bilinear(from, widths[0], tap(column, widths[0], widths[1]), tap(row, heights[0], heights[1]));
    };
    const int value = twice ? bilinear(once, tap(x, widths[1], width), tap(y, heights[1], height)) : once(x, y);
    (last ? small + z * small_area : below + z * below_area)[y * width + x] = value;
}

constexpr int TILE_W = 32, TILE_H = 8, REACH = 10;  // threads of a block, and the largest radius

// What is room, 1e-3..1: almost nothing on the person and a pixel around.
__device__ inline float room(const uchar* alpha, int width, int height, int x, int y) {
    int person = 0;
    for (int dy = -1; dy <= 1; ++dy)
        for (int dx = -1; dx <= 1; ++dx)
            person = max(person, (int)alpha[clamped(y + dy, 0, height - 1) * width + clamped(x + dx, 0, width - 1)]);
    return fmaxf(1 - person / 255.0f, 1e-3f);
}

// The Gaussian along lines, of Y, U, V times room, and of room. The threads of a block, 32x8, share what they all need.
extern "C" __global__ void across(const Parameters* p, const uchar* small, int area, float4* sums) {
    __shared__ float4 tile[TILE_H][TILE_W + 2 * REACH];
    if (p->back != ROOM) return;
    const int width = p->luma.width[p->luma.steps], height = p->luma.height[p->luma.steps];
    const int x = column(), y = row(), line = min(y, height - 1), left = blockIdx.x * TILE_W - REACH;
    for (int i = threadIdx.x; i < TILE_W + 2 * REACH; i += TILE_W) {
        const int at = clamped(left + i, 0, width - 1);
        const float weight = room(small + 3 * area, width, height, at, line);
        const uchar* sample = small + line * width + at;
        tile[threadIdx.y][i] =
            make_float4(sample[0] * weight, sample[area] * weight, sample[2 * area] * weight, weight);
    }
    __syncthreads();
    if (x >= width || y >= height) return;
    float4 sum = make_float4(0, 0, 0, 0);
    for (int i = -p->radius; i <= p->radius; ++i) {
        const float4 part = tile[threadIdx.y][threadIdx.x + REACH + i];
        const float weight = p->weights[abs(i)];
        sum.x += part.x * weight, sum.y += part.y * weight, sum.z += part.z * weight, sum.w += part.w * weight;
    }
    sums[y * width + x] = sum;
}

// The Gaussian along columns, and the division by how much room there was: the room's mean colour.
extern "C" __global__ void down(const Parameters* p, const float4* sums, uchar* blurred, int area) {
    const int x = column(), y = row();
    const int width = p->luma.width[p->luma.steps], height = p->luma.height[p->luma.steps];
    if (p->back != ROOM || x >= width || y >= height) return;
    float4 sum = make_float4(0, 0, 0, 0);
    for (int i = -p->radius; i <= p->radius; ++i) {
        const float4 part = sums[clamped(y + i, 0, height - 1) * width + x];
        const float weight = p->weights[abs(i)];
        sum.x += part.x * weight, sum.y += part.y * weight, sum.z += part.z * weight, sum.w += part.w * weight;
    }
    uchar* out = blurred + y * width + x;
    out[0] = to_byte(sum.x / sum.w);
    out[area] = to_byte(sum.y / sum.w);
    out[2 * area] = to_byte(sum.z / sum.w);
}

// ---- compose ---------------------------------------------------------------------------------------------------

// 2x2 pixels of given planes.
__device__ inline Quad quad_of(const Planes& planes, int x, int y, int w) {
    const uchar2* line = (const uchar2*)(planes.y + 2 * y * w);
    const uchar2 upper = line[x], lower = line[w / 2 + x];
    const int at = y * (w / 2) + x;
    return {{upper.x, upper.y, lower.x, lower.y}, planes.u[at], planes.v[at]};
}

// 2x2 pixels of the blurred room, enlarged.
__device__ inline Quad quad_of_room(const Parameters* p, const uchar* blurred, int area, int x, int y, int w, int h) {
    const int width = p->luma.width[p->luma.steps], height = p->luma.height[p->luma.steps];
    const Tap columns[2] = {tap(2 * x, width, w), tap(2 * x + 1, width, w)};
    const Tap cx = tap(x, width, w / 2), cy = tap(y, height, h / 2);
    Quad quad;
    for (int i = 0; i < 4; ++i) quad.y[i] = bilinear(blurred, width, columns[i % 2], tap(2 * y + i / 2, height, h));
    quad.u = bilinear(blurred + area, width, cx, cy);
    quad.v = bilinear(blurred + 2 * area, width, cx, cy);
    return quad;
}

__device__ inline uchar mixed(int front, int back, int alpha) {
    return over_255(front * alpha) + over_255(back * (255 - alpha));
}

// α·F + (1 − α)·B. What is not seen is not read: most of a picture is either the person or what is behind.
extern "C" __global__ void compose(const Parameters* p, uchar* picture, const uchar* alpha, uchar* back,
                                   const uchar* blurred, int area, uchar* done, int w, int h) {
    const int x = column(), y = row();
    if (x >= w / 2 || y >= h / 2) return;
    const uchar2* line = (const uchar2*)(alpha + 2 * y * w);
    const uchar2 upper = line[x], lower = line[w / 2 + x];
    const int a[4] = {upper.x, upper.y, lower.x, lower.y}, sum = a[0] + a[1] + a[2] + a[3], share = mean_of_4(sum);
    Quad out = {{0, 0, 0, 0}, 128, 128};
    if (p->back == MATTE) {
        for (int i = 0; i < 4; ++i) out.y[i] = to_byte(a[i] * p->matte_factor + p->matte_offset);
    } else {
        Quad front = {}, behind = {};
        if (sum > 0) front = quad_of(planes_of(picture, w, h), x, y, w);
        if (sum < 4 * 255 && p->back == ROOM) behind = quad_of_room(p, blurred, area, x, y, w, h);
        if (sum < 4 * 255 && p->back == PLANES) behind = quad_of(planes_of(back, w, h), x, y, w);
        for (int i = 0; i < 4; ++i) out.y[i] = mixed(front.y[i], behind.y[i], a[i]);
        out.u = mixed(front.u, behind.u, share);
        out.v = mixed(front.v, behind.v, share);
    }
    const Planes to = planes_of(done, w, h);
    uchar2* target = (uchar2*)(to.y + 2 * y * w);
    target[x] = make_uchar2(out.y[0], out.y[1]);
    target[w / 2 + x] = make_uchar2(out.y[2], out.y[3]);
    to.u[y * (w / 2) + x] = out.u;
    to.v[y * (w / 2) + x] = out.v;
}
