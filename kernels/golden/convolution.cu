/*
 * value, grad
 *
 * size    B
 * size    C
 * size    T
 * size    O
 * size    K
 * size    samples
 * size    threads
 * input   x (B, C, T, samples) double
 * input   w (O, C, K, samples) double
 * output  value (samples,) double
 * output  grad_x (B, C, T, samples) double
 * output  grad_w (O, C, K, samples) double
 * work    t1 (T - K + 1, threads) double
 * work    t2 (B, O, T - K + 1, threads) double
 * work    t3 (B, O, T - K + 1, threads) double
 * work    t4 (O, B, T - K + 1, threads) double
 * work    t5 (B, O, K + T - 1, threads) double
 *
 * expression: Sum(tanh(Sum(w[o, c, k]*x[b, c, k + t], (c, 0, C - 1), (k, 0, K - 1)))**2, (b, 0, B - 1), (o, 0, O - 1), (t, 0, -K + T))
 * differentiated by: x, w
 * stability rewrites: on
 * value: value (), row-major
 * grad: grad_x (B, C, T), row-major; grad_w (O, C, K), row-major
 * operations: 25024 as derived, 82432 after optimisation, every size 8
 */

#ifdef __CUDACC_RTC__
typedef long long int64_t;
typedef unsigned long long uint64_t;
#define UINT64_C(x) x##ULL
#define INFINITY __longlong_as_double(0x7ff0000000000000LL)
#define NAN __longlong_as_double(0x7ff8000000000000LL)
#else
#include <math.h>
#include <stdint.h>
#include <string.h>
#endif

inline __host__ __device__ int64_t convolution_extent(int64_t a)
{
    return a > 0 ? a : 0;
}

inline __host__ __device__ int64_t convolution_slice(int64_t a)
{
    return (a + 7) / 8 * 8;
}

