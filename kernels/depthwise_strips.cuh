/* How the backward kernel cuts its work. A block has a chunk of the kept channels and a part of
 * the segment's rows. Its threads are streams x strips x lanes. A stream slides down a run of rows,
 * all images of a segment standing on each other; a strip is seven columns of it (all sizes that
 * 224 is halved to are multiples of seven), a lane two neighbouring channels.
 *
 * What a row brings goes through shared memory, where every thread has columns of its own, a word
 * of two channels each: [column][thread]. So all offsets are constants and no banks conflict; the
 * columns that two strips need are there twice, and those outside of the image are zero.
 */
#ifndef TAPER_DEPTHWISE_STRIPS_CUH
#define TAPER_DEPTHWISE_STRIPS_CUH

#include "depthwise.cuh"
#include "mma.cuh"

namespace depthwise {

constexpr int STRIP = 7 /* columns */, CHUNK = 64 /* channels of a block, at most */;
constexpr int MULTIPROCESSORS = 132, ALL_SHARED = 228 << 10;
template <class T> constexpr int threads_of = sizeof(T) == 2 ? 128 : 64;
template <class T> constexpr int VECTOR = 16 / (int)sizeof(T); /* channels copied at once */

/* Two neighbouring channels. */
template <class T> using two = few<T, 2>;

/* A vector of 16 bytes. */
static __device__ __forceinline__ void widen(float (&into)[4], float4 from) {
    into[0] = from.x, into[1] = from.y, into[2] = from.z, into[3] = from.w;
}
static __device__ __forceinline__ void widen(float (&into)[8], float4 from) {
    const float words[4] = {from.x, from.y, from.z, from.w};
#pragma unroll
    for (int i = 0; i < 4; i++) {
        into[2 * i] = __uint_as_float(__float_as_uint(words[i]) << 16);
        into[2 * i + 1] = __uint_as_float(__float_as_uint(words[i]) & 0xffff0000u);
    }
}
static __device__ __forceinline__ float4 narrowed(const float (&from)[4]) {
    return make_float4(from[0], from[1], from[2], from[3]);
}
static __device__ __forceinline__ float4 narrowed(const float (&from)[8]) {
    return make_float4(
        __uint_as_float(pack_bf16(from[0], from[1])), __uint_as_float(pack_bf16(from[2], from[3])),
        __uint_as_float(pack_bf16(from[4], from[5])), __uint_as_float(pack_bf16(from[6], from[7])));
}

template <int N>
static __device__ __forceinline__ void load_floats(float (&into)[N], const float *from) {
#pragma unroll
    for (int i = 0; i < N; i += 4) {
        float4 four = *reinterpret_cast<const float4 *>(from + i);
        into[i] = four.x, into[i + 1] = four.y, into[i + 2] = four.z, into[i + 3] = four.w;
    }
}

#define FOR_ALL(N, M, statement)                                                                   \
    _Pragma("unroll") for (int n = 0; n < N; n++) {                                                \
        _Pragma("unroll") for (int c = 0; c < M; c++) {                                            \
            statement;                                                                             \
        }                                                                                          \
    }

/* How a launch is cut, for the full network. */
struct cut {
    int across; /* strips of a stream */
    int pieces; /* of an image's columns, `across` strips each */
    int chunk;  /* channels of a block, at most */
    int blocks; /* of a segment */
};

/* Channels of a block, the same for all chunks but the last. */
static inline __host__ __device__ int chunks_of(int kept, int chunk) {
    return (round_up(kept, LANES) + chunk - 1) / chunk;
}
static inline __host__ __device__ int chunk_width(int kept, int chunks) {
    return round_up((round_up(kept, LANES) + chunks - 1) / chunks, LANES);
}

/* A narrow segment, which has fewer chunks, has its rows in more parts. room 0: as many as blocks.
 */
static inline __host__ __device__ int parts_of(int blocks, int chunks, int room) {
    int parts = blocks / chunks;
    return room > 0 && parts > room ? room : parts;
}

/* A block's place. In shared memory, as all that the threads of a block share: read anew for every
 * row it takes no registers, which sums are kept in. */
struct place {
    int first, width /* channels; width 0: none */, kept /* of the segment */;
    int part, parts, streams, lanes;
    unsigned lanes_inverse, across_inverse; /* in 65536ths */
    int images, height;                     /* of the segment; output rows of an image */
    unsigned height_inverse;
    int left, lead, steps; /* of the run, see run_of() */
    bool in_images;
};

/* Numbers below 256 divided without a division. */
static __device__ __forceinline__ unsigned inverse_of(int divisor) {
    return (65536u + (unsigned)divisor - 1) / (unsigned)divisor;
}
static __device__ __forceinline__ int divided(int value, unsigned inverse) {
    return (int)((unsigned)value * inverse >> 16);
}

static __device__ __forceinline__ struct place place_of(const struct cut &cut, int kept, int room,
                                                        int images, int height) {
    struct place place = {};
    int chunks = chunks_of(kept, cut.chunk);
    place.parts = parts_of(cut.blocks, chunks, room), place.part = (int)blockIdx.x / chunks;
    if (place.part >= place.parts)
        return place;
    int width = chunk_width(kept, chunks);
    place.first = (int)blockIdx.x % chunks * width, place.kept = kept;
    place.width = min(width, round_up(kept, LANES) - place.first);
    /* The same for a narrower last chunk: all chunks of a part have the same pixels. */
    place.streams = (int)blockDim.x / (width / 2 * cut.across);
    place.lanes = place.width / 2;
    place.lanes_inverse = inverse_of(place.lanes), place.across_inverse = inverse_of(cut.across);
    place.images = images, place.height = height;
    place.height_inverse = 0xffffffffu / (unsigned)height;
    return place;
}

/* A thread's seat in its block. */
struct seat {
    int stream, strip, lane; /* stream >= streams: the thread is left over */
    int index;               /* in its stream */
};
static __device__ __forceinline__ struct seat seat_of(const struct place &place, int across) {
    int thread = (int)threadIdx.x, strips = divided(thread, place.lanes_inverse);
    struct seat seat;
    seat.stream = divided(strips, place.across_inverse);
    seat.strip = strips - seat.stream * across;
    seat.lane = thread - strips * place.lanes;
    seat.index = thread - seat.stream * across * place.lanes;
    return seat;
}

/* What a thread fetches: one vector of a strip's columns phase, phase + PHASES, ... */
template <class T> constexpr int PHASES = VECTOR<T> / 2;
struct share {
    int stream, strip, phase, channel;
    int thread; /* in a row of shared memory */
};
template <class T>
static __device__ __forceinline__ struct share share_of(const struct place &place, int across) {
    struct seat seat = seat_of(place, across);
    struct share share;
    share.stream = seat.stream, share.strip = seat.strip;
    share.phase = divided(seat.lane, place.lanes_inverse * PHASES<T>);
    share.channel = (seat.lane - share.phase * (place.lanes / PHASES<T>)) * VECTOR<T>;
    share.thread = (int)threadIdx.x - seat.lane + share.channel / 2;
    return share;
}

/* What a thread fetches of every row, worked out once and kept in shared memory. */
struct __align__(16) ticket {
    int column;      /* of the image: the first of those it fetches */
    short channel;   /* of the block */
    short word;      /* where the column is in a row of shared memory, from its strip's first */
    unsigned flags;  /* see struct fetched */
    short column_in; /* the same for the input's rows */
    short flags_input;
};

/* Vectors of a row that a thread fetches: its strip's, and those beside a piece of the image.
 * A strip sees LEFT and RIGHT columns beside its EACH own ones. */
template <class T, int EACH, int LEFT, int RIGHT> struct fetched {
    static constexpr int OWN = (EACH + PHASES<T> - 1) / PHASES<T>;
    static constexpr int BEFORE = (LEFT + PHASES<T> - 1) / PHASES<T>;
    static constexpr int BEHIND = (RIGHT + PHASES<T> - 1) / PHASES<T>;
    /* Flags of its n-th vector: in the image; the strips to the left, to the right see it, too. */
    enum { EXISTS = 0, TO_LEFT = 8, TO_RIGHT = 16, BESIDE = 24 };

    static inline __host__ __device__ int count(int pieces) {
        return OWN + (pieces > 1 ? BEFORE + BEHIND : 0);
    }

    /* first: the strip's first column. */
    static __device__ unsigned flags_of(const struct share &share, int across, int first,
                                        int columns) {
        unsigned flags = 0;
        for (int n = 0; n < OWN; n++) {
            int own = share.phase + n * PHASES<T>;
            if (own >= EACH || first + own >= columns)
                continue;
            flags |= 1u << (EXISTS + n);
            flags |= (unsigned)(own < RIGHT && share.strip > 0) << (TO_LEFT + n);
            flags |= (unsigned)(own >= EACH - LEFT && share.strip + 1 < across) << (TO_RIGHT + n);
        }
        for (int n = 0; n < BEFORE; n++) {
            int own = share.phase + n * PHASES<T> - LEFT;
            flags |= (unsigned)(share.strip == 0 && own < 0 && first + own >= 0) << (BESIDE + n);
        }
        for (int n = 0; n < BEHIND; n++) {
            int own = share.phase + n * PHASES<T> + EACH;
            bool sees = share.strip == across - 1 && own < EACH + RIGHT && first + own < columns;
            flags |= (unsigned)sees << (BESIDE + BEFORE + n);
        }
        return flags;
    }

    /* use(n, column, to_left, to_right): column counted from the ticket's. */
    template <class Use>
    static __device__ __forceinline__ void each(unsigned flags, int pieces, Use use) {
#pragma unroll
        for (int n = 0; n < OWN; n++)
            if (flags >> (EXISTS + n) & 1)
                use(n, n * PHASES<T>, RIGHT > 0 && (flags >> (TO_LEFT + n) & 1),
                    LEFT > 0 && (flags >> (TO_RIGHT + n) & 1));
        if (pieces == 1)
            return;
#pragma unroll 1
        for (int n = 0; n < BEFORE + BEHIND; n++)
            if (flags >> (BESIDE + n) & 1)
                use(OWN + n, n < BEFORE ? n * PHASES<T> - LEFT : (n - BEFORE) * PHASES<T> + EACH,
                    false, false);
    }
};

/* A stream's rows [begin, end) of all images'. */
struct run {
    int begin, end;
};

/* Item `item` of a segment's work: a piece of the columns, from place.left on, a share of the rows.
 * Whole images are taken where that costs no more: then no row is looked at by two streams, but
 * place.lead rows before the first otherwise. place.steps: of all streams of the block. */
static __device__ __forceinline__ struct run run_of(const struct cut &cut, struct place &place,
                                                    int item, int above) {
    int shares = max(1, place.parts / cut.pieces) * place.streams;
    int rows = place.images * place.height;
    int most = (rows + shares - 1) / shares;
    int whole = (place.images + shares - 1) / shares * place.height;
    bool in_images = place.in_images = whole <= most + above;
    int all = in_images ? place.images : rows, each = in_images ? place.height : 1;
    place.left = item % cut.pieces * cut.across * STRIP;
    place.lead = in_images ? 0 : above;
    place.steps = (in_images ? whole : most) + place.lead;
    int stream = seat_of(place, cut.across).stream;
    int share = item / cut.pieces * place.streams + stream;
    if (stream >= place.streams)
        return {0, 0};
    return {piece_begin(all, share, shares) * each, piece_begin(all, share + 1, shares) * each};
}
/* Rows that a run looks at end there; `below`: rows that its last one sees. */
static __device__ __forceinline__ int end_of_sight(const struct place &place, const struct run &run,
                                                   int below) {
    return place.in_images ? run.end : min(run.end + below, place.images * place.height);
}
static __device__ __forceinline__ int items_of(const struct cut &cut, const struct place &place) {
    return max(1, place.parts / cut.pieces) * cut.pieces;
}

/* Where the input rows of a row of the output stand. */
struct position {
    int y;   /* of the output, in its image */
    int row; /* of the input, in all images */
};
static __device__ __forceinline__ struct position position_of(const struct place &place, int row,
                                                              int stride, int height) {
    /* At most one too small. */
    int image = (int)((unsigned long long)row * place.height_inverse >> 32);
    image += row - image * place.height >= place.height;
    int y = row - image * place.height;
    return {y, image * height + stride * y};
}

/* A pixel's vector for its strip and for those beside it that see it: EACH columns, or `lanes`
 * threads, away. */
template <class T, int EACH>
static __device__ __forceinline__ void give(typename two<T>::word *at, int lanes, bool to_left,
                                            bool to_right, const float (&values)[VECTOR<T>]) {
    constexpr int AWAY = EACH * threads_of<T>;
    float4 vector = narrowed(values);
    *reinterpret_cast<float4 *>(at) = vector;
    if (to_left)
        *reinterpret_cast<float4 *>(at + AWAY - lanes) = vector;
    if (to_right)
        *reinterpret_cast<float4 *>(at - AWAY + lanes) = vector;
}

/* The parts that do not exist get no pixels. Once per segment: by the first block. */
static __device__ __forceinline__ void no_pixels(const struct partial_sums &sums,
                                                 const struct segment &segment, int first) {
    if (blockIdx.x != 0)
        return;
    for (int part = first + (int)threadIdx.x; part < sums.parts; part += (int)blockDim.x)
        *sums.count_at(segment, part) = 0.0f;
}

/* ------------------------------------------------------------------ the launch */

/* Threads with work, of all channels and columns. Columns beside pieces of an image are fetched
 * twice, which weighs less. */
template <class T> float busy_share(int channels, int strips, struct cut cut) {
    int chunks = chunks_of(channels, cut.chunk);
    int streams = threads_of<T> / (chunk_width(channels, chunks) / 2 * cut.across);
    float channels_of_a_block = (float)channels / chunks;
    float busy = channels_of_a_block * streams * strips / cut.pieces;
    return cut.pieces == 1 ? busy : busy * 0.95f;
}

/* Columns: of the output. */
template <class T> struct cut cut_of(int channels, int columns) {
    enum { MORE_CHUNKS = 4 };
    struct cut best = {};
    int strips = pieces(columns, STRIP);
    for (int count = 1; count <= strips; count++) {
        int across = pieces(strips, count), most = threads_of<T> / across / (LANES / 2) * LANES;
        if (most == 0)
            continue;
        int fewest = chunks_of(channels, most < CHUNK ? most : (int)CHUNK);
        for (int chunks = fewest; chunks < fewest + MORE_CHUNKS; chunks++) {
            struct cut cut = {across, count, chunk_width(channels, chunks), 0};
            if (best.chunk == 0 ||
                busy_share<T>(channels, strips, cut) > busy_share<T>(channels, strips, best))
                best = cut;
        }
    }
    return best;
}

/* All blocks run at once, if there are rows enough for them. */
template <class T>
static inline void cut_rows(struct cut *cut, int channels, int rows, int segments, int room,
                            int at_once) {
    enum { LEAST_ROWS = 4 };
    int chunks = chunks_of(channels, cut->chunk);
    int streams = threads_of<T> / (chunk_width(channels, chunks) / 2 * cut->across);
    int parts = MULTIPROCESSORS * at_once / (chunks * segments);
    int useful = pieces((size_t)rows * cut->pieces, streams * LEAST_ROWS);
    if (parts > useful)
        parts = useful;
    if (room > 0 && parts > room)
        parts = room;
    cut->blocks = chunks * (parts > 1 ? parts : 1);
}

} /* namespace depthwise */

#endif
