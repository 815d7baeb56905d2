// The kernels of the CUDA canvas (canvas.py), in the order of a frame's work. A picture is I420 in one block: Y, U, V.
//
//     raw ───────────▶ take_yuyv, take_nv12, take_i420 ───────────────────────────▶ picture
//     picture ───────▶ shrink ▶ (by_peak) ────────────────────────▶ tensor, seen     tensor ▶ network ▶ matte
//     matte ─────────▶ (keep) ────────────────────────────────────────────────────▶ kept      (of a mirrored look)
//     matte ─────────▶ glance ────────────────────────────────────────────────────▶ glanced
//     matte, kept, seen, what is remembered ▶ steady ─────────────────────────────▶ what is remembered next
//     that, seen ────▶ gather ▶ fit ▶ smooth ▶ sharpen   or bytes ────────────────▶ sharp
//     sharp ─────────▶ soften_lines ▶ soften_columns, twice ▶ enlarge ────────────▶ alpha
//     picture, alpha ▶ shrink_room, several times ▶ across ▶ down ────────────────▶ blurred   (behind Blur only)
//     picture, alpha, back or blurred ▶ between ──────────────────────────────────▶ colours   (of the edge)
//     picture, alpha, colours, back or blurred ▶ compose ─────────────────────────▶ done
//
// From shrink on all is recorded once and replayed for every frame, whatever the scene: what may change between two
// frames lies in Parameters, in the GPU's memory, and a kernel that has nothing to do returns.
//
// Only take, enlarge, between and compose touch full-size memory. The threads of most do 2x2 pixels, which are one
// sample of chroma, so that a warp reads and writes whole sectors of every plane. The others work on small pictures,
// where what counts is how few of them there are.
//
// The arithmetic is OpenCV's, down to its fixed point, so that the host canvas gives the same picture. Barriers and
// shared memory in `steady`, `across` and `between` only; no textures, no shuffles: tests run this on the CPU.

typedef unsigned char uchar;

struct Chain {  // how a plane is shrunk for the blur: sizes, from its own (0) to the small picture's (steps)
    int steps, width[12], height[12];
};

struct Gauss {  // in two passes: how far it reaches, and its weights from its centre, of 1/256; 0 for none
    int across, down, across_weights[121], down_weights[121];
};

struct Parameters {  // written by parameters.py, field by field
    // take: what the raw samples mean is not what the picture's do
    int recolor;                           // one of the next three
    int recolor_matrix[12];                // of 1/1024
    float recolor_factor[3], recolor_offset[3];
    // shrink
    int region[4];                         // of the frame, that the network sees: left, top, width, height; even
    int to_rgb[12];                        // of 1/1024
    int bgr, half, by_peak;
    float factor[3], shift[3], deviation[3];
    // refine
    float middle, lower, upper;            // the alpha that becomes 1/2, and the slopes on its two sides
    int smooth;                            // whether mattes are made steady
    float still[64];                       // how much of the last one is kept, by the change of colour
    Gauss shifted, feathered;
    uchar moved[256];                      // from an edge blurred by `shifted` to a sharp one
    int own_alpha;                         // whether the frame has one
    // compose
    int coloured;                          // whether there are colours of the edge
    float light_wrap;                      // 0..1
    int back;                              // one of the three below
    float matte_factor, matte_offset;
    Chain luma, chroma;
    int radius;
    float weights[11];                     // of the Gaussian, from its centre
};
static_assert(sizeof(Parameters) == 4 * 735, "parameters.py knows it of this size");

enum Recolor { SAME, RANGE, MATRIX };
enum Back { PLANES, ROOM, MATTE };  // given planes; the picture itself, blurred; the alpha alone, as grey

// What is remembered of the last matte: whether there is anything, in which half of `steadied` and of `calm` it is,
// and what of the frame it shows. All zeros to forget.
struct Memory {
    int there, half, region[4];
};

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

