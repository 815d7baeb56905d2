// CUDA's words for g++: kernels of a .cu file run on the CPU, thread after thread, so that tests see their arithmetic.
//
// Compiled before the .cu file (fixture `kernels_on_cpu` of tests/conftest.py); one SHIM_KERNEL a kernel follows it.
// It knows __global__, __device__, __constant__, __shared__, threadIdx and its kin, vector types, __syncthreads,
// atomics, and the arithmetic that has another name in CUDA. Not shuffles, textures, cooperative groups or half:
// a kernel gets its halves by half_bits() and half_value() of this file, and on the GPU by inline PTX:
//     #ifndef CPU_SHIM
//     __device__ inline unsigned short half_bits(float x) { unsigned short h; asm("cvt.rn.f16.f32 %0, %1;" : "=h"(h) : "f"(x)); return h; }
//     __device__ inline float half_value(unsigned short h) { float x; asm("cvt.f32.f16 %0, %1;" : "=f"(x) : "h"(h)); return x; }
//     #endif
#pragma once
#define CPU_SHIM 1
#undef _FORTIFY_SOURCE  // whose longjmp takes another stack for a damaged one

#include <setjmp.h>
#include <ucontext.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <utility>
#include <vector>

#define __global__
#define __device__
#define __host__
#define __forceinline__ inline
#define __noinline__
#define __launch_bounds__(...)
#define __constant__ static
#define __shared__ static  // one for all blocks, which run one after another
#define __align__(n) alignas(n)

#define SHIM_VECTORS(T, N)                                                  \
    struct alignas(2 * sizeof(T)) N##2 { T x, y; };                         \
    struct N##3 { T x, y, z; };                                             \
    struct alignas(4 * sizeof(T)) N##4 { T x, y, z, w; };                   \
    static inline N##2 make_##N##2(T x, T y) { return {x, y}; }             \
    static inline N##3 make_##N##3(T x, T y, T z) { return {x, y, z}; }     \
    static inline N##4 make_##N##4(T x, T y, T z, T w) { return {x, y, z, w}; }
SHIM_VECTORS(unsigned char, uchar)
SHIM_VECTORS(unsigned short, ushort)
SHIM_VECTORS(int, int)
SHIM_VECTORS(unsigned, uint)
SHIM_VECTORS(float, float)

struct dim3 { unsigned x, y, z; };
static dim3 threadIdx, blockIdx, blockDim, gridDim;

using std::max;
using std::min;
static inline int __float2int_rn(float x) { return (int)std::nearbyint(x); }
static inline float __saturatef(float x) { return x > 0 ? (x < 1 ? x : 1) : 0; }  // NaN becomes 0, as on the GPU
static inline float rsqrtf(float x) { return 1 / std::sqrt(x); }
template <class T> static inline T __ldg(const T* p) { return *p; }
template <class T> static inline T atomicAdd(T* p, T v) { T old = *p; *p = old + v; return old; }
template <class T> static inline T atomicMax(T* p, T v) { T old = *p; *p = max(old, v); return old; }
template <class T> static inline T atomicMin(T* p, T v) { T old = *p; *p = min(old, v); return old; }
template <class T> static inline T atomicOr(T* p, T v) { T old = *p; *p = old | v; return old; }
template <class T> static inline T atomicExch(T* p, T v) { T old = *p; *p = v; return old; }

// Rounding to nearest even: a float's bits, rebased to half's exponent, or added to one whose last bit is half's.
static inline unsigned short half_bits(float x) {
    uint32_t u, sum;
    std::memcpy(&u, &x, 4);
    const uint32_t sign = u >> 16 & 0x8000;
    u &= 0x7fffffff;
    if (u > 0x7f800000) return 0x7fff;  // what the GPU gives for any NaN
    if (u >= 0x47800000) return sign | 0x7c00;
    if (u >= 0x38800000) return sign | (u + 0xc8000fffu + (u >> 13 & 1)) >> 13;
    std::memcpy(&x, &u, 4);
    x += 0.5f;
    std::memcpy(&sum, &x, 4);
    return sign | (sum - 0x3f000000);
}
static inline float half_value(unsigned short h) {
    const int exponent = h >> 10 & 31, mantissa = h & 1023;
    const float size = exponent == 31 ? (mantissa ? NAN : INFINITY)
                       : exponent     ? std::ldexp(float(1024 + mantissa), exponent - 25)
                                      : std::ldexp(float(mantissa), -24);
    return h & 0x8000 ? -size : size;
}

