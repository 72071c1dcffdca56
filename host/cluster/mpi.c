/* The MPI transport: a library of its own (transport.h says why). Written to MPI 3.1. */
#include "cluster/transport.h"

#include <mpi.h>

#include <stdlib.h>

enum { WORD_TAG = 1 };

struct mpi {
    MPI_Comm ranks, words; /* words go beside the operations */
    int rank, count;
    MPI_Request operation;
    int *sizes[2], *starts[2];     /* [count] of the parts that are sent, and received */
    MPI_Request *hearing, *saying; /* [count] */
    int *heard, *arriving;         /* [count]; heard: what arrived last */
    int said[WORD_FAILED + 1];
};

/* The library's own words; any of these errors means that the ranks cannot go on together. */
static enum status check(int error, const char *what) {
    char text[MPI_MAX_ERROR_STRING] = "";
    int length = 0;
    if (error == MPI_SUCCESS)
        return STATUS_OK;
    MPI_Error_string(error, text, &length);
    return fail(STATUS_RANK_LOST, "MPI cannot %s: %s", what, text);
}

static void listen(struct mpi *mpi, int rank) {
    if (rank != mpi->rank)
        MPI_Irecv(&mpi->arriving[rank], 1, MPI_INT, rank, WORD_TAG, mpi->words,
                  &mpi->hearing[rank]);
}

static enum status allocate_lists(struct mpi *mpi) {
    size_t count = (size_t)mpi->count;
    mpi->hearing = malloc(count * sizeof *mpi->hearing);
    mpi->saying = malloc(count * sizeof *mpi->saying);
    mpi->heard = calloc(2 * count, sizeof *mpi->heard);
    mpi->sizes[0] = calloc(4 * count, sizeof(int));
    if (!mpi->hearing || !mpi->saying || !mpi->heard || !mpi->sizes[0])
        return fail(STATUS_FAILED, "no memory for %d ranks", mpi->count);
    mpi->arriving = mpi->heard + count;
    mpi->starts[0] = mpi->sizes[0] + count;
    mpi->sizes[1] = mpi->sizes[0] + 2 * count;
    mpi->starts[1] = mpi->sizes[0] + 3 * count;
    for (size_t rank = 0; rank < count; rank++)
        mpi->hearing[rank] = mpi->saying[rank] = MPI_REQUEST_NULL;
    return STATUS_OK;
}

static void release(struct mpi *mpi) {
    free(mpi->hearing);
    free(mpi->saying);
    free(mpi->heard);
    free(mpi->sizes[0]);
    free(mpi);
}

static enum status join(struct mpi *mpi) {
    int provided;
    TRY(check(MPI_Init_thread(NULL, NULL, MPI_THREAD_FUNNELED, &provided), "begin"));
    MPI_Comm_set_errhandler(MPI_COMM_WORLD, MPI_ERRORS_RETURN);
    TRY(check(MPI_Comm_dup(MPI_COMM_WORLD, &mpi->ranks), "join the ranks"));
    TRY(check(MPI_Comm_dup(MPI_COMM_WORLD, &mpi->words), "join the ranks"));
    MPI_Comm_set_errhandler(mpi->ranks, MPI_ERRORS_RETURN);
    MPI_Comm_set_errhandler(mpi->words, MPI_ERRORS_RETURN);
    MPI_Comm_rank(mpi->ranks, &mpi->rank);
    MPI_Comm_size(mpi->ranks, &mpi->count);
    TRY(allocate_lists(mpi));
    for (int rank = 0; rank < mpi->count; rank++)
        listen(mpi, rank);
    return STATUS_OK;
}

static enum status open_mpi(void **state, int *rank, int *ranks) {
    struct mpi *mpi = calloc(1, sizeof *mpi);
    if (mpi == NULL)
        return fail(STATUS_FAILED, "no memory for MPI");
    mpi->operation = MPI_REQUEST_NULL;
    enum status status = join(mpi);
    if (status != STATUS_OK) {
        release(mpi);
        return status;
    }
    *state = mpi;
    *rank = mpi->rank;
    *ranks = mpi->count;
    return STATUS_OK;
}

/* MPI_Finalize waits for all ranks: where something went wrong the process ends without it, and the
 * launcher ends the rest. */
