/* cuemu: run CUDA kernels on the CPU, one fiber per CUDA thread. Test only. */
#ifndef CUEMU_H
#define CUEMU_H
#include <cuda_runtime.h> /* the toolkit's own header: vector types, prototypes of the runtime API */
#include <cmath>
#include <cstdint>
#include <cstring>
#include <functional>
#include <map>
#include <vector>
#include <source_location>
#include <type_traits>
#ifdef CUEMU_TSAN
#define CUEMU_TLS thread_local
#else
#define CUEMU_TLS
#endif
#undef __shared__
#undef __constant__
#undef __launch_bounds__
#define __shared__ static CUEMU_TLS
#define __constant__ static
#define __launch_bounds__(...)
#define DYNAMIC_SHARED(T, name) T *name = static_cast<T *>(cuemu::dyn_smem())
namespace cuemu {
enum Op { NONE, BAR, BAR_OR, BAR_AND, BAR_COUNT, W_SYNC, W_IDX, W_UP, W_DOWN, W_XOR, W_BALLOT };
struct Thread { uint3 tid; unsigned lane, warp; void *impl; };
extern CUEMU_TLS Thread *cur;
extern CUEMU_TLS uint3 bid;
extern CUEMU_TLS dim3 bdim, gdim;
void *dyn_smem();
uint64_t collective(Op op, unsigned mask, uint64_t val, int arg, int width, std::source_location at);
void launch(const char *name, dim3 g, dim3 b, size_t smem, cudaStream_t s, std::function<void()> body);
void check_ptr(const char *kernel, int i, const void *p);
template <class T> inline void check_arg(const char *k, int i, T *p) { check_ptr(k, i, p); }
template <class T> inline void check_arg(const char *, int, const T &) {}
template <class R, class... P, class... A>
inline void launch_k(const char *n, R (*k)(P...), dim3 g, dim3 b, size_t sm, cudaStream_t s, A... a) {
    int i = 0;
    (check_arg(n, i++, static_cast<P>(a)), ...);
    launch(n, g, b, sm, s, [=] { k(static_cast<P>(a)...); });
}
template <class T> inline uint64_t bits(T v) { static_assert(sizeof(T) <= 8, "shfl"); uint64_t u = 0; memcpy(&u, &v, sizeof v); return u; }
template <class T> inline T unbits(uint64_t u) { T v; memcpy(&v, &u, sizeof v); return v; }
} /* namespace cuemu */
#define LAUNCH(k, grid, block, smem, st, ...) cuemu::launch_k(#k, (k), (grid), (block), (smem), (st), __VA_ARGS__)
#define threadIdx (cuemu::cur->tid)
#define blockIdx (cuemu::bid)
#define blockDim (cuemu::bdim)
#define gridDim (cuemu::gdim)
#define warpSize 32
using cuemu_at = std::source_location;
#define CUEMU_AT cuemu_at at = cuemu_at::current()
inline void __syncthreads(CUEMU_AT) { cuemu::collective(cuemu::BAR, 0, 0, 0, 0, at); }
inline int __syncthreads_or(int p, CUEMU_AT) { return (int)cuemu::collective(cuemu::BAR_OR, 0, p != 0, 0, 0, at); }
inline int __syncthreads_and(int p, CUEMU_AT) { return (int)cuemu::collective(cuemu::BAR_AND, 0, p != 0, 0, 0, at); }
inline int __syncthreads_count(int p, CUEMU_AT) { return (int)cuemu::collective(cuemu::BAR_COUNT, 0, p != 0, 0, 0, at); }
inline void __syncwarp(unsigned m = 0xffffffffu, CUEMU_AT) { cuemu::collective(cuemu::W_SYNC, m, 0, 0, 32, at); }
#define CUEMU_SHFL(name, OP, AT) \
    template <class T> inline T name(unsigned m, T v, AT a, int w = 32, CUEMU_AT) { return cuemu::unbits<T>(cuemu::collective(cuemu::OP, m, cuemu::bits(v), (int)a, w, at)); }
CUEMU_SHFL(__shfl_sync, W_IDX, int)
CUEMU_SHFL(__shfl_up_sync, W_UP, unsigned)
CUEMU_SHFL(__shfl_down_sync, W_DOWN, unsigned)
CUEMU_SHFL(__shfl_xor_sync, W_XOR, int)
inline unsigned __ballot_sync(unsigned m, int p, CUEMU_AT) { return (unsigned)cuemu::collective(cuemu::W_BALLOT, m, p != 0, 0, 32, at); }
inline int __any_sync(unsigned m, int p, CUEMU_AT) { return __ballot_sync(m, p, at) != 0; }
inline int __all_sync(unsigned m, int p, CUEMU_AT) { return __ballot_sync(m, !p, at) == 0; }
inline void __threadfence() { __atomic_thread_fence(__ATOMIC_SEQ_CST); }
inline void __threadfence_block() { __atomic_thread_fence(__ATOMIC_SEQ_CST); }
/* atomics: integers by builtin, floats by compare and exchange on the bits */
template <class T> inline std::enable_if_t<std::is_integral<T>::value, T> atomicAdd(T *p, T v) { return __atomic_fetch_add(p, v, __ATOMIC_RELAXED); }
template <class T, class F> inline T cuemu_cas(T *p, F f) {
    using U = std::conditional_t<sizeof(T) == 4, uint32_t, std::conditional_t<sizeof(T) == 8, uint64_t, uint16_t>>;
    U *q = reinterpret_cast<U *>(p), o = __atomic_load_n(q, __ATOMIC_RELAXED), n;
    T ov, nv;
    do { memcpy(&ov, &o, sizeof o); nv = f(ov); memcpy(&n, &nv, sizeof n); } while (!__atomic_compare_exchange_n(q, &o, n, true, __ATOMIC_RELAXED, __ATOMIC_RELAXED));
    return ov;
}
inline float atomicAdd(float *p, float v) { return cuemu_cas(p, [=](float o) { return o + v; }); }
inline double atomicAdd(double *p, double v) { return cuemu_cas(p, [=](double o) { return o + v; }); }
template <class T> inline T atomicMax(T *p, T v) { return cuemu_cas(p, [=](T o) { return o > v ? o : v; }); }
template <class T> inline T atomicMin(T *p, T v) { return cuemu_cas(p, [=](T o) { return o < v ? o : v; }); }
template <class T> inline T atomicExch(T *p, T v) { return cuemu_cas(p, [=](T) { return v; }); }
template <class T> inline T atomicCAS(T *p, T c, T v) { return cuemu_cas(p, [=](T o) { return o == c ? v : o; }); }
template <class T> inline T __ldg(const T *p) { return *p; }
inline float __expf(float x) { return std::exp(x); }
inline float __logf(float x) { return std::log(x); }
inline float __fdividef(float a, float b) { return a / b; }
inline float __saturatef(float x) { return x < 0 ? 0 : x > 1 ? 1 : x; }
inline float __uint_as_float(unsigned u) { float f; memcpy(&f, &u, 4); return f; }
inline unsigned __float_as_uint(float f) { unsigned u; memcpy(&u, &f, 4); return u; }
inline int __popc(unsigned x) { return __builtin_popcount(x); }
inline int __ffs(int x) { return __builtin_ffs(x); }
inline int __clz(int x) { return x ? __builtin_clz((unsigned)x) : 32; }
inline float rsqrtf(float x) { return 1.0f / std::sqrt(x); }
template <class T> inline T min(T a, T b) { return b < a ? b : a; }
template <class T> inline T max(T a, T b) { return a < b ? b : a; }
#endif
