/*
 * CUDA source for a C++ compiler of the host: the index variables, and a launch that runs one thread after the
 * other. It takes what symgrad writes (no shared memory, no barriers):
 *
 *     c++ -include cuda_on_host.h -x c++ NAME.cu ...
 *     cuda_launch(blocks, threads, [&] { NAME_batch(x, y, samples); });
 */

#ifndef CUDA_ON_HOST_H
#define CUDA_ON_HOST_H
#ifndef __CUDACC__

#define __host__
#define __device__
#define __global__

struct cuda_index {
    unsigned x, y, z;
};
static cuda_index blockIdx, threadIdx, blockDim = {1, 1, 1}, gridDim = {1, 1, 1};

template <class Kernel> static void cuda_launch(unsigned blocks, unsigned threads, Kernel kernel)
{
    gridDim.x = blocks;
    blockDim.x = threads;
    for (blockIdx.x = 0; blockIdx.x < blocks; blockIdx.x++) {
        for (threadIdx.x = 0; threadIdx.x < threads; threadIdx.x++) {
            kernel();
        }
    }
}

#endif
#endif
