/* cuemu: fiber scheduler. Test only; x86-64. */
#include "cuda_on_cpu.h"
#include "cuemu_rt.h"
#include <cstdio>
#include <cstdlib>
#include <pthread.h>
#include <random>
#include <sched.h>
#include <sys/mman.h>
#include <vector>
#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/common_interface_defs.h>
#endif
#ifdef CUEMU_TSAN
#include <sanitizer/tsan_interface.h>
#endif
namespace cuemu {
CUEMU_TLS Thread *cur;
CUEMU_TLS uint3 bid;
CUEMU_TLS dim3 bdim, gdim;
asm(".text\n.type cuemu_swap,@function\ncuemu_swap:\n"
    "push %rbp\npush %rbx\npush %r12\npush %r13\npush %r14\npush %r15\n"
    "mov %rsp,(%rdi)\nmov %rsi,%rsp\n"
    "pop %r15\npop %r14\npop %r13\npop %r12\npop %rbx\npop %rbp\nret\n.size cuemu_swap,.-cuemu_swap\n");
extern "C" void cuemu_swap(void **save, void *to);
#if defined(__SANITIZE_ADDRESS__)
static const size_t STK = 256 << 10;
#else
static const size_t STK = 64 << 10;
#endif
enum State { UNSTARTED, READY, WAIT, DONE };
struct TH : Thread {
    State st; Op op; void *sp; char *stk; void *fake, *tsan;
    unsigned mask; int arg, width; uint64_t val, res; const char *file; unsigned line, col;
};
struct Block {
    const char *kernel; std::vector<TH> th; std::vector<unsigned> order; unsigned nlive, nwait, cursor;
    std::vector<char> warpsync; void *main_sp, *main_fake, *main_tsan; const void *main_bottom; size_t main_size;
    const std::function<void()> *body; char *smem; char barsync; char *kend, *kstart; int parity;
};
static CUEMU_TLS Block *B;
static std::vector<char *> *pool;
void *dyn_smem() { return B->smem; }
[[noreturn]] static void die(const char *what)
{
    fprintf(stderr, "cuemu: %s in kernel %s, block (%u,%u,%u)\n", what, B->kernel, bid.x, bid.y, bid.z);
    int shown = 0;
    for (auto &t : B->th)
        if (t.st != DONE && t.op != NONE && shown++ < 4) fprintf(stderr, "cuemu:   thread (%u,%u,%u) waits in op %d at %s:%u mask %08x\n", t.tid.x, t.tid.y, t.tid.z, t.op, t.file, t.line, t.mask);
    fprintf(stderr, "cuemu:   %u of %zu threads have exited\n", (unsigned)B->th.size() - B->nlive, B->th.size());
    abort();
}
#ifdef CUEMU_TSAN
/* fibers of the race detector are dear (milliseconds each): keep two sets, for even and odd blocks, so that
 * neighbouring blocks stay unordered; each keeps its stack, whose accesses are then in program order */
struct Fib { void *f; char *stk; };
static std::vector<Fib> fibs[2];
#endif
static char *stack_get()
{
    if (!pool) pool = new std::vector<char *>;
    if (!pool->empty()) { char *p = pool->back(); pool->pop_back(); return p; }
    return (char *)mmap(nullptr, STK, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
}
[[maybe_unused]] static void stack_put(char *p)
{
    pool->push_back(p);
}
static void to_main(TH *t, bool last)
{
#if defined(__SANITIZE_ADDRESS__)
    __sanitizer_start_switch_fiber(last ? nullptr : &t->fake, B->main_bottom, B->main_size);
#endif
#ifdef CUEMU_TSAN
    __tsan_switch_to_fiber(B->main_tsan, __tsan_switch_to_fiber_no_sync);
#endif
    (void)last;
    cuemu_swap(&t->sp, B->main_sp);
#if defined(__SANITIZE_ADDRESS__)
    __sanitizer_finish_switch_fiber(t->fake, nullptr, nullptr);
#endif
}
static void entry()
{
#if defined(__SANITIZE_ADDRESS__)
    __sanitizer_finish_switch_fiber(nullptr, &B->main_bottom, &B->main_size);
#endif
    for (;;) {
        TH *t = (TH *)cur;
#ifdef CUEMU_TSAN
        __tsan_acquire(B->kstart);
#endif
        (*B->body)();
#ifdef CUEMU_TSAN
        __tsan_release(B->kend);
#endif
        t->st = DONE; t->op = NONE; B->nlive--;
#ifndef CUEMU_TSAN
        /* this stack is free again: let it run the next thread that has not begun */
        while (B->cursor < B->order.size() && B->th[B->order[B->cursor]].st != UNSTARTED) B->cursor++;
        if (B->cursor < B->order.size()) {
            TH *n = &B->th[B->order[B->cursor++]];
            n->stk = t->stk; t->stk = nullptr; n->st = READY; cur = n;
            continue;
        }
#endif
        to_main(t, true);
    }
}
static void resume(TH *t)
{
    cur = t;
    if (t->st == UNSTARTED) {
#ifdef CUEMU_TSAN
        auto &fv = fibs[B->parity];
        size_t ix = (size_t)(t - B->th.data());
        while (fv.size() <= ix) fv.push_back(Fib{__tsan_create_fiber(0), stack_get()});
        t->tsan = fv[ix].f; t->stk = fv[ix].stk;
#else
        t->stk = stack_get();
#endif
        void **sp = (void **)(t->stk + STK - 64);
        *sp = (void *)entry;
        for (int i = 0; i < 6; i++) *--sp = nullptr;
        t->sp = sp;
    }
    t->st = READY;
#if defined(__SANITIZE_ADDRESS__)
    __sanitizer_start_switch_fiber(&B->main_fake, t->stk, STK);
#endif
#ifdef CUEMU_TSAN
    __tsan_switch_to_fiber(t->tsan, __tsan_switch_to_fiber_no_sync);
#endif
    cuemu_swap(&B->main_sp, t->sp);
#if defined(__SANITIZE_ADDRESS__)
    __sanitizer_finish_switch_fiber(B->main_fake, nullptr, nullptr);
#endif
}
/* completes the warp operation `a` waits in, if every lane that must take part is there */
static bool try_warp(TH *a)
{
    TH *w = &B->th[a->warp * 32];
    unsigned n = (unsigned)B->th.size() - a->warp * 32; if (n > 32) n = 32;
    unsigned in = 0;
    for (unsigned i = 0; i < n; i++) {
        if (!(a->mask >> i & 1) || w[i].st == DONE) continue;
        if (w[i].st != WAIT) return false;
        if (w[i].op != a->op || w[i].mask != a->mask || w[i].line != a->line || w[i].col != a->col || w[i].file != a->file) {
            if (w[i].op >= W_SYNC) die("warp divergence: lanes of one mask meet in different warp operations");
            return false;
        }
        in |= 1u << i;
    }
    uint64_t bal = 0;
    for (unsigned i = 0; i < n; i++) if (in >> i & 1 && w[i].val) bal |= 1ull << i;
    for (unsigned i = 0; i < n; i++) {
        if (!(in >> i & 1)) continue;
        TH *t = &w[i];
        int wd = t->width, seg = (int)i & ~(wd - 1), l = (int)i - seg, src = l;
        switch (t->op) {
        case W_IDX: src = t->arg & (wd - 1); break;
        case W_UP: src = l - t->arg; if (src < 0) src = l; break;
        case W_DOWN: src = l + t->arg; if (src >= wd) src = l; break;
        case W_XOR: src = l ^ t->arg; if (src >= wd) src = l; break;
        case W_BALLOT: t->res = bal; break;
        default: break;
        }
        if (t->op >= W_IDX && t->op <= W_XOR) {
            if (!(in >> (seg + src) & 1)) die("shuffle reads a lane that is not taking part");
            t->res = w[seg + src].val;
        }
    }
    for (unsigned i = 0; i < n; i++) if (in >> i & 1) { w[i].st = READY; w[i].op = NONE; B->nwait--; }
    return true;
}
static bool try_block()
{
    if (B->nwait != B->nlive) return false;
    TH *a = nullptr; uint64_t cnt = 0;
    for (auto &t : B->th) {
        if (t.st == DONE) continue;
        if (t.op >= W_SYNC || t.op == NONE) return false;
        if (!a) a = &t;
        if (t.op != a->op || t.line != a->line || t.col != a->col || t.file != a->file) die("barrier divergence: threads meet in different __syncthreads()");
        cnt += t.val;
    }
    if (B->nlive != B->th.size() && !getenv("CUEMU_LAX_EXIT")) die("barrier divergence: some threads exited before __syncthreads()");
    for (auto &t : B->th)
        if (t.st == WAIT) { t.res = t.op == BAR_OR ? cnt != 0 : t.op == BAR_AND ? cnt == B->nlive : cnt; t.st = READY; t.op = NONE; }
    B->nwait = 0;
    return true;
}
uint64_t collective(Op op, unsigned mask, uint64_t val, int arg, int width, std::source_location at)
{
    TH *t = (TH *)cur;
    t->op = op; t->mask = mask; t->val = val; t->arg = arg; t->width = width; t->file = at.file_name(); t->line = at.line(); t->col = at.column(); t->st = WAIT;
    B->nwait++;
    if (op >= W_SYNC && !(mask >> t->lane & 1)) die("a lane calls a warp operation whose mask leaves it out");
#ifdef CUEMU_TSAN
    void *sync = op >= W_SYNC ? (void *)&B->warpsync[t->warp] : (void *)&B->barsync;
    __tsan_release(sync);
#endif
    bool go = op >= W_SYNC ? try_warp(t) : false;
    if (!go) to_main(t, false);
#ifdef CUEMU_TSAN
    __tsan_acquire(sync);
#endif
    return t->res;
}
static void run_block(Block &b)
{
    B = &b;
#ifdef CUEMU_TSAN
    b.main_tsan = __tsan_get_current_fiber();
    __tsan_release(b.kstart); /* this OS thread's fresh TLS, where __shared__ lives, is older than the block */
#endif
    while (b.nlive) {
        bool moved = false;
        b.cursor = 0;
        for (unsigned i : b.order) {
            TH *t = &b.th[i];
            if (t->st == READY || t->st == UNSTARTED) { resume(t); moved = true; }
        }
        if (!b.nlive) break;
        if (try_block()) continue;
        if (!moved) {
            bool any = false;
            for (auto &t : b.th) if (t.st == WAIT && t.op >= W_SYNC && try_warp(&t)) { any = true; break; }
            if (!any) die("deadlock: threads wait for threads that will not come (barrier or warp divergence)");
        }
    }
#ifndef CUEMU_TSAN
    for (auto &t : b.th) if (t.stk) stack_put(t.stk);
#endif
}
#ifdef CUEMU_TSAN
struct Job { Block *b; uint3 bi; dim3 bd, gd; int done; };
static void *thread_main(void *p)
{
    Job *j = (Job *)p;
    bid = j->bi; bdim = j->bd; gdim = j->gd;
    run_block(*j->b);
    __atomic_store_n(&j->done, 1, __ATOMIC_RELEASE); /* not seen by the race detector: blocks stay unordered */
    return nullptr;
}
#endif
void run_grid(const char *name, dim3 g, dim3 bd, size_t smem, const std::function<void()> &body)
{
    unsigned n = bd.x * bd.y * bd.z;
    Block b;
    char kend = 0, kstart = 0;
    b.kernel = name; b.th.resize(n); b.order.resize(n); b.warpsync.resize(n / 32 + 1); b.body = &body; b.kend = &kend; b.kstart = &kstart;
    unsigned long nb = (unsigned long)g.x * g.y * g.z;
    static const char *seed = getenv("CUEMU_SEED");
    std::mt19937 rng(seed ? (unsigned)atoi(seed) : 0);
    std::vector<unsigned> bo;
    if (seed) { bo.resize(nb); for (unsigned i = 0; i < nb; i++) bo[i] = i; std::shuffle(bo.begin(), bo.end(), rng); }
    for (unsigned long k = 0; k < nb; k++) {
        unsigned long i = seed ? bo[k] : k;
        b.smem = (char *)malloc(smem ? smem : 1);
        memset(b.smem, 0xff, smem);
        b.nlive = n; b.nwait = 0;
        for (unsigned t = 0; t < n; t++) {
            TH *h = &b.th[t];
            h->tid = uint3{t % bd.x, t / bd.x % bd.y, t / bd.x / bd.y};
            h->lane = t & 31; h->warp = t >> 5; h->st = UNSTARTED; h->op = NONE; h->stk = nullptr; h->fake = nullptr;
            b.order[t] = t;
        }
        if (seed) std::shuffle(b.order.begin(), b.order.end(), rng);
        uint3 bi = uint3{(unsigned)(i % g.x), (unsigned)(i / g.x % g.y), (unsigned)(i / g.x / g.y)};
#ifdef CUEMU_TSAN
        b.parity = (int)(k & 1);
        __tsan_release(&kstart);
        Job j{&b, bi, bd, g, 0};
        pthread_t th; pthread_attr_t at; pthread_attr_init(&at); pthread_attr_setdetachstate(&at, PTHREAD_CREATE_DETACHED);
        if (pthread_create(&th, &at, thread_main, &j)) abort();
        while (!__atomic_load_n(&j.done, __ATOMIC_ACQUIRE)) sched_yield();
#else
        bid = bi; bdim = bd; gdim = g;
        run_block(b);
#endif
        free(b.smem);
    }
#ifdef CUEMU_TSAN
    __tsan_acquire(&kend);
#endif
    cur = nullptr;
}
} /* namespace cuemu */
