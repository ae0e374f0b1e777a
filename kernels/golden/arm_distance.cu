/*
 * value, grad
 *
 * size    samples
 * size    threads
 * input   q1 (samples,) double
 * input   q2 (samples,) double
 * input   q3 (samples,) double
 * input   q4 (samples,) double
 * input   q5 (samples,) double
 * input   q6 (samples,) double
 * input   g1 (samples,) double
 * input   g2 (samples,) double
 * input   g3 (samples,) double
 * input   g4 (samples,) double
 * input   g5 (samples,) double
 * input   g6 (samples,) double
 * input   g7 (samples,) double
 * input   g8 (samples,) double
 * input   g9 (samples,) double
 * input   g10 (samples,) double
 * input   g11 (samples,) double
 * input   g12 (samples,) double
 * output  value (samples,) double
 * output  grad (6, samples) double
 *
 * expression: Add of more than 300 sub-expressions
 * differentiated by: q1, q2, q3, q4, q5, q6
 * stability rewrites: on
 * value: value (), row-major
 * grad: grad (6,), row-major
 * operations: 572 as derived, 572 after optimisation
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

static __device__ void arm_distance(const double *__restrict__ q1, const double *__restrict__ q2, const double *__restrict__ q3,
    const double *__restrict__ q4, const double *__restrict__ q5, const double *__restrict__ q6,
    const double *__restrict__ g1, const double *__restrict__ g2, const double *__restrict__ g3,
    const double *__restrict__ g4, const double *__restrict__ g5, const double *__restrict__ g6,
    const double *__restrict__ g7, const double *__restrict__ g8, const double *__restrict__ g9,
    const double *__restrict__ g10, const double *__restrict__ g11, const double *__restrict__ g12,
    double *__restrict__ value, double *__restrict__ grad, int64_t samples, int64_t threads)
{
    (void)threads;
    const double t1 = q3[0];
    const double t2 = sin(t1);
    const double t3 = q2[0];
    const double t4 = sin(t3);
    const double t5 = q1[0];
    const double t6 = sin(t5);
    const double t7 = t6 * t4;
    const double t8 = t2 * t7;
    const double t9 = cos(t1);
    const double t10 = cos(t3);
    const double t11 = t10 * t9;
    const double t12 = t6 * t11;
    const double t13 = q4[0];
    const double t14 = sin(t13);
    const double t15 = t12 - t8;
    const double t16 = q6[0];
    const double t17 = sin(t16);
    const double t18 = t8 - t12;
    const double t19 = t18 * t14;
    const double t20 = cos(t13);
    const double t21 = t6 * t9;
    const double t22 = t6 * t10;
    const double t23 = t2 * t22 + t4 * t21;
    const double t24 = t20 * t23;
    const double t25 = t19 - t24;
    const double t26 = t17 * t25;
    const double t27 = cos(t16);
    const double t28 = q5[0];
    const double t29 = sin(t28);
    const double t30 = cos(t5);
    const double t31 = t30 * t29;
    const double t32 = cos(t28);
    const double t33 = t23 * t14;
    const double t34 = t20 * t15;
    const double t35 = t34 - t33;
    const double t36 = t32 * t35;
    const double t37 = t36 - t31;
    const double t38 = t27 * t37;
    const double t39 = t30 * t32;
    const double t40 = -0.08 * t39 + (-0.425 * t22 + (0.095 * t24 + (-0.11 * t30 - g8[0])) + -0.08 * (t29 * t35));
    const double t41 = 0.39 * t8 + (0.02 * t26 + (t40 + 0.02 * t38) + 0.095 * (t15 * t14) + -0.39 * t12);
    const double t42 = t30 * t4;
    const double t43 = t2 * t42;
    const double t44 = t10 * t30;
    const double t45 = t44 * t9;
    const double t46 = t45 - t43;
    const double t47 = t6 * t32;
    const double t48 = t43 - t45;
    const double t49 = t48 * t14;
    const double t50 = t30 * t9;
    const double t51 = t50 * t4 + t44 * t2;
    const double t52 = t20 * t51;
    const double t53 = t49 - t52;
    const double t54 = t17 * t53;
    const double t55 = t14 * t51;
    const double t56 = t20 * t46;
    const double t57 = t56 - t55;
    const double t58 = t57 * t32 + t6 * t29;
    const double t59 = t27 * t58;
    const double t60 = 0.02 * t59 + (0.11 * t6 - g4[0] + 0.095 * t52 + -0.425 * t44 + -0.08 * (t57 * t29)) + 0.02 * t54;
    const double t61 = 0.39 * t43 + (0.095 * (t46 * t14) + (0.08 * t47 + t60) + -0.39 * t45);
    const double t62 = t9 * t4;
    const double t63 = t10 * t2;
    const double t64 = t62 + t63;
    const double t65 = t11 - t2 * t4;
    const double t66 = t65 * t14 + t20 * t64;
    const double t67 = t66 * t32;
    const double t68 = t27 * t67;
    const double t69 = t14 * t64;
    const double t70 = t20 * t65;
    const double t71 = t70 - t69;
    const double t72 = t17 * t71;
    const double t73 = t66 * t29;
    const double t74 = 0.02 * t72 + (-0.095 * t70 + (-0.39 * t63 + (0.09 - g12[0] + -0.425 * t4) + -0.39 * t62) + -0.08 * t73);
    const double t75 = 0.095 * t69 + t74 + 0.02 * t68;
    const double t76 = 0.14285714285714285 * 3.141592653589793;
    const double t77 = sin(t76);
    const double t78 = t24 - t19;
    const double t79 = cos(t76);
    const double t80 = t33 - t34;
    const double t81 = t29 * t80 - t39;
    const double t82 = t81 * t79 - g7[0] + t17 * t37 * t77 + t77 * (t27 * t78);
    const double t83 = (t31 - t36) * t79;
    const double t84 = t17 * t83 + (t27 * t25 * t79 + (t77 * t81 - g6[0]));
    const double t85 = t52 - t49;
    const double t86 = t55 - t56;
    const double t87 = t86 * t29 + t47;
    const double t88 = t87 * t79 - g3[0] + t77 * (t17 * t58) + t77 * (t27 * t85);
    const double t89 = t58 * t79;
    const double t90 = t27 * t53 * t79 + (t77 * t87 - g2[0]) - t17 * t89;
    const double t91 = t66 * t79;
    const double t92 = t69 - t70;
    const double t93 = t77 * (t27 * t92) - g11[0] - t91 * t29 + t77 * (t17 * t67);
    const double t94 = t67 * t79;
    const double t95 = t27 * t71 * t79 - g10[0] - t77 * t73 - t17 * t94;
    const double t96 = t68 + (t72 - g9[0]);
    const double t97 = t38 - g5[0] + t26;
    const double t98 = t59 - g1[0] + t54;
    const double t99 = t88 * t88 + (t90 * t90 + (t95 * t95 + (t97 * t97 + t98 * t98 + t96 * t96) + t93 * t93)) + t84 * t84;
    value[0] = t41 * t41 + (t75 * t75 + (t99 + t82 * t82) + t61 * t61);
    const double t100 = t95 * t79;
    const double t101 = t77 * t93;
    const double t102 = t101 * t27;
    const double t103 = t90 * t79;
    const double t104 = 2.0 * (t77 * t90) + 2.0 * (t88 * t79);
    const double t105 = t104 * t29;
    const double t106 = t77 * t88;
    const double t107 = t27 * t106;
    const double t108 = t84 * t79;
    const double t109 = 2.0 * (t108 * t25) + (2.0 * (t106 * t85) + (2.0 * (t100 * t71) + 2.0 * (t101 * t92) + 2.0 * (t53 * t103)));
    const double t110 = 2.0 * (t83 * t84) + (2.0 * (t101 * t67) + -2.0 * (t95 * t94) + -2.0 * (t89 * t90) + 2.0 * (t106 * t58));
    const double t111 = t79 * (t17 * t84);
    const double t112 = 2.0 * (t77 * t84) + 2.0 * (t79 * t82);
    const double t113 = t112 * t29;
    const double t114 = t77 * t82;
    const double t115 = t114 * t27;
    const double t116 = -0.16 * t75 + -2.0 * (t77 * t95);
    const double t117 = 0.04 * t75 + 2.0 * t96;
    const double t118 = t17 * t117 + 2.0 * (t27 * t100);
    const double t119 = t118 + (-0.19 * t75 + -2.0 * t102);
    const double t120 = 0.19 * t75 + (2.0 * t102 - t118);
    const double t121 = -2.0 * (t17 * t95 * t79) + 2.0 * (t17 * t101) + t27 * t117;
    const double t122 = t121 * t32 + (-2.0 * (t29 * t93 * t79) + t116 * t29);
    const double t123 = t20 * t119 + t122 * t14;
    const double t124 = t122 * t20 + t120 * t14 + -0.78 * t75;
    const double t125 = 2.0 * t98 + 0.04 * t61;
    const double t126 = 2.0 * (t17 * t106) + -2.0 * (t17 * t90 * t79) + t27 * t125;
    const double t127 = t32 * t126 + -0.16 * (t61 * t29);
    const double t128 = t127 - t105;
    const double t129 = t105 - t127;
    const double t130 = t6 * t126 + (-0.16 * (t57 * t61) + (t116 * t66 + (-2.0 * (t91 * t93) + t86 * t104 + t112 * t80)));
    const double t131 = 2.0 * (t27 * t103) + t17 * t125;
    const double t132 = t131 + -2.0 * t107;
    const double t133 = 2.0 * t107 + 0.19 * t61 - t131;
    const double t134 = t129 * t14 + t20 * t133;
    const double t135 = t134 * t4;
    const double t136 = t14 * t132;
    const double t137 = t104 + 0.16 * t61;
    const double t138 = 0.19 * (t61 * t14) + t20 * t128;
    const double t139 = t138 - t136 + -0.78 * t61;
    const double t140 = t139 * t9 + (-0.85 * t61 + t2 * t134);
    const double t141 = 0.78 * t61 + (t136 - t138);
    const double t142 = t141 * t2;
    const double t143 = -0.16 * t41 - t112;
    const double t144 = 2.0 * t97 + 0.04 * t41;
    const double t145 = t27 * t144 + 2.0 * (t114 * t17);
    const double t146 = -2.0 * t111 + t145;
    const double t147 = 2.0 * t111 - t145;
    const double t148 = -0.16 * (t41 * t29) + t32 * t146;
    const double t149 = t148 - t113;
    const double t150 = t113 - t148;
    const double t151 = t150 * t23 + (t48 * t132 + (t129 * t51 + (t120 * t64 + t122 * t65)) + 0.19 * (t61 * t46));
    const double t152 = (t30 * t147 + (-0.16 * (t41 * t35) + t130)) * t32 - t29 * (t6 * t137 + (t57 * t126 + t66 * t121) + t30 * t143 + t35 * t146);
    const double t153 = t17 * t144 + 2.0 * (t108 * t27);
    const double t154 = t153 + -2.0 * t115;
    const double t155 = 2.0 * t115 + 0.19 * t41 - t153;
    const double t156 = t20 * t155 + t150 * t14;
    const double t157 = -0.85 * t41 + t2 * t156;
    const double t158 = t156 * t4;
    const double t159 = t154 * t14;
    const double t160 = t27 * (t71 * t117 + (2.0 * (t114 * t37) + t110) + t53 * t125 + t25 * t144) - t17 * (t125 * t58 + (t117 * t67 + (2.0 * (t114 * t78) + t109)) + t37 * t144);
    const double t161 = t20 * t149 + 0.19 * (t14 * t41);
    const double t162 = t20 * (t154 * t18 + t151 + 0.19 * (t15 * t41)) - (t15 * t149 + (t133 * t51 + (t65 * t119 + t122 * t64 + t128 * t46)) + t23 * t155) * t14;
    const double t163 = t161 - t159 + -0.78 * t41;
    const double t164 = t123 + t6 * t163;
    const double t165 = t159 - t161 + 0.78 * t41;
    const double t166 = t2 * t165;
    const double t167 = t9 * t158 + (t10 * t157 + (0.22 * t61 + t126 * t29 + t32 * t137)) + t163 * t11 + t166 * t4;
    const double t168 = t156 * t21 + (t50 * t134 + (t124 * t9 + (-0.85 * t75 - t123 * t2)) + t30 * t142) + t6 * t166;
    const double t169 = t30 * t167 - t6 * (t10 * t140 + t135 * t9 + t142 * t4 + -0.22 * t41 + t143 * t32 + t147 * t29);
    const double t170 = t9 * (t44 * t134 + (t10 * t124 - t123 * t4) + t141 * t42 + t156 * t22 + t7 * t165) - (t6 * t158 + (t44 * t139 + (t30 * t135 + t124 * t4)) + t10 * t164) * t2;
    grad[0] = t169;
    grad[1*samples] = t10 * t168 - (t164 * t9 + (t30 * t140 + t124 * t2 + t6 * t157)) * t4;
    grad[2*samples] = t170;
    grad[3*samples] = t162;
    grad[4*samples] = t152;
    grad[5*samples] = t160;
}

/* How many elements the workspace of a launch has. */
inline __host__ __device__ int64_t arm_distance_work_size(int64_t samples, int64_t threads)
{
    (void)samples;
    (void)threads;
    return 0;
}

/*
 * Every sample, by any number of blocks of any number of threads. Arrays are as above, the
 * samples being the last axis: element e of sample s stands at e*samples + s.
 */
extern "C" __global__ void arm_distance_batch(const double *q1, const double *q2, const double *q3,
    const double *q4, const double *q5, const double *q6, const double *g1, const double *g2,
    const double *g3, const double *g4, const double *g5, const double *g6, const double *g7,
    const double *g8, const double *g9, const double *g10, const double *g11, const double *g12,
    double *value, double *grad, int64_t samples)
{
    const int64_t thread = (int64_t)blockIdx.x*blockDim.x + threadIdx.x;
    const int64_t threads = (int64_t)gridDim.x*blockDim.x;
    for (int64_t sample = thread; sample < samples; sample += threads) {
        arm_distance(q1 + sample, q2 + sample, q3 + sample, q4 + sample, q5 + sample, q6 + sample,
            g1 + sample, g2 + sample, g3 + sample, g4 + sample, g5 + sample, g6 + sample, g7 + sample,
            g8 + sample, g9 + sample, g10 + sample, g11 + sample, g12 + sample, value + sample,
            grad + sample, samples, threads);
    }
}
