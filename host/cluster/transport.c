#include "cluster/transport.h"
#include "support/library.h"

/* Which transport serves how many ranks, by its library; the first that fits. */
static const struct {
    int most_ranks;
    const char *library; /* NULL: in the program */
    const struct transport *built_in;
} transports[] = {
    {1, NULL, &transport_none},
    {1 << 30, "libtaper_mpi.so", NULL},
};

static size_t row_of(int ranks) {
    size_t row = 0;
    while (ranks > transports[row].most_ranks)
        row++;
    return row;
}

static enum status find(char path[PATH_MAX], const char *library) {
    if (library_find(path, library))
        return STATUS_OK;
    return fail(STATUS_FAILED, "several ranks need the MPI transport, which this taper was built "
                               "without: install libopenmpi-dev and openmpi-bin, then build again");
}

enum status transport_check(int ranks, char path[PATH_MAX]) {
    const char *library = transports[row_of(ranks)].library;
    path[0] = '\0';
    return library == NULL ? STATUS_OK : find(path, library);
}

static enum status load(const struct transport **transport, const char *library) {
    char path[PATH_MAX];
    transport_function *get = NULL;
    TRY(find(path, library));
    TRY(library_symbol(path, TRANSPORT_SYMBOL, LIBRARY_SHARES_SYMBOLS, &get));
    *transport = get(TRANSPORT_VERSION);
    if (*transport == NULL)
        return fail(STATUS_FAILED, "%s is of another version of taper", path);
    return STATUS_OK;
}

enum status transport_choose(const struct transport **transport, int ranks) {
    size_t row = row_of(ranks);
    *transport = transports[row].built_in;
    return *transport != NULL ? STATUS_OK : load(transport, transports[row].library);
}