static __device__ void convolution(const double *__restrict__ x, const double *__restrict__ w, double *__restrict__ value,
    double *__restrict__ grad_x, double *__restrict__ grad_w, double *__restrict__ work, int64_t B, int64_t C,
    int64_t T, int64_t O, int64_t K, int64_t samples, int64_t threads)
{
    double *const __restrict__ t1 = work;
    const int64_t at1 = convolution_slice(convolution_extent(T - K + 1)*convolution_extent(threads));
    double *const __restrict__ t2 = work + at1;
    const int64_t at2 = at1 + convolution_slice(convolution_extent(B)*convolution_extent(O)*convolution_extent(T - K + 1)*convolution_extent(threads));
    double *const __restrict__ t3 = work + at2;
    const int64_t at3 = at2 + convolution_slice(convolution_extent(B)*convolution_extent(O)*convolution_extent(T - K + 1)*convolution_extent(threads));
    double *const __restrict__ t4 = work + at3;
    const int64_t at4 = at3 + convolution_slice(convolution_extent(O)*convolution_extent(B)*convolution_extent(T - K + 1)*convolution_extent(threads));
    double *const __restrict__ t5 = work + at4;
    double c1 = 0.0;
    for (int64_t i = 0; i < B; i++) {
        for (int64_t j = 0; j < O; j++) {
            for (int64_t k = 0; k < T - K + 1; k++) {
                double c2 = 0.0;
                for (int64_t l = 0; l < C; l++) {
                    for (int64_t p = 0; p < K; p++) {
                        c2 += x[((i*C + l)*T + k + p)*samples] * w[((j*C + l)*K + p)*samples];
                    }
                }
                t1[k*threads] = c2;
            }
            for (int64_t k = 0; k < T - K + 1; k++) {
                const double tt1 = t1[k*threads];
                const double tt2 = tanh(tt1);
                t2[((i*O + j)*(T - K + 1) + k)*threads] = tt2;
                t3[((i*O + j)*(T - K + 1) + k)*threads] = 1.0 / cosh(tt1);
                c1 += tt2 * tt2;
            }
        }
    }
    value[0] = c1;
    for (int64_t i = 0; i < O; i++) {
        for (int64_t j = 0; j < B; j++) {
            for (int64_t k = 0; k < T - K + 1; k++) {
                const double tt3 = t3[((j*O + i)*(T - K + 1) + k)*threads];
                t4[((i*B + j)*(T - K + 1) + k)*threads] = 2.0 * (tt3 * tt3 * t2[((j*O + i)*(T - K + 1) + k)*threads]);
            }
        }
        for (int64_t j = 0; j < C; j++) {
            for (int64_t k = 0; k < K; k++) {
                double c3 = 0.0;
                for (int64_t l = 0; l < B; l++) {
                    for (int64_t p = 0; p < T - K + 1; p++) {
                        c3 += x[((l*C + j)*T + k + p)*samples] * t4[((i*B + l)*(T - K + 1) + p)*threads];
                    }
                }
                grad_w[((i*C + j)*K + k)*samples] = c3;
            }
        }
    }
    for (int64_t i = 0; i < B; i++) {
        for (int64_t j = 0; j < O; j++) {
            for (int64_t k = 0; k < K + T - 1; k++) {
                double c4 = 0.0;
                if ((k + 1 >= K) && (T >= k + 1)) {
                    c4 = t4[((j*B + i)*(T - K + 1) + k - K + 1)*threads];
                }
                t5[((i*O + j)*(K + T - 1) + k)*threads] = c4;
            }
        }
    }
    for (int64_t i = 0; i < B; i++) {
        for (int64_t j = 0; j < C; j++) {
            for (int64_t k = 0; k < T; k++) {
                grad_x[((i*C + j)*T + k)*samples] = 0.0;
            }
            for (int64_t k = 0; k < K; k++) {
                for (int64_t l = 0; l < O; l++) {
                    const double tt4 = w[((l*C + j)*K + k)*samples];
                    for (int64_t p = 0; p < T; p++) {
                        grad_x[((i*C + j)*T + p)*samples] += tt4 * t5[((i*O + l)*(K + T - 1) + K + p - k - 1)*threads];
                    }
                }
            }
        }
    }
}

/* How many elements the workspace of a launch has. */
inline __host__ __device__ int64_t convolution_work_size(int64_t B, int64_t C, int64_t T,
    int64_t O, int64_t K, int64_t samples, int64_t threads)
{
    (void)C;
    (void)samples;
    return convolution_slice(convolution_extent(T - K + 1)*convolution_extent(threads)) + convolution_slice(convolution_extent(B)*convolution_extent(O)*convolution_extent(T - K + 1)*convolution_extent(threads)) + convolution_slice(convolution_extent(B)*convolution_extent(O)*convolution_extent(T - K + 1)*convolution_extent(threads)) + convolution_slice(convolution_extent(O)*convolution_extent(B)*convolution_extent(T - K + 1)*convolution_extent(threads)) + convolution_slice(convolution_extent(B)*convolution_extent(O)*convolution_extent(K + T - 1)*convolution_extent(threads));
}

/*
 * Every sample, by any number of blocks of any number of threads. Arrays are as above, the
 * samples being the last axis: element e of sample s stands at e*samples + s.
 * work: convolution_work_size elements, for the threads of all blocks together.
 */
extern "C" __global__ void convolution_batch(const double *x, const double *w, double *value,
    double *grad_x, double *grad_w, double *work, int64_t B, int64_t C, int64_t T, int64_t O,
    int64_t K, int64_t samples)
{
    const int64_t thread = (int64_t)blockIdx.x*blockDim.x + threadIdx.x;
    const int64_t threads = (int64_t)gridDim.x*blockDim.x;
    for (int64_t sample = thread; sample < samples; sample += threads) {
        convolution(x + sample, w + sample, value + sample, grad_x + sample, grad_w + sample,
            work + thread, B, C, T, O, K, samples, threads);
    }
}
