/* How the forward kernel cuts its work. A block has a chunk of the kept channels and a part of the
 * segment's pixels. Its threads are lanes, each with one or two channels, times strips. A strip
 * takes a few columns of some rows of an image at a time and slides down: every row is loaded once,
 * and what its pixels give to several rows stays in registers.
 */
#ifndef TAPER_DEPTHWISE_UNITS_CUH
#define TAPER_DEPTHWISE_UNITS_CUH

#include "depthwise.cuh"

/* A value that the compiler takes for a new one: what is made of it is made again in every round of
 * a loop instead of being kept in registers, which are needed for more. */
static __device__ __forceinline__ int anew(int value) {
    asm volatile("" : "+r"(value));
    return value;
}

/* Element `index` of what stands `step` bytes apart: one instruction. */
template <class T>
static __device__ __forceinline__ T *along(T *from, unsigned index, unsigned step) {
    return (T *)((char *)from + (unsigned long long)index * step);
}
template <class T>
static __device__ __forceinline__ const T *along(const T *from, unsigned index, unsigned step) {
    return (const T *)((const char *)from + (unsigned long long)index * step);
}

/* The nearest place that exists: what is loaded there in vain costs less than not loading it. */
static __device__ __forceinline__ unsigned nearest(int at, int end) {
    return (unsigned)max(min(at, end - 1), 0);
}

/* A thread's place in its block. */
struct place {
    int first, width; /* channels of the block; width 0: none */
    int lanes, strips;
    int lane, strip; /* strip >= strips: the thread is left over */
};

static __device__ __forceinline__ struct place place_of(int kept, int chunk, int channels) {
    struct place place = {};
    int all = round_up(kept, LANES), chunks = (all + chunk - 1) / chunk;
    int width = round_up((all + chunks - 1) / chunks, LANES);
    place.first = (int)blockIdx.x * width;
    if (place.first >= all)
        return place;
    place.width = min(width, all - place.first);
    place.lanes = place.width / channels;
    /* The same for a narrower last chunk: all chunks of a part have the same pixels. */
    place.strips = (int)blockDim.x / (width / channels);
    place.lane = (int)threadIdx.x % place.lanes;
    place.strip = (int)threadIdx.x / place.lanes;
    return place;
}

/* What a strip takes at a time: rows [top, bottom) of one image, `columns` pixels from left on. */
struct unit {
    int image, top, bottom, left;
};

struct units {
    int begin, end;                               /* of this part */
    int across, down, height, columns_of_a_strip; /* pieces of an image */
};

struct cuts {
    int down, rows; /* pieces of an image's rows; rows that the busiest strip does */
};

/* A cut costs `again` rows done twice, but strips must get equally many units: the number of cuts
 * with the fewest rows for the busiest strip. whole: columns of strips of all images. */
static inline __host__ __device__ struct cuts cuts_of(int whole, int height, int strips,
                                                      int again) {
    enum { MOST_CUTS = 8, LEAST_ROWS = 7 };
    struct cuts best = {};
    for (int down = 1; down <= MOST_CUTS && (down == 1 || height / down >= LEAST_ROWS); down++) {
        int rounds = (whole * down + strips - 1) / strips;
        int rows = rounds * ((height + down - 1) / down + again);
        if (down == 1 || rows < best.rows)
            best.down = down, best.rows = rows;
    }
    return best;
}

static __device__ __forceinline__ struct units units_of(int images, int height, int width,
                                                        int columns, int strips, int part,
                                                        int parts, int again) {
    struct units units = {};
    units.height = height;
    units.columns_of_a_strip = columns;
    units.across = (width + columns - 1) / columns;
    int whole = images * units.across;
    units.down = cuts_of(whole, height, strips * parts, again).down;
    units.begin = piece_begin(whole * units.down, part, parts);
    units.end = piece_begin(whole * units.down, part + 1, parts);
    return units;
}

static __device__ __forceinline__ struct unit unit_at(const struct units &units, int index) {
    int column = index % units.across, rest = index / units.across;
    int piece = rest % units.down;
    struct unit unit = {};
    unit.image = rest / units.down;
    unit.top = piece_begin(units.height, piece, units.down);
    unit.bottom = piece_begin(units.height, piece + 1, units.down);
    unit.left = column * units.columns_of_a_strip;
    return unit;
}

/* How a launch may be cut, for the full network. */
struct work {
    int segments, images /* of the largest */, height, width;
    int channels, chunk, channels_of_a_thread, columns_of_a_strip, again;
    int threads, blocks_at_once /* on a multiprocessor */;
};

/* Parts that get pixels, at most `room` (0: as many as they like): those that are done first, block
 * after block, when a block's start takes as long as a few rows. */
enum { WORKING_BLOCKS = 1056 };
static inline int working_parts(const struct work &work, int room) {
    enum { MULTIPROCESSORS = 132, ROWS_OF_A_START = 6 };
    int all = round_up(work.channels, LANES), chunks = pieces(all, work.chunk);
    int lanes = round_up(pieces(all, chunks), LANES) / work.channels_of_a_thread;
    int whole = work.images * pieces(work.width, work.columns_of_a_strip);
    int most = WORKING_BLOCKS / (chunks * work.segments), best = 1, shortest = 0;
    if (room > 0 && most > room)
        most = room;
    for (int parts = 1; parts <= most; parts++) {
        int waves =
            pieces((size_t)parts * chunks * work.segments, MULTIPROCESSORS * work.blocks_at_once);
        int strips = parts * (work.threads / lanes);
        int rows = cuts_of(whole, work.height, strips, work.again).rows + ROWS_OF_A_START;
        if (parts == 1 || waves * rows < shortest)
            best = parts, shortest = waves * rows;
    }
    return best;
}

/* The parts from `first` on get none. Once per segment: by the first block. */
static __device__ __forceinline__ void no_pixels(const struct partial_sums &sums,
                                                 const struct segment &segment, int first) {
    if (blockIdx.x != 0 || blockIdx.y != 0)
        return;
    for (int part = first + (int)threadIdx.x; part < sums.parts; part += (int)blockDim.x)
        *sums.count_at(segment, part) = 0.0f;
}

#endif