// From a map of `to` samples over a part of the frame, `now`, to one of `from` samples over another, `then`; both parts
// are a first pixel and a length. Not kept inside: beyond it is nothing.
__device__ inline Tap tap_elsewhere(int at, int to, int now_first, int now_length, int from, int then_first,
                                    int then_length) {
    const long long scale = 2LL * to * then_length;
    const long long across = (2LL * at + 1) * now_length + 2LL * to * (now_first - then_first);
    const long long position = across * from - scale / 2;
    long long whole = position / scale;
    if (whole * scale > position) --whole;
    return {(int)whole, (int)whole + 1, (float)(position - whole * scale) / scale};
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
                                  int* peak, int width, int height, int mirrored) {
    const int from = column(), y = row();
    if (from >= width || y >= height) return;
    const int x = mirrored ? width - 1 - from : from;
    const Planes in = planes_of(picture, w, h);
    const int *part = p->region, chroma = part[1] / 2 * (w / 2) + part[0] / 2;
    const Tap cx = tap(from, part[2] / 2, width), cy = tap(y, part[3] / 2, height);
    const int luma = bilinear(in.y + part[1] * w + part[0], w, tap(from, part[2], width), tap(y, part[3], height));
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

// ---- keep, glance ----------------------------------------------------------------------------------------------

__device__ inline void check(float alpha, int* fault) {
    if (!(alpha >= 0 && alpha <= 1)) *fault = 1;  // NaN is neither
}

// The answer to a mirrored look, mirrored back.
extern "C" __global__ void keep(const float* matte, float* kept, int width, int height, int* fault) {
    const int x = column(), y = row();
    if (x >= width || y >= height) return;
    check(matte[y * width + x], fault);
    kept[y * width + width - 1 - x] = matte[y * width + x];
}

constexpr int GLANCE_W = 160, GLANCE_H = 90;

// A float of a map of (height, width), which is 0 around.
__device__ inline float bilinear_or_0(const float* map, int width, int height, const Tap& x, const Tap& y) {
    const auto sample = [&](int column, int row) {
        return column >= 0 && column < width && row >= 0 && row < height ? map[row * width + column] : 0.0f;
    };
    return bilinear_float(sample, x, y);
}

// The matte of a region as a small alpha of the whole frame, (w, h): the larger of it and what is there.
extern "C" __global__ void glance(const Parameters* p, const float* matte, int width, int height, uchar* glanced,
                                  int w, int h, int* fault) {
    const int x = column(), y = row(), *part = p->region;
    if (x < width && y < height) check(matte[y * width + x], fault);
    if (x >= GLANCE_W || y >= GLANCE_H) return;
    const Tap tx = tap_elsewhere(x, GLANCE_W, 0, w, width, part[0], part[2]);
    const Tap ty = tap_elsewhere(y, GLANCE_H, 0, h, height, part[1], part[3]);
    uchar& most = glanced[y * GLANCE_W + x];
    most = max(most, to_byte(bilinear_or_0(matte, width, height, tx, ty) * 255));
}

// ---- refine: two looks joined, made steady (outline.py, steady.py) ---------------------------------------------

constexpr int TILE_W = 32, TILE_H = 8;  // threads of a block

// Where `steady` writes: the half that is not what is remembered.
template <class T> __device__ inline T* latest(const Memory* memory, T* halves, int area) {
    return halves + (memory->half ? 0 : area);
}
template <class T> __device__ inline T* remembered(const Memory* memory, T* halves, int area) {
    return halves + (memory->half ? area : 0);
}

__device__ inline int mirrored(int i, int n) {  // cb|abc|ba, and a for a|a|a; -1 <= i <= n
    return clamped(i < 0 ? -i : i >= n ? 2 * n - 2 - i : i, 0, n - 1);
}

struct Cells {  // the picture that the network saw, at half its size
    int width, height;
    __device__ bool have(int x, int y) const { return x >= 0 && x < width && y >= 0 && y < height; }
};

// A map of a region as a map of another: where (x, y) of (height, width) was.
struct Move {
    const int *now, *then;
    __device__ bool still() const {
        return now[0] == then[0] && now[1] == then[1] && now[2] == then[2] && now[3] == then[3];
    }
    __device__ Tap column(int x, int width) const {
        return tap_elsewhere(x, width, now[0], now[2], width, then[0], then[2]);
    }
    __device__ Tap row(int y, int height) const {
        return tap_elsewhere(y, height, now[1], now[3], height, then[1], then[3]);
    }
};

// The fourth channel tells what was not seen, 255, which has changed whatever its colours are.
__device__ inline uchar4 before_of(const uchar4* calm, const Cells& cells, const Move& move, int x, int y) {
    if (move.still()) return calm[y * cells.width + x];
    const Tap tx = move.column(x, cells.width), ty = move.row(y, cells.height);
    const auto channel = [&](int c) {
        const auto sample = [&](int column, int row) {
            return cells.have(column, row) ? (float)((const uchar*)(calm + row * cells.width + column))[c] : 0.0f;
        };
        return to_byte(bilinear_float(sample, tx, ty));
    };
    const auto seen = [&](int column, int row) { return cells.have(column, row) ? 255.0f : 0.0f; };
    return make_uchar4(channel(0), channel(1), channel(2), 255 - to_byte(bilinear_float(seen, tx, ty)));
}

__device__ inline int change_between(const uchar4& a, const uchar4& b) {
    return max(max(abs(a.x - b.x), abs(a.y - b.y)), max(abs(a.z - b.z), abs(a.w - b.w)));
}

// What a block needs: so many cells' weights, the changes of two more around, the picture of one more.
constexpr int CELLS_W = TILE_W / 2 + 2, CELLS_H = TILE_H / 2 + 2;
constexpr int CHANGES_W = CELLS_W + 4, CHANGES_H = CELLS_H + 4;
constexpr int PICTURE_W = CHANGES_W + 2, PICTURE_H = CHANGES_H + 2;

// The mean of 3x3 cells. Cell (0, 0) of `picture` is (left, top).
__device__ inline uchar4 calm_of(const uchar4 (*picture)[PICTURE_W], int left, int top, const Cells& cells, int x,
                                 int y) {
    int red = 4, green = 4, blue = 4;
    for (int dy = -1; dy <= 1; ++dy)
        for (int dx = -1; dx <= 1; ++dx) {
            const uchar4 cell = picture[mirrored(y + dy, cells.height) - top][mirrored(x + dx, cells.width) - left];
            red += cell.x, green += cell.y, blue += cell.z;
        }
    return make_uchar4(red / 9, green / 9, blue / 9, 0);
}

// The mean, over 3x3 cells, of the largest of the 3x3 changes around each. Cell (0, 0) of `changes` is (left, top).
__device__ inline int change_around(const uchar (*changes)[CHANGES_W], int left, int top, const Cells& cells, int x,
                                    int y) {
    int sum = 4;
    for (int dy = -1; dy <= 1; ++dy)
        for (int dx = -1; dx <= 1; ++dx) {
            const int cx = mirrored(x + dx, cells.width), cy = mirrored(y + dy, cells.height);
            int most = 0;
            for (int row = max(cy - 1, 0); row <= min(cy + 1, cells.height - 1); ++row)
                for (int column = max(cx - 1, 0); column <= min(cx + 1, cells.width - 1); ++column)
                    most = max(most, (int)changes[row - top][column - left]);
            sum += most;
        }
    return sum / 9;
}

// The matte, joined with what was kept, and drawn towards the last one where the picture stands still. The threads of
// a block, 32x8, share the changes of the picture. calm: two times the picture at half its size; steadied: two mattes.
extern "C" __global__ void steady(const Parameters* p, const Memory* memory, const float* matte, const float* kept,
                                  int joins, const uchar4* seen, int remembers, uchar4* calm, float* steadied,
                                  int width, int height, int* fault) {
    __shared__ uchar4 picture[PICTURE_H][PICTURE_W];
    __shared__ uchar changes[CHANGES_H][CHANGES_W];
    __shared__ float weights[CELLS_H][CELLS_W];
    const Cells cells = {max(width / 2, 1), max(height / 2, 1)};
    const Move move = {p->region, memory->region};
    const int thread = threadIdx.y * TILE_W + threadIdx.x, threads = TILE_W * TILE_H, area = cells.width * cells.height;
    const int left = tap(blockIdx.x * TILE_W, cells.width, width).a;
    const int top = tap(blockIdx.y * TILE_H, cells.height, height).a;
    const bool smooth = remembers && p->smooth, again = smooth && memory->there;
    for (int i = thread; smooth && i < PICTURE_W * PICTURE_H; i += threads) {
        const int cx = left - 3 + i % PICTURE_W, cy = top - 3 + i / PICTURE_W;
        if (!cells.have(cx, cy)) continue;
        const Tap tx = tap(cx, width, cells.width), ty = tap(cy, height, cells.height);
        const auto channel = [&](int c) {
            return bilinear([&](int column, int row) { return (int)((const uchar*)(seen + row * width + column))[c]; },
                            tx, ty);
        };
        picture[i / PICTURE_W][i % PICTURE_W] = make_uchar4(channel(0), channel(1), channel(2), 0);
    }
    __syncthreads();
    for (int i = thread; smooth && i < CHANGES_W * CHANGES_H; i += threads) {
        const int cx = left - 2 + i % CHANGES_W, cy = top - 2 + i / CHANGES_W;
        if (!cells.have(cx, cy)) continue;
        const uchar4 now = calm_of(picture, left - 3, top - 3, cells, cx, cy);
        latest(memory, calm, area)[cy * cells.width + cx] = now;  // the same, whichever blocks write it
        if (again)
            changes[i / CHANGES_W][i % CHANGES_W] =
                change_between(now, before_of(remembered(memory, calm, area), cells, move, cx, cy));
    }
    __syncthreads();
    for (int i = thread; again && i < CELLS_W * CELLS_H; i += threads) {
        const int cx = left + i % CELLS_W, cy = top + i / CELLS_W;
        if (!cells.have(cx, cy)) continue;
        const int change = change_around(changes, left - 2, top - 2, cells, cx, cy);
        weights[i / CELLS_W][i % CELLS_W] = change < 64 ? p->still[change] : 0.0f;
    }
    __syncthreads();
    const int x = column(), y = row(), at = y * width + x;
    if (x >= width || y >= height) return;
    float alpha = matte[at];
    check(alpha, fault);
    if (joins) alpha = sqrtf(alpha * kept[at]) * 0.75f + (alpha + kept[at]) * 0.125f;
    if (again) {
        const float* last = remembered(memory, steadied, width * height);
        const auto sample = [&](int column, int row) { return weights[row - top][column - left]; };
        const float weight = bilinear_float(sample, tap(x, cells.width, width), tap(y, cells.height, height));
        const float was = move.still() ? last[at]
                                       : bilinear_or_0(last, width, height, move.column(x, width), move.row(y, height));
        alpha += weight * (was - alpha);
    }
    latest(memory, steadied, width * height)[at] = alpha;
}

// ---- refine: the matte onto the picture's edges (edges.py says why) --------------------------------------------

constexpr int RADIUS = 2, WINDOW = (2 * RADIUS + 1) * (2 * RADIUS + 1);
constexpr float EPS = 5e-4f, OF_255 = 1 / 255.0f;

// As sure as the network must be: two lines, 0 to 0, `middle` to 1/2, 1 to 1.
__device__ inline float as_sure(const Parameters* p, float alpha) {
    if (p->middle == 0.5f) return alpha;
    return alpha < p->middle ? alpha * p->lower : (alpha - 1) * p->upper + 1;
}

__device__ inline int reflected(int i, int n) {  // fedcba|abcdef|fedcba
    while (i < 0 || i >= n) i = i < 0 ? -1 - i : 2 * n - 1 - i;
    return i;
}

// parts (height, width): R, G, B of 0..1 and the matte made steeper, all shrunk from (from_h, from_w).
extern "C" __global__ void gather(const Parameters* p, const Memory* memory, const float* steadied,
                                  const uchar4* seen, float4* parts, int from_w, int from_h, int width, int height,
                                  float softness) {
    const int x = column(), y = row();
    if (x >= width || y >= height) return;
    const float* matte = latest(memory, steadied, from_w * from_h);
    const Tap tx = tap(x, from_w, width), ty = tap(y, from_h, height);
    const float offset = 0.5f - 0.5f * softness;
    const auto steep = [&](int column, int row) {
        return fminf(fmaxf(as_sure(p, matte[row * from_w + column]) * softness + offset, 0.0f), 1.0f);
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
extern "C" __global__ void sharpen(const float4* means, int small_w, int small_h, const uchar4* seen, uchar* sharp,
                                   int width, int height, float softness) {
    const int x = column(), y = row();
    if (x >= width || y >= height) return;
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
extern "C" __global__ void bytes(const Parameters* p, const Memory* memory, const float* steadied, uchar* sharp,
                                 int width, int height) {
    const int x = column(), y = row();
    if (x >= width || y >= height) return;
    sharp[y * width + x] = to_byte(as_sure(p, latest(memory, steadied, width * height)[y * width + x]) * 255);
}

// ---- refine: softer, further out or further in (outline.py) ----------------------------------------------------

// The Gaussian of a shift, or of a feather, as cv2.GaussianBlur does it on bytes, in whole numbers: along lines,
extern "C" __global__ void soften_lines(const Parameters* p, int feathers, const uchar* sharp, unsigned short* sums,
                                        int width, int height) {
    const Gauss& gauss = feathers ? p->feathered : p->shifted;
    const int x = column(), y = row();
    if (!gauss.across || x >= width || y >= height) return;
    const uchar* line = sharp + y * width;
    int sum = 0;
    for (int i = -gauss.across; i <= gauss.across; ++i)
        sum += gauss.across_weights[abs(i)] * line[clamped(x + i, 0, width - 1)];
    sums[y * width + x] = sum;
}

// and along columns; a shift then makes a sharp edge of it again, elsewhere.
extern "C" __global__ void soften_columns(const Parameters* p, int feathers, const unsigned short* sums, uchar* sharp,
                                          int width, int height) {
    const Gauss& gauss = feathers ? p->feathered : p->shifted;
    const int x = column(), y = row();
    if (!gauss.across || x >= width || y >= height) return;
    int sum = 1 << 15;
    for (int i = -gauss.down; i <= gauss.down; ++i)
        sum += gauss.down_weights[abs(i)] * sums[clamped(y + i, 0, height - 1) * width + x];
    sharp[y * width + x] = feathers ? sum >> 16 : p->moved[sum >> 16];
}

// ---- refine: to the picture's size -----------------------------------------------------------------------------

// In the region that the network saw, 0 around it, times the frame's own alpha where it has one. As the last of refine
// it also has the last matte remembered, if it was one.
extern "C" __global__ void enlarge(const Parameters* p, Memory* memory, int remembers, const int* fault,
                                   const uchar* sharp, int width, int height, const uchar* own, uchar* alpha, int w,
                                   int h) {
    const int x = column(), y = row(), *part = p->region;
    if (x == 0 && y == 0 && !p->smooth && !*fault) memory->there = 0;  // what it remembers will be old
    if (x == 0 && y == 0 && remembers && p->smooth && !*fault) {
        memory->there = 1, memory->half = 1 - memory->half;
        for (int i = 0; i < 4; ++i) memory->region[i] = part[i];
    }
    if (x >= w / 2 || y >= h / 2) return;
    const int in_x = 2 * x - part[0], in_y = 2 * y - part[1];
    const bool inside = in_x >= 0 && in_x < part[2] && in_y >= 0 && in_y < part[3];
    const Tap left = tap(in_x, width, part[2]), right = tap(in_x + 1, width, part[2]);
    for (int i = 0; i < 2; ++i) {
        const int at = (2 * y + i) * (w / 2) + x;
        if (!inside) {
            ((uchar2*)alpha)[at] = make_uchar2(0, 0);
            continue;
        }
        const Tap ty = tap(in_y + i, height, part[3]);
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

constexpr int REACH = 10;  // the largest radius

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

// ---- the colours of the edge (edge_colour.py says which) --------------------------------------------------------

// A byte of a plane of (h, w) shrunk to (height, width), a quarter of its size, by way of the half.
template <class Sample>
__device__ inline int quartered(Sample sample, int w, int h, int x, int y, int width, int height) {
    const auto once = [&](int column, int row) {
        return bilinear(sample, tap(column, w, w / 2), tap(row, h, h / 2));
    };
    return bilinear(once, tap(x, w / 2, width), tap(y, h / 2, height));
}

// A byte of what is behind, at the full size of its plane: Y (0), U (1), V (2).
__device__ inline int byte_behind(const Parameters* p, const uchar* back, const uchar* blurred, int area, int c, int x,
                                  int y, int w, int h) {
    const int width = c ? w / 2 : w, height = c ? h / 2 : h;
    if (p->back != ROOM) return (back + (c ? w * h : 0) + (c == 2 ? w / 2 * (h / 2) : 0))[y * width + x];
    const int room_w = p->luma.width[p->luma.steps], room_h = p->luma.height[p->luma.steps];
    return bilinear(blurred + c * area, room_w, tap(x, room_w, width), tap(y, room_h, height));
}

constexpr int NEAR = 2;          // px of the quarter-size picture: the surroundings
constexpr float LITTLE = 1e-3f;  // of weight, where there is neither person nor room

// colours: Y, U, V of G, a quarter of the picture's size. The threads of a block, 32x8, share the small picture.
extern "C" __global__ void between(const Parameters* p, uchar* picture, const uchar* alpha, const uchar* back,
                                   const uchar* blurred, int area, uchar4* colours, int w, int h) {
    __shared__ uchar4 tile[TILE_H + 2 * NEAR][TILE_W + 2 * NEAR];
    if (!p->coloured) return;
    const int width = max(w / 4, 1), height = max(h / 4, 1), wide = TILE_W + 2 * NEAR;
    const Planes planes = planes_of(picture, w, h);
    for (int i = threadIdx.y * TILE_W + threadIdx.x; i < wide * (TILE_H + 2 * NEAR); i += TILE_W * TILE_H) {
        const int cx = clamped(blockIdx.x * TILE_W - NEAR + i % wide, 0, width - 1);
        const int cy = clamped(blockIdx.y * TILE_H - NEAR + i / wide, 0, height - 1);
        const Tap tx = tap(cx, w / 2, width), ty = tap(cy, h / 2, height);
        const auto luma = [&](int column, int row) { return (int)planes.y[row * w + column]; };
        const auto share = [&](int column, int row) { return (int)alpha[row * w + column]; };
        tile[i / wide][i % wide] = make_uchar4(
            quartered(luma, w, h, cx, cy, width, height), bilinear(planes.u, w / 2, tx, ty),
            bilinear(planes.v, w / 2, tx, ty), quartered(share, w, h, cx, cy, width, height));
    }
    __syncthreads();
    const int x = column(), y = row();
    if (x >= width || y >= height) return;
    float persons = 0, rooms = 0, own[3] = {0, 0, 0}, old[3] = {0, 0, 0};
    for (int dy = 0; dy <= 2 * NEAR; ++dy)
        for (int dx = 0; dx <= 2 * NEAR; ++dx) {
            const uchar4 sample = tile[threadIdx.y + dy][threadIdx.x + dx];
            const float share = sample.w * OF_255, person = share * share, room = (1 - share) * (1 - share);
            persons += person, rooms += room;
            own[0] += sample.x * person, own[1] += sample.y * person, own[2] += sample.z * person;
            old[0] += sample.x * room, old[1] += sample.y * room, old[2] += sample.z * room;
        }
    const float share = tile[threadIdx.y + NEAR][threadIdx.x + NEAR].w * OF_255;
    const float by_persons = 1 / (persons / WINDOW + LITTLE), by_rooms = 1 / (rooms / WINDOW + LITTLE);
    uchar out[3];
    for (int c = 0; c < 3; ++c) {
        const float person = own[c] / WINDOW * by_persons, room = old[c] / WINDOW * by_rooms;
        float colour = person + share * (person - room);
        if (p->light_wrap > 0) {
            const auto sample = [&](int column, int row) {
                return byte_behind(p, back, blurred, area, c, column, row, w, h);
            };
            const int behind = c ? bilinear(sample, tap(x, w / 2, width), tap(y, h / 2, height))
                                 : quartered(sample, w, h, x, y, width, height);
            colour += (behind - colour) * p->light_wrap;
        }
        out[c] = to_byte(colour);
    }
    colours[y * width + x] = make_uchar4(out[0], out[1], out[2], 0);
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

// 2x2 pixels of the edge's colours, enlarged.
__device__ inline Quad quad_of_colours(const uchar4* colours, int x, int y, int w, int h) {
    const int width = max(w / 4, 1), height = max(h / 4, 1);
    const Tap columns[2] = {tap(2 * x, width, w), tap(2 * x + 1, width, w)};
    const Tap cx = tap(x, width, w / 2), cy = tap(y, height, h / 2);
    Quad quad;
    for (int i = 0; i < 4; ++i)
        quad.y[i] = bilinear([&](int column, int row) { return (int)colours[row * width + column].x; },
                             columns[i % 2], tap(2 * y + i / 2, height, h));
    quad.u = bilinear([&](int column, int row) { return (int)colours[row * width + column].y; }, cx, cy);
    quad.v = bilinear([&](int column, int row) { return (int)colours[row * width + column].z; }, cx, cy);
    return quad;
}

// α·F + (1 − α)·B, or α²·F + α·(1 − α)·G + (1 − α)·B; each product, and α·(1 − α), is rounded as blend.py does it.
__device__ inline uchar mixed(bool coloured, int front, int colour, int back, int alpha) {
    const int room = 255 - alpha, both = coloured ? over_255(alpha * room) : 0;
    const int behind = min(over_255(back * room) + over_255(colour * both), 255);
    return min(over_255(front * (alpha - both)) + behind, 255);
}

// What is not seen is not read: most of a picture is either the person or what is behind.
extern "C" __global__ void compose(const Parameters* p, uchar* picture, const uchar* alpha, uchar* back,
                                   const uchar* blurred, int area, const uchar4* colours, uchar* done, int w, int h) {
    const int x = column(), y = row();
    if (x >= w / 2 || y >= h / 2) return;
    const uchar2* line = (const uchar2*)(alpha + 2 * y * w);
    const uchar2 upper = line[x], lower = line[w / 2 + x];
    const int a[4] = {upper.x, upper.y, lower.x, lower.y}, sum = a[0] + a[1] + a[2] + a[3], share = mean_of_4(sum);
    Quad out = {{0, 0, 0, 0}, 128, 128};
    if (p->back == MATTE) {
        for (int i = 0; i < 4; ++i) out.y[i] = to_byte(a[i] * p->matte_factor + p->matte_offset);
    } else {
        const bool coloured = p->coloured && sum > 0 && sum < 4 * 255;
        Quad front = {}, behind = {}, colour = {};
        if (sum > 0) front = quad_of(planes_of(picture, w, h), x, y, w);
        if (sum < 4 * 255 && p->back == ROOM) behind = quad_of_room(p, blurred, area, x, y, w, h);
        if (sum < 4 * 255 && p->back == PLANES) behind = quad_of(planes_of(back, w, h), x, y, w);
        if (coloured) colour = quad_of_colours(colours, x, y, w, h);
        for (int i = 0; i < 4; ++i) out.y[i] = mixed(coloured, front.y[i], colour.y[i], behind.y[i], a[i]);
        out.u = mixed(coloured, front.u, colour.u, behind.u, share);
        out.v = mixed(coloured, front.v, colour.v, behind.v, share);
    }
    const Planes to = planes_of(done, w, h);
    uchar2* target = (uchar2*)(to.y + 2 * y * w);
    target[x] = make_uchar2(out.y[0], out.y[1]);
    target[w / 2 + x] = make_uchar2(out.y[2], out.y[3]);
    to.u[y * (w / 2) + x] = out.u;
    to.v[y * (w / 2) + x] = out.v;
}