static void close_mpi(void *state, bool well) {
    struct mpi *mpi = state;
    if (!well)
        return; /* the library may still write into what it was given */
    for (int rank = 0; rank < mpi->count; rank++) {
        if (mpi->hearing[rank] == MPI_REQUEST_NULL)
            continue;
        MPI_Cancel(&mpi->hearing[rank]);
        MPI_Wait(&mpi->hearing[rank], MPI_STATUS_IGNORE);
    }
    MPI_Comm_free(&mpi->words);
    MPI_Comm_free(&mpi->ranks);
    MPI_Finalize();
    release(mpi);
}

/* Parts as MPI counts them. */
static void set_parts(struct mpi *mpi, int which, const size_t *ends) {
    for (int rank = 0; rank < mpi->count; rank++) {
        size_t start = rank > 0 ? ends[rank - 1] : 0;
        mpi->starts[which][rank] = (int)start;
        mpi->sizes[which][rank] = (int)(ends[rank] - start);
    }
}

static enum status barrier(void *state) {
    struct mpi *mpi = state;
    return check(MPI_Ibarrier(mpi->ranks, &mpi->operation), "meet");
}

static enum status broadcast(void *state, void *data, size_t bytes) {
    struct mpi *mpi = state;
    return check(MPI_Ibcast(data, (int)bytes, MPI_BYTE, 0, mpi->ranks, &mpi->operation),
                 "broadcast");
}

static enum status gather(void *state, void *data, const size_t *ends) {
    struct mpi *mpi = state;
    set_parts(mpi, 0, ends);
    return check(MPI_Iallgatherv(MPI_IN_PLACE, 0, MPI_BYTE, data, mpi->sizes[0], mpi->starts[0],
                                 MPI_BYTE, mpi->ranks, &mpi->operation),
                 "gather");
}

static enum status exchange(void *state, const void *out, const size_t *out_ends, void *in,
                            const size_t *in_ends) {
    struct mpi *mpi = state;
    set_parts(mpi, 0, out_ends);
    set_parts(mpi, 1, in_ends);
    return check(MPI_Ialltoallv(out, mpi->sizes[0], mpi->starts[0], MPI_BYTE, in, mpi->sizes[1],
                                mpi->starts[1], MPI_BYTE, mpi->ranks, &mpi->operation),
                 "exchange");
}

static enum status reduce(void *state, void *data, size_t count, enum cluster_element element,
                          enum cluster_reduction reduction) {
    struct mpi *mpi = state;
    MPI_Datatype type = element == CLUSTER_INT     ? MPI_INT
                        : element == CLUSTER_FLOAT ? MPI_FLOAT
                                                   : MPI_DOUBLE;
    return check(MPI_Iallreduce(MPI_IN_PLACE, data, (int)count, type,
                                reduction == CLUSTER_SUM ? MPI_SUM : MPI_MAX, mpi->ranks,
                                &mpi->operation),
                 "reduce");
}

static enum status test(void *state, bool *done) {
    struct mpi *mpi = state;
    int flag = 0;
    TRY(check(MPI_Test(&mpi->operation, &flag, MPI_STATUS_IGNORE), "go on with an exchange"));
    *done = flag != 0;
    return STATUS_OK;
}

static void say(void *state, enum word word) {
    struct mpi *mpi = state;
    int sent;
    mpi->said[word] = (int)word;
    for (int rank = 0; rank < mpi->count; rank++)
        if (rank != mpi->rank)
            MPI_Isend(&mpi->said[word], 1, MPI_INT, rank, WORD_TAG, mpi->words, &mpi->saying[rank]);
    MPI_Testall(mpi->count, mpi->saying, &sent, MPI_STATUSES_IGNORE);
}

static enum word heard(void *state, int rank) {
    struct mpi *mpi = state;
    int arrived = 0;
    if (rank == mpi->rank)
        return WORD_NONE;
    if (MPI_Test(&mpi->hearing[rank], &arrived, MPI_STATUS_IGNORE) == MPI_SUCCESS && arrived) {
        mpi->heard[rank] = mpi->arriving[rank];
        listen(mpi, rank);
    }
    return (enum word)mpi->heard[rank];
}

static const struct transport transport_mpi = {.name = "mpi",
                                               .open = open_mpi,
                                               .close = close_mpi,
                                               .barrier = barrier,
                                               .broadcast = broadcast,
                                               .gather = gather,
                                               .exchange = exchange,
                                               .reduce = reduce,
                                               .test = test,
                                               .say = say,
                                               .heard = heard};

transport_function taper_transport;
const struct transport *taper_transport(int version) {
    return version == TRANSPORT_VERSION ? &transport_mpi : NULL;
}