namespace shim {

// A thread of a kernel that has barriers: it leaves at each, and goes on when all of its block have come there. It
// keeps its stack from block to block, and is left and entered by longjmp: swapcontext asks the kernel every time.
struct Fibre { ucontext_t context; jmp_buf place; std::vector<char> stack; dim3 index; bool done; };
static jmp_buf scheduler;
static Fibre* current = nullptr;
static void (*body)();

static inline void leave() {
    if (!_setjmp(current->place)) _longjmp(scheduler, 1);
}

static inline void entry() {
    for (;;) {
        body();
        current->done = true;
        leave();
    }
}

static void enter(Fibre& fibre) {
    threadIdx = fibre.index;
    current = &fibre;
    if (_setjmp(scheduler)) return;
    if (!fibre.stack.empty()) _longjmp(fibre.place, 1);
    fibre.stack.resize(64 << 10);
    getcontext(&fibre.context);
    fibre.context.uc_stack.ss_sp = fibre.stack.data();
    fibre.context.uc_stack.ss_size = fibre.stack.size();
    makecontext(&fibre.context, entry, 0);
    setcontext(&fibre.context);
}

template <class Each> static inline void each(dim3 count, dim3& index, Each work) {
    for (index.z = 0; index.z < count.z; ++index.z)
        for (index.y = 0; index.y < count.y; ++index.y)
            for (index.x = 0; index.x < count.x; ++index.x) work();
}

static inline void run_block_with_barriers(std::vector<Fibre>& fibres) {
    size_t n = 0;
    each(blockDim, threadIdx, [&] {
        fibres[n].index = threadIdx;
        fibres[n++].done = false;
    });
    for (bool live = true; live;) {
        live = false;
        for (size_t i = 0; i < n; ++i) {
            if (!fibres[i].done) enter(fibres[i]);
            live |= !fibres[i].done;
        }
    }
    current = nullptr;
}

template <class T> constexpr char code() { return std::is_pointer_v<T> ? 'P' : std::is_same_v<T, float> ? 'f' : 'i'; }

template <auto kernel> struct Kernel;
template <class... A, void (*kernel)(A...)> struct Kernel<kernel> {
    static inline void* const* arguments;
    template <size_t... I> static void call(std::index_sequence<I...>) { kernel(*(A*)arguments[I]...); }
    static void thread() { call(std::index_sequence_for<A...>{}); }

    // Returns false where `codes`, a letter of ctypes for each argument, are not the kernel's.
    static bool run(const unsigned* blocks, const unsigned* threads, const char* codes, void** given, bool barriers) {
        const char wanted[] = {code<A>()..., 0};
        if (std::strcmp(codes, wanted)) return false;
        gridDim = {blocks[0], blocks[1], blocks[2]};
        blockDim = {threads[0], threads[1], threads[2]};
        arguments = given;
        body = thread;
        static std::vector<Fibre> fibres;
        const size_t count = blockDim.x * blockDim.y * blockDim.z;
        if (barriers && fibres.size() < count) fibres.resize(count);
        each(gridDim, blockIdx, [&] { barriers ? run_block_with_barriers(fibres) : each(blockDim, threadIdx, thread); });
        return true;
    }
};

}  // namespace shim

static inline void __syncthreads() { if (shim::current) shim::leave(); }
static inline void __syncwarp(unsigned = ~0u) { __syncthreads(); }

#define SHIM_KERNEL(name, barriers)                                                                                  \
    extern "C" bool shim_##name(const unsigned* blocks, const unsigned* threads, const char* codes, void** given) {  \
        return shim::Kernel<&name>::run(blocks, threads, codes, given, barriers);                                    \
    }
