// From what a network gives to what Matte promises, as answer.py does it, but that a value that is no number becomes
// NaN instead of an error. One thread a pixel, in a line; raw is (channels, pixels), of halves or of floats.

#ifndef CPU_SHIM
__device__ inline float half_value(unsigned short h) {
    float x;
    asm("cvt.f32.f16 %0, %1;" : "=f"(x) : "h"(h));
    return x;
}
#define INFINITY __int_as_float(0x7f800000)
#endif

enum { NONE, SIGMOID, SOFTMAX };

__device__ static float value(const void* raw, int half, int i) {
    return half ? half_value(((const unsigned short*)raw)[i]) : ((const float*)raw)[i];
}

// NaN is neither above nor below anything: it passes.
__device__ static float cut(float x, float low, float high) { return x < low ? low : x > high ? high : x; }

// exp(x[channel]) / sum of exp(x[c]), from the largest on, so that nothing overflows; a NaN anywhere makes it NaN.
__device__ static float softmax(const void* raw, int half, int pixels, int channels, int channel, int i) {
    float largest = -INFINITY, sum = 0;
    for (int c = 0; c < channels; ++c) largest = fmaxf(largest, value(raw, half, c * pixels + i));
    for (int c = 0; c < channels; ++c) sum += expf(value(raw, half, c * pixels + i) - largest);
    return expf(value(raw, half, channel * pixels + i) - largest) / sum;
}

// The chosen channel, activated; cut to 0..1 unless it is to be stretched.
extern "C" __global__ void activate(
    const void* raw, float* alpha, int half, int pixels, int channels, int channel, int activation, int cuts
) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= pixels) return;
    float x = value(raw, half, channel * pixels + i);
    if (!(x - x == 0)) {  // before a sigmoid makes a person of infinity
        alpha[i] = x - x;
        return;
    }
    if (activation == SIGMOID) x = 1 / (1 + expf(-cut(x, -80, 80)));
    if (activation == SOFTMAX) x = softmax(raw, half, pixels, channels, channel, i);
    alpha[i] = cuts ? cut(x, 0, 1) : x;
}

// The smallest of every count-th value of low, and the largest of high; NaN is left out.
extern "C" __global__ void extremes(const float* low, const float* high, int n, float* lowest, float* highest, int count) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= count) return;
    float least = INFINITY, most = -INFINITY;
    for (int k = i; k < n; k += count) {
        least = fminf(least, low[k]);
        most = fmaxf(most, high[k]);
    }
    lowest[i] = least;
    highest[i] = most;
}

// (x - min) / (max - min); a flat answer says nothing and becomes 0. count: how many extremes there are to compare.
extern "C" __global__ void stretch(float* alpha, int pixels, const float* lowest, const float* highest, int count) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= pixels) return;
    float low = lowest[0], high = highest[0];
    for (int k = 1; k < count; ++k) {
        low = fminf(low, lowest[k]);
        high = fmaxf(high, highest[k]);
    }
    float x = alpha[i] - low;
    alpha[i] = cut(high > low ? x / (high - low) : x, 0, 1);
}
